package sinkparquet

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestLives: a new data folder goes on beside what an old one has written, which then may write no more.
func TestLives(t *testing.T) {
	b := newBench(t, "", sample())
	b.rows(header + "2026-01-01T00:00:00Z 0 a oslo 2026-01-01T00:00:00Z 1\n")
	b.spool = append(b.spool, entry{tick: 1e6, ended: true})
	b.feed(0)
	old := b.sink
	if err := b.notes.Delete(context.Background(), b.noteName()); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.feed(0)
	rows, names := b.lines("device")
	if len(rows) != 2 || names[1] != "lake-2.0-00000000000000000000.parquet" {
		t.Errorf("%q in %q", rows, names)
	}
	old.Place(7)
	if err := old.Write(context.Background(), 0, b.spool[0].rows); err != nil {
		t.Fatal(err)
	}
	err := old.Tick(context.Background(), 9e6, true)
	if err == nil || !strings.Contains(err.Error(), "another engine writes table lake") {
		t.Errorf("the old life: %v", err)
	}
	old.Close()
}

// TestNoteSettled: a note that a killed process had not made durable is so before the list is of its life: without it a new life would begin, and
// write once more what this one has written.
func TestNoteSettled(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t, "", sample())
		machine := env.NewSim(seed)
		b.env = machine.Env()
		name := filepath.Join(b.dir, "data", "lake", b.noteName())
		err := b.env.FS.MkdirAll(filepath.Dir(name))
		if err == nil {
			err = env.WriteWhole(b.env.FS, name+".new", []byte(`{"life":1}`))
		}
		if err == nil {
			err = b.env.FS.Rename(name+".new", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		machine.Kill()
		b.open()
		machine.Crash(seed)
		if _, err := env.ReadWhole(b.env.FS, name, env.AnySize); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
