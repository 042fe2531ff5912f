package crowd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/conformance/rig"
)

const pipeline = `
channel "c" {
  partitions = 1
  key        = device
  time       = ts
  max_keys   = %d
  schema     = { device = string, ts = timestamp, temp = number }
}
ingest "file" "in" {
  to   = channel.c
  path = "in.ndjson"
}
pipeline "p" {
  from = channel.c
  window "sliding" "w" {
    by    = [device]
    size  = "%dm"
    every = "1m"
    emit  = { a = avg(temp) }
  }
  sink "file" "out" {
    from = window.w
    path = "out.ndjson"
  }
  sink "file" "bad" { path = "bad.ndjson" }
  rejects = sink.bad
}
`

// crowd is how many devices come, for how many there is room, and how much memory they may take.
type crowd struct{ devices, keys, steps, mostMiB int }

// TestCrowd: devices beyond max_keys become rejects that say why, and the windows of the others, which all close at the
// end of input, take memory by keys and not by windows. A run that kept those windows took 1,300 MiB.
func TestCrowd(t *testing.T) {
	c := crowd{devices: 60_000, keys: 50_000, steps: 40, mostMiB: 600}
	if os.Getenv("TIDEMILL_SOAK") != "" {
		c = crowd{devices: 10_000_000, keys: 1_000_000, steps: 10, mostMiB: 3000}
	}
	dir := t.TempDir()
	binary, err := rig.Build(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "a.hcl"), fmt.Appendf(nil, pipeline, c.keys, c.steps), 0o600))
	must(t, c.write(filepath.Join(dir, "in.ndjson")))

	cmd := exec.Command(binary, "run", dir, "--quiet")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if got := count(t, filepath.Join(dir, "out.ndjson"), `"window_start"`); got != c.keys*c.steps {
		t.Errorf("%d windows came out; want %d", got, c.keys*c.steps)
	}
	reason := fmt.Sprintf("too many keys: partition holds max_keys = %d already", c.keys)
	if got := count(t, filepath.Join(dir, "bad.ndjson"), reason); got != c.devices-c.keys {
		t.Errorf("%d rejects say that there was no room; want %d", got, c.devices-c.keys)
	}
	took := int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10)
	if took > c.mostMiB {
		t.Errorf("it took %d MiB; %d must do", took, c.mostMiB)
	}
	t.Logf("%d devices, room for %d: %d MiB", c.devices, c.keys, took)
}

// write writes a row of each device.
func (c crowd) write(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range c.devices {
		fmt.Fprintf(w, `{"device":"d%d","ts":"2026-01-01T00:00:%02dZ","temp":%d}`+"\n", i, i%60, i%40)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// count counts the lines of a file, all of which must hold a text.
func count(t *testing.T, name, text string) int {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		if err == io.EOF {
			return n
		}
		must(t, err)
		if !bytes.Contains(line, []byte(text)) {
			t.Fatalf("%s has a line without %s: %s", filepath.Base(name), text, line)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
