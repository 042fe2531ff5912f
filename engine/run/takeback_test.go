package run

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// TestSpoolTakesBack: what a spool gives out is what its tokens covered, whatever crashes have left behind each of them, and
// offsets that a token covered are not given out again where the log is gone.
func TestSpoolTakesBack(t *testing.T) {
	if RaceDetector {
		t.Skip("one goroutine")
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	machine, ctx := env.NewSim(1), context.Background()
	o := &Options{Report: func(string) {}}
	var token []byte
	ended := uint64(0)
	var want, got []int64 // how many rows the batches have that a token covers
	for life := range 6 {
		s, err := openSpool(machine.Env(), "/spool", token, o)
		if err != nil {
			t.Fatal(err)
		}
		was := s.committed.Load()
		if was != ended {
			t.Errorf("life %d: at a start %d may be read, and not %d", life, was, ended)
		}
		batch := func(n int) {
			rows := spoolBatch(alloc, n, false)
			defer rows.Release()
			if err := s.Write(ctx, 0, rows); err != nil {
				t.Fatal(err)
			}
		}
		batch(10*life + 1)
		batch(10*life + 2)
		next, err := s.Prepare(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if at := s.committed.Load(); at != was {
			t.Errorf("life %d: a token that no checkpoint holds lets %d be read, and %d before", life, at, was)
		}
		if life%3 != 2 { // else its checkpoint never was
			token, want = next, append(want, int64(10*life+1), int64(10*life+2))
			if err := s.Commit(ctx, token); err != nil {
				t.Fatal(err)
			}
			ended = s.committed.Load()
		}
		batch(10*life + 3)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		if life == 4 { // the last one reads all
			got = readSpool(t, s, alloc)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("batches of %d rows were read, and %d were committed", got, want)
	}
	var end spoolToken
	if err := json.Unmarshal(token, &end); err != nil {
		t.Fatal(err)
	}
	s, err := openSpool(machine.Env(), "/another", token, o) // the log is gone
	if err != nil {
		t.Fatal(err)
	}
	if _, at := s.log.Bounds(0); at != end.End || s.next != end.End {
		t.Errorf("a spool without its log goes on at %d, and %d were committed", at, end.End)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// readSpool reads what may be read of a spool, as a deliverer does: the number of rows of each batch.
func readSpool(t *testing.T, s *spool, alloc memory.Allocator) (out []int64) {
	r, err := s.log.Read(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if b == nil || err != nil {
			return out
		}
		for i := range b.Count {
			at := b.First + uint64(i)
			if s.void(at) || at >= s.committed.Load() {
				continue
			}
			rows, err := s.decode(b.Record(i), alloc)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rows.NumRows())
			rows.Release()
		}
		b.Release()
	}
}

// TestStrandedCounts: of a spool that nobody delivers those batches are told of that are neither delivered nor void.
func TestStrandedCounts(t *testing.T) {
	machine := env.NewSim(1)
	f, err := func() (env.File, error) {
		if err := machine.Env().FS.MkdirAll("/data/spool/a.12345678"); err != nil {
			return nil, err
		}
		return machine.Env().FS.Open("/data/spool/a.12345678/x", env.Create)
	}()
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for _, c := range []struct {
		end, done uint64
		voids     [][2]uint64
		want      uint64
	}{
		{10, 4, nil, 6},
		{10, 10, nil, 0},
		{10, 4, [][2]uint64{{2, 6}, {8, 9}, {9, 20}}, 2},
		{10, 4, [][2]uint64{{4, 10}}, 0},
	} {
		token, err := json.Marshal(spoolToken{End: c.end, Voids: c.voids})
		if err != nil {
			t.Fatal(err)
		}
		ck := &checkpoint{Tokens: map[string][]byte{"a 12345678": token}, Delivered: map[string]uint64{"a 12345678": c.done}}
		got := uint64(0)
		for _, s := range ck.spools(machine.Env(), "/data") {
			got += s.Batches
		}
		if got != c.want {
			t.Errorf("%v: %d batches", c, got)
		}
	}
}

// TestSeldomNeeded: a file is needed while any table of any partition has something newest there.
func TestSeldomNeeded(t *testing.T) {
	have := []segment{{1, 10}, {4, 10}, {9, 10}}
	for _, c := range []struct{ oldest, want []uint64 }{
		{[]uint64{4, 9}, []uint64{4, 9}},
		{[]uint64{9, 4}, []uint64{4, 9}},
		{[]uint64{9, 0}, []uint64{9}},
		{[]uint64{9, 1, 4}, []uint64{1, 4, 9}},
		{[]uint64{0, 0}, nil},
	} {
		var parts []partState
		for _, o := range c.oldest {
			parts = append(parts, partState{oldest: o, seldomSize: 7})
		}
		out, size := needed(have, parts)
		var got []uint64
		for _, s := range out {
			got = append(got, s.Epoch)
		}
		if !slices.Equal(got, c.want) || size != 7*int64(len(parts)) {
			t.Errorf("of what is oldest in %d, files %d are needed", c.oldest, got)
		}
	}
}

// TestSeldomGoesOn: a checkpoint that goes on in the file of one before tells of that file once, and of all that it has there.
func TestSeldomGoesOn(t *testing.T) {
	s, err := openStore(env.NewSim(1).Env(), "/checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	table := state.New(state.Decl{Name: "m", Digest: "1", MaxKeys: 9, Seldom: true, Columns: []state.Column{{Name: "x", Type: state.I64}}})
	var have []segment
	for epoch := uint64(1); epoch < 5; epoch++ {
		if _, _, err := table.Slot([]byte{byte(epoch)}); err != nil {
			t.Fatal(err)
		}
		p := partState{Channel: "c"}
		p.snapshot("a", table, &request{epoch: epoch, place: 1})
		c, size := &checkpoint{Epoch: epoch, Parts: []partState{p}, Seldom: slices.Clone(have)}, int64(0)
		if len(have) > 0 {
			size = have[0].Bytes
		}
		n, err := s.writeSeldom(c, 1)
		if err != nil || n == 0 || len(c.Seldom) != 1 || c.Seldom[0] != (segment{1, size + n}) {
			t.Fatalf("%d bytes behind %d make %v, %v", n, size, c.Seldom, err)
		}
		have = c.Seldom
	}
}

// TestSeenAgain: rows that were seen are forgotten in the order in which they came, also by who goes on with the table,
// and though the clock was set back in between.
func TestSeenAgain(t *testing.T) {
	ch := &plan.Channel{Config: &config.Channel{Name: "c", Dedupe: &config.Dedupe{Keys: []string{"k"}, Max: 3, Within: time.Hour}}}
	table := state.New(ch.SeenDecl())
	s := newSeen(ch.Config.Dedupe, table, memory.DefaultAllocator)
	s.found = newRepeats(ch.RepeatsDecl(), 0)
	see := func(key string, at int64) bool {
		sought := []state.Sought{{Key: []byte(key)}}
		table.Seek(sought)
		return s.before(&sought[0], at)
	}
	for i, key := range []string{"a", "b", "c", "d"} { // d takes the place of a
		if see(key, 1000-int64(i)) {
			t.Errorf("%s was not seen", key)
		}
	}
	s = newSeen(ch.Config.Dedupe, table, memory.DefaultAllocator)
	for i, c := range []struct {
		key string
		was bool
	}{{"b", true}, {"c", true}, {"e", false}, {"b", false}, {"d", true}, {"e", true}, {"c", false}, {"e", true}, {"b", true}, {"d", false}} {
		if got := see(c.key, 500); got != c.was {
			t.Errorf("%d: %s was seen: %v", i, c.key, got)
		}
		s = newSeen(ch.Config.Dedupe, table, memory.DefaultAllocator)
	}
}

// TestBarrierClock: what the barriers of all tasks say is that of the one that is furthest, and an end if it is everybody's.
func TestBarrierClock(t *testing.T) {
	for _, ends := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
			s := &sinker{tasks: 2}
			for _, lane := range order {
				m := flow.Watermarks{Tick: 99, Ended: false} // of the lane of rejects
				if lane < 2 {
					m = flow.Watermarks{Tick: int64(10 + lane), Ended: ends[lane]}
				}
				s.noteBarrier(lane, m)
			}
			if s.clock.tick != 11 || s.clock.ended != (ends[0] && ends[1]) {
				t.Errorf("ends %v in the order %d make %+v", ends, order, s.clock)
			}
		}
	}
}
