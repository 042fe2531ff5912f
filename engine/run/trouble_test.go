package run_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// TestTroubleShows: what keeps records from coming in, checkpoints from being written and rows from being delivered is in the status
// while it lasts, and no longer.
func TestTroubleShows(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(l *lab)
		says   string
		of     func(s run.Status) string
	}{
		{"an ingest cannot read its file", func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpOpen, Name: "/in", Err: syscall.EACCES, Times: -1})
		}, "permission denied", func(s run.Status) string { return s.Ingests[0].LastError }},
		{"the journal's disk is full", func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpWrite, Name: "/data/journal", Err: syscall.ENOSPC, Times: -1})
		}, "the disk is full", func(s run.Status) string { return s.Channels[0].LastError }},
		{"checkpoints cannot be written", func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpWrite, Name: ".checkpoint", Err: syscall.ENOSPC, Times: -1})
		}, "no space left", func(s run.Status) string { return s.Checkpoint.LastError }},
		{"a server is down", func(l *lab) { l.far.set(errors.New("down"), false) },
			"down", func(s run.Status) string { return s.Sinks[0].LastError }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newSharedLab(t)
			l.feed(records(0, 2000))
			e := l.open(telemetry+followed+server, false)
			c.before(l)
			l.steps(func() bool { return strings.Contains(c.of(e.Status()), c.says) })
			l.machine.Heal()
			l.far.set(nil, false)
			l.steps(func() bool { return l.far.count() == 2000 })
			l.settle()
			if why := c.of(e.Status()); why != "" {
				t.Errorf("%q is told and over", why)
			}
			l.close()
		})
	}
}

// TestToldOnceAMinute: a sink that fails and works by turns is told of as one that is down is.
func TestToldOnceAMinute(t *testing.T) {
	l := newLab(t)
	e := l.open(telemetry+followed+server, false)
	sent, failed := 0, int64(0)
	for began := l.machine.Env().Clock.Now(); l.machine.Env().Clock.Now().Sub(began) < 50*time.Second; {
		l.far.set(errors.New("down"), false)
		l.feed(records(sent, 10))
		sent += 10
		failed = e.Status().Sinks[0].Failures
		l.steps(func() bool { return e.Status().Sinks[0].Failures > failed })
		l.far.set(nil, false)
		l.steps(func() bool { return l.far.count() == sent })
	}
	told := 0
	for _, r := range l.reports {
		if strings.Contains(r, "down; trying again") {
			told++
		}
	}
	if told != 1 || failed < 20 {
		t.Errorf("told %d times of %d failures", told, failed)
	}
	l.close()
}
