package rig

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/simulate"
)

// BinaryVar is an environment variable that names a binary to test in place of
// the one that Build would make; .ci/unit makes it once for all suites.
const BinaryVar = "TIDEMILL_BINARY"

// Build builds the binary into folder dir and returns its path.
func Build(dir string) (string, error) {
	if name := os.Getenv(BinaryVar); name != "" {
		return filepath.Abs(name)
	}
	name := filepath.Join(dir, "tidemill")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", name, "github.com/tidemill/tidemill/engine/cmd/tidemill").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the binary does not build: %w\n%s", err, out)
	}
	return name, nil
}

//go:embed work.hcl
var pipeline string

// Changed is how the other configuration of Work.Change says the same. Its
// rule is another one to the engine, and so is all that comes after.
const (
	original = "temp > -60 && temp < 80"
	changed  = "temp < 80 && temp > -60"
)

// Work is a folder in which the binary works.
type Work struct {
	Binary string
	Dir    string // configuration
	Input  string // records
	Data   string // journal and checkpoints
	Out    string // results
}

// NewWork makes a folder for the configuration in dir, and the folders data
// and out, which may lie elsewhere. Input is a file that MakeInput made.
func NewWork(binary, dir, data, out, input string) (*Work, error) {
	w := &Work{Binary: binary, Dir: dir, Input: input, Data: data, Out: out}
	return w, errors.Join(os.MkdirAll(dir, 0o755), w.configure(original))
}

func (w *Work) configure(where string) error {
	text := strings.NewReplacer("INPUT", w.Input, "OUT/", w.Out+"/", original, where).Replace(pipeline)
	name := filepath.Join(w.Dir, "work.hcl")
	return errors.Join(os.WriteFile(name+".new", []byte(text), 0o644), os.Rename(name+".new", name)) // a run may be reading it
}

// Change exchanges the configuration for another one that means the same, or
// back again.
func (w *Work) Change(other bool) error {
	if other {
		return w.configure(changed)
	}
	return w.configure(original)
}

// Reset removes everything that runs have left.
func (w *Work) Reset() error {
	return errors.Join(os.RemoveAll(w.Data), os.RemoveAll(w.Out), w.configure(original))
}

// MakeInput writes the records of a fleet that has a little of every trouble.
func MakeInput(name string, records int64, seed uint64) error {
	fleet, err := simulate.New(simulate.Options{
		Devices: 200, Records: records, Seed: seed, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Offline: 0.1, OfflineFor: 10 * time.Minute,
		Faults: simulate.Faults{Malformed: 0.002, OutOfRange: 0.002, Duplicated: 0.002, Missing: 0.002, Failing: 0.1, DoorMoving: 0.1},
	})
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for {
		var ok bool
		if line, _, ok = fleet.Next(line[:0]); !ok {
			break
		}
		if _, err := w.Write(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}
