package run

import (
	"path"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestSettled: a name that a killed process gave, and had not made durable, survives a power cut once a process has started on it. A run that
// goes on from a checkpoint trims journals by it: without the checkpoint they would have nothing for the records that are gone.
func TestSettled(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name string
		open func(e *Engine) error
	}{
		{"/data/checkpoints/0000000000000001.checkpoint", func(e *Engine) error {
			_, err := openStore(e.env, "/data/checkpoints")
			return err
		}},
		{"/data/plugins/rollouts.json", func(e *Engine) error {
			_, err := openRollouts(e)
			return err
		}},
	} {
		for seed := range uint64(20) {
			machine := env.NewSim(seed)
			e := &Engine{env: machine.Env(), o: Options{Data: "/data"}}
			fsys := e.env.FS
			must(fsys.MkdirAll(path.Dir(x.name)))
			must(env.WriteWhole(fsys, x.name+".new", []byte("{}")))
			must(fsys.Rename(x.name+".new", x.name))
			machine.Kill()
			must(x.open(e))
			machine.Crash(seed)
			if _, err := env.ReadWhole(fsys, x.name, env.AnySize); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
	}
}
