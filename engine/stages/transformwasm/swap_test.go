package transformwasm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// swapTime measures how long a batch would wait for the next version, by what a task does meanwhile: Decide. The
// median, since other processes share the machine.
func swapTime(t *testing.T, block *config.Plugin, next []byte) time.Duration {
	m, err := wasm.ReadManifest(block.Module)
	if err != nil {
		t.Fatal(err)
	}
	b := &binder{a: &args{plugins: &plugins{}}, block: block, manifest: m}
	b.at.Channel = &config.Channel{Learn: true, Partitions: 1}
	b.in = flow.NewSchema(nil)
	b.settings, _ = m.Settings(nil)
	for range m.Reads {
		b.reads = append(b.reads, column{})
	}
	o := stage.Opening{Env: env.Real(), Alloc: memory.DefaultAllocator, Count: func(string, int64) {}, Reject: func(stage.Reject) {}, Trials: rollout.NewMeters(),
		Modules: func(string) ([]byte, error) { return next, nil }}
	for _, d := range b.tables() {
		o.Tables = append(o.Tables, state.New(d))
	}
	s, err := open(b, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var times []time.Duration
	for i := range 11 {
		book := &rollout.Book{Seq: uint64(i + 1)}
		if i%2 == 0 {
			book.Put(rollout.Rollout{Name: "r", Plugin: block.Name, Trial: &rollout.Trial{N: uint64(i + 1), Canary: wasm.Digest(next), Share: rollout.Whole}})
		}
		if err := try(b, o, next, ""); err != nil { // as the engine does before the journal names it
			t.Fatal(err)
		}
		began := time.Now()
		if err := s.(stage.Decider).Decide(book, nil); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			times = append(times, time.Since(began))
			if g := s.(*transform).rules[0].trial.running; g == nil || g.digest != wasm.Digest(next) {
				t.Fatal("the next version does not run")
			}
		}
	}
	t.Logf("%s: %v", m.Name, times)
	slices.Sort(times)
	return times[len(times)/2]
}

func plain(t *testing.T, code string) []byte {
	b, err := os.ReadFile("../../wasm/testdata/" + code + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newer is another version of a guest.
func newer(t *testing.T, name string, code []byte) []byte {
	t.Helper()
	manifest, err := os.ReadFile("../../wasm/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	module, err := wasm.Attach(code, bytes.Replace(manifest, []byte("1.0.0"), []byte("2.0.0"), 1))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestSwapTime: a batch waits at most 10 ms for a guest in C, 20 ms for one in Go.
func TestSwapTime(t *testing.T) {
	c := guest(t, "over", "over")
	if took := swapTime(t, c, newer(t, "over", plain(t, "over"))); took > 10*time.Millisecond {
		t.Errorf("C: %v", took)
	}
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "../../wasm/testdata/goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("../../wasm/testdata/over.json")
	if err != nil {
		t.Fatal(err)
	}
	module, err := wasm.Attach(code, manifest)
	if err != nil {
		t.Fatal(err)
	}
	g := *c
	g.Module, g.Digest, g.Memory, g.FuelPerRow = module, wasm.Digest(module), 64<<20, 0
	if took := swapTime(t, &g, newer(t, "over", code)); took > 20*time.Millisecond {
		t.Errorf("Go: %v", took)
	}
}
