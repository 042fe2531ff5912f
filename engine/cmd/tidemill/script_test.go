package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tidemill": func() { os.Exit(tidemill()) }})
}

// TestScripts runs testdata/script/*.txtar: command lines as people type them,
// with what they print and how they exit. Beside testscript's own commands there are
//
//	exits CODE PROGRAM ARG...   runs a program that must exit with this code
//	settled DATA RECORDS        waits until the engine on DATA has processed and
//	                            committed so many records
//	tells FILE PATTERN          waits until a line of the file, which somebody writes, matches
//	freeport NAME               sets NAME to a port that nobody listens on
//	guest VERSION FILE          writes a plugin's module, over, as that version
//	contains OUT WANT TIMES     every device and seq of WANT is in OUT so many times, and no other
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "", // writes what cmp has found into the scripts
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "settled": settled, "tells": tells, "freeport": freePort, "contains": containsRecords, "guest": guest},
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			guests, err := filepath.Abs("../../wasm/testdata")
			e.Setenv("GUESTS", guests)
			return err
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func settled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: settled DATA RECORDS")
	}
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	data := filepath.Join(ts.Getenv("WORK"), args[0])
	c := admin.NewClient(data)
	const attempts, pause = 6000, 20 * time.Millisecond
	for range attempts {
		s, err := c.Status(context.Background())
		if t := s.Totals(); err == nil && t.Records == want && t.Lag == 0 && committed(ts, data, want) {
			return
		}
		time.Sleep(pause)
	}
	s, err := c.Status(context.Background())
	ts.Fatalf("the engine has not come to %d records: %+v, %v", want, s.Totals(), err)
}

func tells(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tells FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	const attempts, pause = 6000, 20 * time.Millisecond
	var text []byte
	for range attempts {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && pattern.Match(text) {
			return
		}
		time.Sleep(pause)
	}
	ts.Fatalf("%s has nothing that matches %s: %s", args[0], args[1], text)
}

// committed tells that the newest checkpoint covers so many records. It counts
// offsets, so the scripts' engines hardly tick.
func committed(ts *testscript.TestScript, data string, want int64) bool {
	h, err := run.ReadHeld(env.Real(), data)
	ts.Check(err)
	var n uint64
	for _, ch := range h.Channels {
		n += ch.Offset
	}
	return n >= uint64(want)
}
