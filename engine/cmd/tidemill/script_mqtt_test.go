package main

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/conformance/ports"
)

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	address, release, err := ports.Reserve()
	ts.Check(err)
	ts.Defer(release)
	_, port, err := net.SplitHostPort(address)
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func containsRecords(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: contains OUT WANT TIMES")
	}
	times, err := strconv.Atoi(args[2])
	ts.Check(err)
	out, want := recordsOf(ts.ReadFile(args[0])), recordsOf(ts.ReadFile(args[1]))
	if len(want) == 0 {
		ts.Fatalf("%s holds no records", args[1])
	}
	for key, n := range want {
		if out[key] != times*n {
			ts.Fatalf("%s is %d times in %s, and %d times in %s", key, out[key], args[0], n, args[1])
		}
	}
	if len(out) != len(want) {
		ts.Fatalf("%d records in %s, %d in %s", len(out), args[0], len(want), args[1])
	}
}

// recordsOf counts lines by device and seq; those that are no JSON are left out.
func recordsOf(text string) map[string]int {
	out := map[string]int{}
	for line := range strings.Lines(text) {
		var r struct {
			Device, Site string
			Seq          int
		}
		if json.Unmarshal([]byte(line), &r) == nil {
			out[r.Device+" "+r.Site+" "+strconv.Itoa(r.Seq)]++
		}
	}
	return out
}
