package plan_test

import (
	"strings"
	"testing"
)

const together = `channel "c" {
  partitions = 4
  key        = device
  schema     = { device = string, site = string, n = number }
}
pipeline "p" {
  from = channel.c
  window "tumbling" "a" {
    by    = [site]
    every = "5m"
    emit  = { hi = max(n) }
  }
  window "sliding" "b" {
    size   = "10m"
    every  = "5m"
    phases = 1
    emit   = { hi = max(n) }
  }
  window "session" "c" {
    by   = [site]
    gap  = "5m"
    emit = { hi = max(n) }
  }
  window "session" "f" {
    by    = [site]
    gap   = "5m"
    grace = "10s"
    emit  = { hi = max(n) }
  }
  window "session" "g" {
    by     = [site]
    gap    = "5m"
    phases = 2
    emit   = { hi = max(n) }
  }
  window "session" "h" {
    by     = [site]
    gap    = "5m"
    grace  = "10s"
    early  = "1m"
    phases = 2
    emit   = { hi = max(n) }
  }
  window "session" "i" {
    by    = [site]
    gap   = "5m"
    grace = "10s"
    idle  = "1m"
    emit  = { hi = max(n) }
  }
  window "session" "j" {
    by     = [site]
    gap    = "5m"
    grace  = "10s"
    phases = 1
    emit   = { hi = max(n) }
  }
  window "count" "d" {
    by   = [site]
    size = 5
    emit = { hi = max(n) }
  }
  window "tumbling" "e" {
    by    = [device, site]
    every = "5m"
    emit  = { hi = max(n) }
  }
  sink "file" "out" {
    from = [window.a, window.b, window.c, window.d, window.e, window.f, window.g, window.h, window.i, window.j]
    path = "out.ndjson"
  }
}
`

// TestPhases: a plan says in how many phases windows are made, and why; with one partition that is no question.
func TestPhases(t *testing.T) {
	want := map[string]string{
		"a~parts": "first of two: it makes a part of each result where the rows are",
		"a":       "second of two: it merges what window.a~parts makes in 4 partitions",
		"b":       "one: the rows themselves are brought together, since phases = 1 asks for it",
		"c":       "one: the rows themselves are brought together, since without a grace hardly a row could wait for others in its partition; phases = 2 asks for parts",
		"d":       "one: the rows themselves are brought together, since it depends on the order of the rows of all partitions",
		"e":       "",
		"f~parts": "first of two: it makes a part of each result where the rows are",
		"f":       "second of two: it merges what window.f~parts makes in 4 partitions",
		"g~parts": "first of two: it makes a part of each result where the rows are",
		"g":       "second of two: it merges what window.g~parts makes in 4 partitions",
		"h":       "one: the rows themselves are brought together, since early shows sessions that are open, in the order in which their rows came",
		"i":       "one: the rows themselves are brought together, since idle shows sessions that are open, in the order in which their rows came",
		"j":       "one: the rows themselves are brought together, since phases = 1 asks for it",
	}
	p := build(t, []byte(together))
	seen := 0
	for _, s := range p.Explain().Pipelines[0].Stages {
		name, is := strings.CutPrefix(s.Address, "pipeline.p.window.")
		if !is {
			continue
		}
		if seen++; s.Phases != want[name] {
			t.Errorf("%s: %q, want %q", name, s.Phases, want[name])
		}
	}
	if seen != len(want) {
		t.Errorf("%d windows, want %d", seen, len(want))
	}
	for _, s := range build(t, []byte(strings.Replace(together, "partitions = 4", "partitions = 1", 1))).Explain().Pipelines[0].Stages {
		if s.Phases != "" {
			t.Errorf("with one partition %s is made in phases: %s", s.Address, s.Phases)
		}
	}
}
