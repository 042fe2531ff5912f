package hostile

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/wasm"
)

const (
	besideRows   = 16_384                 // of a batch of the neighbour, which takes some 50 us
	besidePause  = 200 * time.Microsecond // between two of its batches
	besideWindow = 60 * time.Millisecond  // of the neighbour alone, then with the offender beside it
	besideRounds = 6
)

// neighbour is a well-behaved plugin that processes a batch again and again.
type neighbour struct {
	runner *wasm.Runner
	in     wasm.Input
}

// kept gives buffers of one size again and again: what is measured is not the neighbour's own garbage.
type kept struct {
	memory.Allocator
	free [][]byte
}

func (k *kept) Allocate(size int) []byte {
	for i, b := range k.free {
		if len(b) == size {
			k.free = append(k.free[:i], k.free[i+1:]...)
			return b
		}
	}
	return k.Allocator.Allocate(size)
}

func (k *kept) Free(b []byte) { k.free = append(k.free, b) }

func newNeighbour(t *testing.T, p *wasm.Plugin) *neighbour {
	s := newScene(t, p, 9)
	runner, err := p.NewRunner(wasm.RunnerOptions{Alloc: &kept{Allocator: memory.DefaultAllocator}, Settings: s.settings, Tables: s.tables})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runner.Close)
	slot, _, err := s.tables[1].Slot([]byte("truck"))
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewFloat64Builder(s.mem)
	defer b.Release()
	in := wasm.Input{Rows: besideRows, Received: make([]arrow.Timestamp, besideRows)}
	for i := range besideRows {
		b.Append(float64(i % 100))
		in.Keys, in.Offsets, in.Indexes = append(in.Keys, slot), append(in.Offsets, int64(i)), append(in.Indexes, 0)
	}
	col := b.NewArray()
	t.Cleanup(col.Release)
	in.Columns = []arrow.Array{col}
	return &neighbour{runner, in}
}

// run processes batches for a while and tells how long each took from when it was due.
func (n *neighbour) run(long time.Duration, times []time.Duration) []time.Duration {
	for end := time.Now().Add(long); ; {
		due := time.Now().Add(besidePause)
		if due.After(end) {
			return times
		}
		for time.Now().Before(due) { // a sleep would measure the scheduler's timers
			runtime.Gosched()
		}
		n.batch()
		times = append(times, time.Since(due))
	}
}

func (n *neighbour) batch() {
	out := n.runner.Run(n.in)
	for _, c := range out.Columns {
		c.Release()
	}
}

func p99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}

// TestBeside: a plugin that offends with every batch slows its neighbours' p99 down by a tenth at most, compared with an honest one that is
// as busy: two processors share their caches and, in a virtual machine, more than that. It is a measurement, so it runs
// where TIDEMILL_QUIET=1 says that the machine does nothing else; what make test asks is in TestPauses.
func TestBeside(t *testing.T) {
	if os.Getenv("TIDEMILL_QUIET") == "" {
		t.Skip("it measures, and TIDEMILL_QUIET is not set")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // of a heap that is small
	p, err := newHost(t).Load(liar(t), wasm.Limits{FuelPerRow: 300_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	n, other := newNeighbour(t, p), newNeighbour(t, p)
	n.run(besideWindow, nil)
	for _, offence := range append(slices.Clone(offences), offence{refusal, "all rows refused for one", ""}) {
		if !slices.Contains([]int{1, 3, 4, 9, 17, 18, 24, 26, refusal}, offence.number) {
			continue
		}
		t.Run(offence.name, func(t *testing.T) {
			s := newScene(t, p, offence.number)
			var alone, honest, beside []time.Duration
			var rows atomic.Int64
			for range besideRounds {
				alone = n.run(besideWindow, alone)
				honest = n.beside(honest, func() { other.batch() })
				beside = n.beside(beside, func() {
					if s.run(t, []float64{1, poison, 2}); rows.Add(1)%32 == 0 {
						s = newScene(t, p, offence.number) // or it would be in quarantine
					}
				})
			}
			was, with, is := p99(alone), p99(honest), p99(beside)
			t.Logf("p99 of %d batches: alone %v, beside a busy honest plugin %v (middle %v), beside %d offences %v (middle %v): %+.0f %%", len(beside),
				was, with, honest[len(honest)/2], rows.Load(), is, beside[len(beside)/2], 100*(float64(is)/float64(with)-1))
			if is > with+with/10 {
				t.Errorf("the neighbour's p99 is %v beside an honest plugin and %v beside this one", with, is)
			}
		})
	}
}

// beside is run while another goroutine does something over and over. A row's fuel is spent to the end, so it stops some
// time after it is told to.
func (n *neighbour) beside(times []time.Duration, something func()) []time.Duration {
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			something()
		}
	}()
	times = n.run(besideWindow, times)
	stop.Store(true)
	<-done
	return times
}
