package run

import (
	"context"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestFeedTakesBack: what may be read of a feed is what its latest committed token covers, also after a start; what a crash has left
// behind a token is void, and offsets that a token covered are not given out again where the log is gone.
func TestFeedTakesBack(t *testing.T) {
	if RaceDetector {
		t.Skip("one goroutine")
	}
	machine, ctx := env.NewSim(1), context.Background()
	open := func(data string, token []byte) *feed {
		e := &Engine{env: machine.Env(), o: Options{Data: data, Report: func(string) {}}, taskBell: &bells{}}
		f, err := e.openFeed("a feed", "c", 2, 2, 0, token)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	shown := func(f *feed) (out []uint64) {
		for p := range f.committed {
			out = append(out, f.committed[p].Load())
		}
		return out
	}
	cut := func(f *feed, lanes ...int) {
		for _, lane := range lanes {
			if err := f.cut(lane, 1, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	var token []byte
	var last []uint64
	void := make([]int, 4) // records that no token covered, by partition
	for life := range 4 {
		f := open("/data", token)
		if got := shown(f); token != nil && !slices.Equal(got, last) {
			t.Errorf("life %d: at a start %d may be read, and not %d", life, got, last)
		}
		was := shown(f)
		if life == 0 {
			from := len(f.buf)
			f.buf = append(f.buf, feedRows)
			f.add(1, from, true)
		}
		cut(f, 0, 1, 1)
		next, err := f.Prepare(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(f); !slices.Equal(got, was) {
			t.Errorf("life %d: a token that no checkpoint holds lets %d be read, and %d before", life, got, was)
		}
		if err := f.Commit(ctx, next); err != nil {
			t.Fatal(err)
		}
		token, last = next, shown(f)
		if n := f.committedRows[1].Load(); n != 1 {
			t.Errorf("life %d: the last rows of a partition end at %d, and not at 1", life, n)
		}
		for p, n := range last {
			covered := 0
			for at := range n {
				if !f.void(p, at) {
					covered++
				}
			}
			want := (1 + p/2) * (life + 1)
			if p == 1 {
				want++ // rows
			}
			if covered != want || int(n)-covered != void[p] {
				t.Errorf("life %d: partition %d has %d records that were committed, and not %d, and %d void", life, p, covered, want, int(n)-covered)
			}
		}
		cut(f, 1) // the machine crashes before this is committed
		if err := f.flush(); err != nil {
			t.Fatal(err)
		}
		void[2], void[3] = void[2]+1, void[3]+1
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f := open("/another", token)
	for p, n := range last {
		if _, end := f.log.Bounds(p); end != n {
			t.Errorf("partition %d of a feed without its log goes on at %d, and %d were committed", p, end, n)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
