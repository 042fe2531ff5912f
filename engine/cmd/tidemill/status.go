package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// statusLine is how a run is going, on one line.
func statusLine(last, now run.Status, began time.Time) string {
	t, was := now.Totals(), last.Totals()
	parts := []string{now.Time.Sub(began).Truncate(time.Second).String()}
	if p := progress(now); p != "" {
		parts = append(parts, p)
	}
	records := "records " + thousands(t.Records)
	if dt := now.Time.Sub(last.Time).Seconds(); dt > 0 && t.Records > was.Records {
		records += " (" + perSecond(float64(t.Records-was.Records)/dt) + ")"
	}
	parts = append(parts, records, "rows "+thousands(t.Rows), "rejects "+thousands(t.Rejects), "lag "+thousands(int64(t.Lag)))
	for _, kind := range []string{"window", "alarm"} {
		if slices.Contains(now.Kinds(), kind) {
			parts = append(parts, kind+"s "+thousands(now.Rows(kind)))
		}
	}
	if t.Lost > 0 {
		parts = append(parts, "LOST "+thousands(t.Lost))
	}
	return strings.Join(append(parts, checkpointPart(now)), "  ")
}

func checkpointPart(s run.Status) string {
	c := s.Checkpoint
	if c.Epoch == 0 {
		return "no checkpoint yet"
	}
	out := fmt.Sprintf("checkpoint %d", c.Epoch)
	if c.At.IsZero() {
		return out
	}
	return out + fmt.Sprintf(" (%s ago)", s.Time.Sub(c.At).Round(100*time.Millisecond))
}

// progress is how much of the bounded inputs has been read, such as "43 %".
func progress(s run.Status) string {
	var done, total int64
	for _, i := range s.Ingests {
		done, total = done+i.Done, total+i.Total
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%3d %%", min(100, done*100/total))
}

// ending is how a run has ended.
func ending(err error, interrupted bool) string {
	switch {
	case err != nil:
		return "Stopped by an error"
	case interrupted:
		return "Interrupted"
	}
	return "Finished"
}

// summary is what a run has done, behind its ending.
func summary(s run.Status, began time.Time) string {
	t, took := s.Totals(), s.Time.Sub(began)
	var rows [][2]string
	add := func(name string, value string) { rows = append(rows, [2]string{name, value}) }
	speed := ""
	if sec := took.Seconds(); sec > 0 {
		speed = "  (" + perSecond(float64(t.Records)/sec) + ")"
	}
	add("records", thousands(t.Records)+speed)
	add("rows decoded", thousands(t.Rows))
	add("rejects", thousands(t.Rejects))
	if t.Lost > 0 {
		add("LOST records", thousands(t.Lost))
	}
	for _, i := range s.Ingests {
		if i.LastError != "" {
			add(i.Address, "failing: "+i.LastError)
		}
	}
	for _, st := range s.Stages {
		add(short(st.Address), rowsOf(st.Rows)+counted(st.Counters))
	}
	for _, k := range s.Sinks {
		value := rowsOf(k.Rows) + " written"
		if k.Waiting > 0 { // the next run goes on with them
			value += ", " + batchesOf(k.Waiting, "waits", "wait") + " on disk"
		}
		value += counted(k.Counters)
		if k.LastError != "" {
			value += "; failing: " + k.LastError
		}
		add(short(k.Address), value)
	}
	if s.Checkpoint.Epoch > 0 {
		add("checkpoint", strconv.FormatUint(s.Checkpoint.Epoch, 10))
	}
	out := fmt.Sprintf(" after %s.\n", took.Round(10*time.Millisecond))
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r[0]))
	}
	for _, r := range rows {
		out += fmt.Sprintf("  %-*s  %s\n", wide, r[0], r[1])
	}
	return strings.TrimSuffix(out, "\n")
}

// counted lists a stage's own counters, such as ", late_dropped 3".
func counted(counters map[string]int64) string {
	out := ""
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		out += ", " + name + " " + thousands(counters[name])
	}
	return out
}

// gauged writes how many there are of what, as counted does.
func gauged(gauges map[string]int64) string {
	out := ""
	for _, name := range slices.Sorted(maps.Keys(gauges)) {
		if gauges[name] > 0 {
			out += ", " + thousands(gauges[name]) + " " + name
		}
	}
	return out
}

// short is an address without the word pipeline.
func short(address string) string { return strings.TrimPrefix(address, "pipeline.") }

// thousands writes a number with commas between groups of three digits.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// perSecond writes a rate with three digits at most, such as "1.2 M/s".
func perSecond(rate float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e6, " M/s"}, {1e3, " k/s"}} {
		if rate >= u.size {
			digits := 1
			if rate >= 100*u.size {
				digits = 0
			}
			return strconv.FormatFloat(rate/u.size, 'f', digits, 64) + u.name
		}
	}
	return strconv.FormatFloat(rate, 'f', 0, 64) + "/s"
}

func rowsOf(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return thousands(n) + " rows"
}

// batchesOf writes how much of a sink's spool is left; how many rows it holds is not known before it is read.
func batchesOf(n uint64, one, many string) string {
	if n == 1 {
		return "1 batch " + one
	}
	return thousands(int64(n)) + " batches " + many
}
