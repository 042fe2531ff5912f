package device

import (
	"fmt"
	"maps"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestFalls: a process dies in any operation of the disk, or meets an error and gives up, while it opens the registry, makes a new channel of it and changes it; what the next one
// finds it answers by, and so it survives a power cut, and the one after.
func TestFalls(t *testing.T) {
	const devices = 20
	var list []Device
	for i := range compactFrom {
		list = append(list, Device{ID: fmt.Sprint("d", i%devices), Attributes: map[string]string{"n": fmt.Sprint(i)}})
	}
	begin := func(seed uint64) *env.Sim {
		machine := env.NewSim(seed)
		s, err := Open(machine.Env(), "/data")
		must(t, err)
		_, _, err = s.Set(machine.Env(), list)
		must(t, err)
		must(t, s.Close())
		return machine
	}
	changes := func(e *env.Env) error {
		s, err := Open(e, "/data")
		for n := 0; err == nil && n < 3; n++ {
			_, _, err = s.Set(e, []Device{{ID: "new", Attributes: map[string]string{"n": fmt.Sprint(n)}}})
		}
		return err
	}
	count := begin(1)
	before := count.Ops()
	must(t, changes(count.Env()))
	if s, err := Open(count.Env(), "/data"); err != nil || s.generation != 2 {
		t.Fatalf("no new channel was made: %v", err)
	}
	for at := range count.Ops() - before {
		machine := begin(uint64(at))
		machine.Fail(env.Fault{After: at, Crash: at%2 == 0, Err: syscall.EIO, Times: 1 + at%3})
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(env.ErrCrashed) {
					panic(p)
				}
			}()
			_ = changes(machine.Env()) // it dies in it
		}()
		machine.Heal()
		machine.Kill()
		var found []map[string]map[string]string
		for range 3 {
			s, err := Open(machine.Env(), "/data")
			if err != nil {
				t.Fatalf("a death in operation %d: %v", at, err)
			}
			found = append(found, maps.Clone(s.devices))
			machine.Crash(uint64(at))
		}
		for _, f := range found {
			if len(f) < devices || fmt.Sprint(f["new"]) != fmt.Sprint(found[0]["new"]) {
				t.Errorf("a death in operation %d: at first %d devices, new is %v; then %d, and %v", at, len(found[0]), found[0]["new"], len(f), f["new"])
			}
		}
	}
}
