package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/objects"
)

// script is all that happens to a table, in the order in which a sink does it.
var script = []string{
	"put day=1 1 2 3", "put day=1 4", "put day=2 5 6", "views", "merge", "views",
	"put day=1 7", "wait", "show", "put day=1 8 9", "merge", "sweep", "views",
	"put day=2 10", "wait", "merge", "show", "sweep", "wait", "show", "sweep",
	"put day=1 11", "merge", "wait", "show", "sweep", "wait", "sweep", "views",
}

// numbers are the rows that the steps up to one have put, as texts in order.
func numbers(upTo int) (out []string) {
	for _, step := range script[:upTo] {
		if words := strings.Fields(step); words[0] == "put" {
			out = append(out, words[2:]...)
		}
	}
	slices.Sort(out)
	return out
}

// TestScript: after every step the list has every row once, and so has the folder for whoever looks for
// *.parquet; who has read the list finds all that it names for the grace period.
func TestScript(t *testing.T) {
	w := newWorld(t)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	type snapshot struct {
		list Manifest
		at   int64
		rows []string
	}
	var snapshots []snapshot
	merged, shown := 0, 0
	for i, step := range script {
		before := w.table.list
		if err := w.do(step, uint64(i)); err != nil {
			t.Fatalf("%d %s: %v", i, step, err)
		}
		want := numbers(i + 1)
		for what, read := range map[string]func() ([]string, error){
			"the list": func() ([]string, error) { return w.listed(&w.table.list) }, "the folder": w.seen,
		} {
			if got, err := read(); err != nil || !slices.Equal(got, want) {
				t.Errorf("%d %s: %s has %v, %v; there should be %v", i, step, what, got, err, want)
			}
		}
		if strays := w.strays(); len(strays) > 0 {
			t.Errorf("%d %s: %v", i, step, strays)
		}
		if len(before.Files) > len(w.table.list.Files) {
			merged++
		}
		if step == "show" && before.Changes < w.table.list.Changes {
			shown++
		}
		snapshots = append(snapshots, snapshot{w.table.list, w.now, want})
		for k, s := range snapshots {
			if w.now-s.at >= grace {
				continue
			}
			if got, err := w.listed(&s.list); err != nil || !slices.Equal(got, s.rows) {
				t.Errorf("%d %s: who has read the list at %d finds %v, %v; not %v", i, step, k, got, err, s.rows)
			}
		}
	}
	if merged < 3 || shown < 2 || len(w.table.list.Gone) > 0 {
		t.Errorf("%d merges, %d shown, %v waits: the test proves little", merged, shown, w.table.list.Gone)
	}
	f := w.table.list.Files[0]
	if f.Merged != 2 || fmt.Sprint(f.Plugins) != "[plugin1 plugin4]" || f.Offsets[0] != (Offsets{0, 1, 4}) || f.MinTime != 1 || f.MaxTime != 4 || f.To != 2 {
		t.Errorf("what is said of a merged file: %+v", f)
	}
}

// TestCrashes cuts the power in every operation of the disk, with what is not synced lost in different ways.
func TestCrashes(t *testing.T) {
	count := newWorld(t)
	if err := count.open(); err != nil {
		t.Fatal(err)
	}
	for i, step := range script {
		if err := count.do(step, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	ops := count.sim.Ops()
	step := 1
	if testing.Short() {
		step = 5
	}
	for op := 0; op < ops; op += step {
		crashAt(t, op)
		if t.Failed() {
			t.Fatalf("the crash was in operation %d of %d", op, ops)
		}
	}
	t.Logf("%d operations", ops)
}

// crashAt runs the script with a crash, then the rest of it.
func crashAt(t *testing.T, op int) {
	t.Helper()
	w := newWorld(t)
	w.sim.Fail(env.Fault{After: op, Crash: true})
	at, crashed := 0, false
	attempt := func(f func() error) {
		defer func() {
			if p := recover(); p != nil {
				if p != any(env.ErrCrashed) {
					panic(p)
				}
				crashed = true
			}
		}()
		if err := f(); err != nil {
			crashed = true
		}
	}
	attempt(w.open)
	for ; at < len(script) && !crashed; at++ {
		attempt(func() error { return w.do(script[at], uint64(at)) })
	}
	w.sim.Heal()
	w.sim.Crash(uint64(op))
	if err := w.open(); err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	done := numbers(int(w.table.Next())) // all of it, and no part of what came behind
	if got, err := w.listed(&w.table.list); err != nil || !slices.Equal(got, done) {
		t.Errorf("step %d: after the crash the list has %v, %v; not %v", at, got, err, done)
	}
	if got, err := w.seen(); err != nil || !slices.Equal(got, done) {
		t.Errorf("step %d: after the crash the folder has %v, %v; not %v", at, got, err, done)
	}
	if at > 0 && int(w.table.Next()) < lastPut(at-1) {
		t.Errorf("step %d: what had been published is gone", at)
	}
	for i := range script { // the spool gives again what was not published
		if err := w.do(script[i], uint64(i)); err != nil {
			t.Fatalf("%s after the crash: %v", script[i], err)
		}
	}
	for range 6 {
		for _, step := range []string{"wait", "merge", "show", "sweep"} {
			if err := w.do(step, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := numbers(len(script))
	if got, err := w.listed(&w.table.list); err != nil || !slices.Equal(got, all) {
		t.Errorf("in the end the list has %v, %v", got, err)
	}
	if got, err := w.seen(); err != nil || !slices.Equal(got, all) {
		t.Errorf("in the end the folder has %v, %v", got, err)
	}
	if strays := w.strays(); len(strays) > 0 || len(w.table.list.Gone) > 0 {
		t.Errorf("in the end there are %v, and %v wait to go", strays, w.table.list.Gone)
	}
}

// lastPut is the place behind the last put before a step.
func lastPut(before int) int {
	last := 0
	for i, step := range script[:before] {
		if strings.HasPrefix(step, "put") {
			last = i + 1
		}
	}
	return last
}

// shaky is a store whose n-th put goes wrong: it does nothing, or it works and nobody hears of it.
type shaky struct {
	objects.Store
	puts, at int
	silent   bool
}

func (s *shaky) Put(ctx context.Context, name string, data []byte, when objects.Condition) (string, error) {
	s.puts++
	if s.puts-1 != s.at {
		return s.Store.Put(ctx, name, data, when)
	}
	if s.silent {
		if _, err := s.Store.Put(ctx, name, data, when); err != nil {
			return "", err
		}
	}
	return "", errors.New("the connection broke")
}

// TestLostAnswers: every put in turn fails, or its answer is lost, and the step is tried again, once with other files.
func TestLostAnswers(t *testing.T) {
	for _, silent := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			flaky := &shaky{Store: w.store, at: at, silent: silent}
			w.store = flaky
			if err := w.open(); err != nil {
				t.Fatal(err)
			}
			for i, step := range script {
				if err := w.do(step, uint64(i)); err == nil {
					continue
				}
				if step == "put day=1 7" { // the rows behind have come meanwhile
					f, data, err := fileOf(w.table, uint64(i), "day=1", "7")
					if err == nil {
						f.Plans = []string{"another"}
						err = errors.Join(w.table.Put(context.Background(), f.Name, data), w.table.Publish(context.Background(), []File{f}, nil, uint64(i)+1))
					}
					if err != nil {
						t.Fatal(err)
					}
				} else if err := w.do(step, uint64(i)); err != nil {
					t.Fatalf("put %d, silent %v: %s again: %v", at, silent, step, err)
				}
			}
			all := numbers(len(script))
			if got, err := w.listed(&w.table.list); err != nil || !slices.Equal(got, all) {
				t.Errorf("put %d, silent %v: %v, %v", at, silent, got, err)
			}
			if strays := w.strays(); len(strays) > 0 {
				t.Errorf("put %d, silent %v: %v", at, silent, strays)
			}
			if flaky.puts <= at {
				break
			}
		}
	}
}

// TestTwoWriters: of two writers of a table the later one stays, and the other finds out before anything of
// its counts.
func TestTwoWriters(t *testing.T) {
	for _, c := range []struct {
		name      string
		otherLife bool   // the second has a data folder of its own
		first     string // what the first one then tries
		want      string
	}{
		{"a new data folder, a file", true, "put day=1 8", "another engine writes table t now (life 2; this is 1)"},
		{"a new data folder, a merge", true, "merge", "another engine writes table t now (life 2; this is 1)"},
		{"a new data folder, retention", true, "retire 100", "another engine writes table t now (life 2; this is 1)"},
		{"a copied data folder", false, "put day=1 8", "somebody else has written the list of table t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.open(); err != nil {
				t.Fatal(err)
			}
			for i, step := range []string{"put day=1 1", "put day=1 2"} {
				if err := w.do(step, uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			second := &world{sim: w.sim, store: w.store, life: w.life}
			if c.otherLife {
				second.life = 0
			}
			if err := second.open(); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it does not help to try again
				if err := w.do(c.first, 5); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the first writer is told %v", err)
				}
			}
			if err := second.do("put day=1 9", 7); err != nil {
				t.Errorf("the second writer is told %v", err)
			}
			if rows, err := second.listed(&second.table.list); err != nil || fmt.Sprint(rows) != "[1 2 9]" {
				t.Errorf("there is %v, %v", rows, err)
			}
			if err := w.open(); c.otherLife && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the first writer opens again: %v", err)
			}
		})
	}
}

// TestRetire: files go when their newest row is too old, those of a merge that still waits as well.
func TestRetire(t *testing.T) {
	w := newWorld(t)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		step               string
		listed, seen, gone string
	}{
		{"put day=1 1", "[1]", "[1]", "0"},
		{"put day=1 2", "[1 2]", "[1 2]", "0"},
		{"merge", "[1 2]", "[1 2]", "2"},
		{"put day=2 3", "[1 2 3]", "[1 2 3]", "2"},
		{"retire 3", "[3]", "[1 2 3]", "3"}, // the folder has them for the grace period
		{"wait", "[3]", "[1 2 3]", "3"},
		{"show", "[3]", "[1 2 3]", "3"},
		{"sweep", "[3]", "[3]", "0"},
		{"retire 3", "[3]", "[3]", "0"},
	} {
		if err := w.do(c.step, uint64(i)); err != nil {
			t.Fatal(err)
		}
		listed, err := w.listed(&w.table.list)
		seen, err2 := w.seen()
		if got := fmt.Sprint(listed, seen, len(w.table.list.Gone), errors.Join(err, err2)); got != c.listed+" "+c.seen+" "+c.gone+" <nil>" {
			t.Errorf("%s: %s", c.step, got)
		}
	}
	if strays := w.strays(); len(strays) > 0 {
		t.Error(strays)
	}
}

// TestRefused: what a table cannot be opened over, and what merging leaves alone.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *world) error
		want  string
	}{
		{"files without a list", func(w *world) error { return w.store.Delete(context.Background(), listName("t")) }, "there are 2 files of a table t"},
		{"a list that is no JSON", func(w *world) error { return over(w, listName("t"), "{") }, "cannot be read"},
		{"a list of the future", func(w *world) error { return over(w, listName("t"), `{"version": 99, "table": "t"}`) }, "is of version 99"},
		{"another table's list", func(w *world) error { return over(w, listName("t"), `{"version": 1, "table": "u"}`) }, `table "u"`},
		{"a damaged file", func(w *world) error { return over(w, w.table.list.Files[0].Name, "PAR1") }, ""},
	} {
		w := newWorld(t)
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.do("put day=1 1", 0), w.do("put day=1 2", 1), c.spoil(w)); err != nil {
			t.Fatal(err)
		}
		err := w.open()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err == nil {
			if err := w.do("merge", 2); !errors.Is(err, ErrDamaged) || len(w.table.list.Files) != 2 {
				t.Errorf("%s: merged: %v", c.name, err)
			}
		}
	}
}

func over(w *world, name, text string) error {
	_, err := w.store.Put(context.Background(), name, []byte(text), objects.Condition{})
	return err
}
