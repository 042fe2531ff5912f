package sim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// keptDir holds scenarios that once failed, as they were drawn: configuration and input, in files named by the seed
// of what was done to them. They do not change with the generator.
const keptDir = "testdata/kept"

// otherwise is how many other seeds of what is done a kept scenario is run with: how a seed disturbs
// changes with the engine, whose actors it lets move.
const otherwise = 4

// TestKept runs the scenarios that are kept.
func TestKept(t *testing.T) {
	alone(t)
	names, err := filepath.Glob(keptDir + "/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(err, len(names))
	}
	for _, name := range names {
		seed, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".txtar"), 10, 64)
		if err != nil {
			t.Fatalf("%s is not named by a seed", name)
		}
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var s scenario
		for _, f := range a.Files {
			switch f.Name {
			case "config.hcl":
				s.config = string(f.Data)
			case "input":
				s.input = f.Data
			case "second":
				s.second = f.Data
			default:
				t.Fatalf("%s has a file %q", name, f.Name)
			}
		}
		s.malformed = cutShort(s.input) + cutShort(s.second)
		for n := range uint64(1 + otherwise) {
			if _, err := try(s, seed+n*1_000_003); err != nil {
				t.Errorf("%s, disturbed by seed %d: %v", name, seed+n*1_000_003, err)
			}
		}
	}
}

// cutShort counts the records that makeInput has cut short.
func cutShort(records []byte) int { return bytes.Count(records, []byte("\"ts\":\n")) }

// keep writes a scenario down.
func keep(s scenario, seed uint64) (string, error) {
	a := &txtar.Archive{Files: []txtar.File{{Name: "config.hcl", Data: []byte(s.config)}, {Name: "input", Data: s.input}, {Name: "second", Data: s.second}}}
	name := fmt.Sprintf("%s/%d.txtar", keptDir, seed)
	return name, os.WriteFile(name, txtar.Format(a), 0o644)
}
