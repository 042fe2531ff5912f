package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Files are the results that a run leaves in Work.Out.
var files = [...]string{"rows.ndjson", "windows.ndjson", "alarms.ndjson", "scores.ndjson", "rejects.ndjson"}

// Result is what a run has written: the lines of each file, sorted.
type Result map[string][]string

// Result reads what has been written.
func (w *Work) Result() (Result, error) {
	own := regexp.MustCompile(`"(offset|received)":("[^"]*"|[0-9]+),`)
	r := Result{}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(w.Out, name))
		if err != nil {
			return nil, err
		}
		if name == "rejects.ndjson" {
			text = own.ReplaceAll(text, nil)
		}
		list := strings.Split(string(bytes.TrimSuffix(text, []byte("\n"))), "\n")
		slices.Sort(list)
		r[name] = list
	}
	return r, nil
}

// Size returns the number of lines of each file, for a person.
func (r Result) Size() string {
	var out []string
	for _, name := range files {
		out = append(out, fmt.Sprintf("%d %s", len(r[name]), strings.TrimSuffix(name, ".ndjson")))
	}
	return strings.Join(out, ", ")
}

// Diff returns nil when got holds the same lines as often, in any order, and
// otherwise an error that shows the first of those that are missing or too many.
func (r Result) Diff(got Result) error {
	var out []string
	for _, name := range files {
		missing, extra := diff(r[name], got[name])
		if len(missing)+len(extra) == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("%s: %d of %d lines missing, %d too many", name, len(missing), len(r[name]), len(extra)))
		out = append(out, show("missing", missing)...)
		out = append(out, show("too many", extra)...)
	}
	if out == nil {
		return nil
	}
	return fmt.Errorf("the output differs from that of an undisturbed run:\n%s", strings.Join(out, "\n"))
}

// diff compares sorted lists.
func diff(want, got []string) (missing, extra []string) {
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case j == len(got) || i < len(want) && want[i] < got[j]:
			missing = append(missing, want[i])
			i++
		case i == len(want) || got[j] < want[i]:
			extra = append(extra, got[j])
			j++
		default:
			i, j = i+1, j+1
		}
	}
	return missing, extra
}

func show(what string, lines []string) []string {
	var out []string
	for _, l := range lines[:min(5, len(lines))] {
		out = append(out, fmt.Sprintf("  %s: %s", what, l))
	}
	return out
}
