// Command tally reads `go test -json` and writes what a person wants of it: a
// line a package, the output of what failed, and the counts at the end.
//
// Imports: nothing
//
// Not here: the tests. Everything is in main.go.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
	Elapsed    float64
}

// tally counts tests and subtests alike.
type tally struct {
	to                   io.Writer
	passed, failed, skip int
	packages, broken     int
	counts               map[string]int      // passed tests, by package
	output               map[string][]string // by package and test
	failures             []string
	skips                []string
}

func main() {
	t := &tally{to: os.Stdout, counts: map[string]int{}, output: map[string][]string{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	t.sum()
	if t.failed+t.broken > 0 || t.packages == 0 {
		os.Exit(1)
	}
}

func (t *tally) read(from io.Reader) error {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(t.to, in.Text()) // the go command itself has something to say
			continue
		}
		t.take(e)
	}
	return in.Err()
}

func (t *tally) take(e event) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.to, e.Output)
	case "output":
		t.output[id] = append(t.output[id], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.packageDone(e)
		} else {
			t.testDone(e, id)
		}
		delete(t.output, id)
	}
}

func (t *tally) testDone(e event, id string) {
	switch e.Action {
	case "pass":
		t.passed++
		t.counts[e.Package]++
	case "skip":
		t.skip++
		t.skips = append(t.skips, id)
	case "fail":
		t.failed++
		t.failures = append(t.failures, id)
		fmt.Fprint(t.to, strings.Join(t.output[id], ""))
	}
}

func (t *tally) packageDone(e event) {
	t.packages++
	switch {
	case e.Action == "fail":
		t.broken++
		t.unfinished(e.Package)
		fmt.Fprintf(t.to, "FAIL  %s\n", e.Package)
	case t.counts[e.Package] > 0:
		fmt.Fprintf(t.to, "ok    %-60s %5d passed  %6.1fs\n", e.Package, t.counts[e.Package], e.Elapsed)
	}
}

// unfinished writes what a package that failed has said outside of tests, and
// in tests that never ended: a panic, or the stacks of a time-out.
func (t *tally) unfinished(pkg string) {
	var ids []string
	for id := range t.output {
		if strings.HasPrefix(id, pkg+" ") {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	for _, id := range ids {
		fmt.Fprint(t.to, strings.Join(t.output[id], ""))
		delete(t.output, id)
	}
}

func (t *tally) sum() {
	sort.Strings(t.failures)
	for _, id := range t.failures {
		fmt.Fprintln(t.to, "FAIL ", id)
	}
	sort.Strings(t.skips)
	for _, id := range t.skips {
		fmt.Fprintln(t.to, "skip ", id)
	}
	fmt.Fprintf(t.to, "%d passed, %d failed, %d skipped in %d packages, %d of which failed\n", t.passed, t.failed, t.skip, t.packages, t.broken)
}
