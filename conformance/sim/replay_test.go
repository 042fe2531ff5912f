package sim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestReplay runs a channel of one partition through everything that a seed has
// in store, and then its journal, without ingests, on a machine where nothing
// goes wrong: the files must be equal byte by byte.
func TestReplay(t *testing.T) {
	lives := 0
	for seed := uint64(1); seed <= 40; seed++ {
		s := newScenario(seed)
		s.config = onePartition(s.config)
		w := newWorld(seed, false)
		w.write(confDir+"/p.hcl", []byte(s.config))
		w.write("/in/data.ndjson", s.input)
		w.write("/in/more.ndjson", s.second)
		if err := w.drive(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		w.machine.Heal()
		lives += w.crashes
		again := newWorld(seed, true)
		again.write(confDir+"/p.hcl", []byte(strings.Replace(s.config, ingests, "", 1)))
		w.copyTo(again, dataDir+"/journal/telemetry")
		if err := again.drive(); err != nil {
			t.Fatalf("seed %d, replayed: %v", seed, err)
		}
		for _, name := range []string{"rows", "windows", "alarms", "rejects", "hours", "colds"} {
			name = outDir + "/" + name + ".ndjson"
			if err := equalBytes(w.content(name), again.content(name)); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, name, err)
			}
		}
	}
	if lives == 0 {
		t.Error("nothing went wrong: this is half a check")
	}
}

func onePartition(config string) string {
	for n := 2; n <= 4; n++ {
		config = strings.Replace(config, fmt.Sprintf("partitions = %d", n), "partitions = 1", 1)
	}
	return config
}

// copyTo copies a folder of files.
func (w *world) copyTo(to *world, dir string) {
	entries, err := w.machine.Env().FS.ReadDir(dir)
	must(err)
	for _, e := range entries {
		to.write(dir+"/"+e.Name(), w.content(dir+"/"+e.Name()))
	}
}

func (w *world) content(name string) []byte {
	f, err := w.machine.Env().FS.Open(name, env.ReadOnly)
	must(err)
	info, err := f.Stat()
	must(err)
	buf := make([]byte, info.Size())
	if len(buf) > 0 {
		_, err = f.ReadAt(buf, 0)
		must(err)
	}
	return buf
}

func equalBytes(want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	a, b := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			return fmt.Errorf("line %d was\n%s\nand is now\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Errorf("%d lines were there, and %d are now", len(a)-1, len(b)-1)
}
