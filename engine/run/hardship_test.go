package run_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
)

// outside is what a server has, beside whose sink a machine crashes: an exact one, which knows tokens, or one behind a
// spool, which refuses every fifth row. With a generator, every fourth call of it fails.
type outside struct {
	rng       *rand.Rand
	prepared  map[uint64][]string // of the exact one, by token
	committed map[uint64]bool
	tokens    uint64
	taken     map[string]int // by one behind a spool
	failed    int
	open      int // sinks
}

func newOutside(rng *rand.Rand) *outside {
	return &outside{rng: rng, prepared: map[uint64][]string{}, committed: map[uint64]bool{}, taken: map[string]int{}}
}

func (o *outside) trouble() error {
	if o.rng != nil && o.rng.IntN(4) == 0 {
		o.failed++
		return errors.New("not now")
	}
	return nil
}

// rows are those that the exact one has committed.
func (o *outside) rows() (n int) {
	for token, rows := range o.prepared {
		if o.committed[token] {
			n += len(rows)
		}
	}
	return n
}

type outsideArgs struct {
	o     *outside
	name  string
	Label string `hcl:"label,optional"`
}

func (o *outside) spec(name string) stage.Spec {
	return stage.Spec{Kind: "sink", Type: name, Help: "A test's.", Args: func() stage.Args { return &outsideArgs{o: o, name: name} }}
}

func (a *outsideArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	if a.name != "picky" {
		return stage.Bound{Delivery: stage.Transactional, Identity: a.name, OpenSink: func(stage.Opening) (stage.Sink, error) {
			a.o.open++
			return &ledgerSink{outside: a.o}, nil
		}}, nil
	}
	return stage.Bound{Delivery: stage.AtLeastOnce, Identity: "picky", OpenSink: func(op stage.Opening) (stage.Sink, error) {
		a.o.open++
		return &pickySink{outside: a.o, reject: op.Reject}, nil
	}}, nil
}

func textsOf(rows arrow.RecordBatch) (out []string) {
	e := flow.NewJSONEncoder(rows.Schema(), false)
	for i := range int(rows.NumRows()) {
		out = append(out, string(e.AppendRow(nil, rows, i)))
	}
	return out
}

type ledgerSink struct {
	*outside
	buffer []string
}

func (s *ledgerSink) Write(_ context.Context, _ int, rows arrow.RecordBatch) error {
	if err := s.trouble(); err != nil {
		return err
	}
	s.buffer = append(s.buffer, textsOf(rows)...)
	return nil
}

func (s *ledgerSink) Prepare(context.Context, uint64) ([]byte, error) {
	if err := s.trouble(); err != nil {
		return nil, err
	}
	s.tokens++
	s.prepared[s.tokens], s.buffer = s.buffer, nil
	return binary.LittleEndian.AppendUint64(nil, s.tokens), nil
}

func (s *ledgerSink) Commit(_ context.Context, token []byte) error {
	if err := s.trouble(); err != nil {
		return err
	}
	s.committed[binary.LittleEndian.Uint64(token)] = true
	return nil
}

func (s *ledgerSink) Recover(_ context.Context, token []byte) error {
	last := uint64(0)
	if token != nil {
		last = binary.LittleEndian.Uint64(token)
	}
	for t := range s.prepared {
		if s.committed[t] = t <= last; t > last {
			delete(s.prepared, t)
		}
	}
	return nil
}

func (s *ledgerSink) Close() error {
	s.open--
	return nil
}

type pickySink struct {
	*outside
	reject func(stage.Reject)
	buffer []string
}

func (s *pickySink) Write(_ context.Context, _ int, rows arrow.RecordBatch) error {
	if err := s.trouble(); err != nil {
		return err
	}
	for i, row := range textsOf(rows) {
		if picked(row) {
			s.reject(stage.Reject{Rows: rows, Row: i, Reason: "not this one"})
			continue
		}
		s.buffer = append(s.buffer, row)
	}
	return nil
}

// picked tells whether the server behind a spool refuses a row.
func picked(row string) bool { return strings.HasSuffix(row, "0}") || strings.HasSuffix(row, "5}") }

func (s *pickySink) Prepare(context.Context, uint64) ([]byte, error) {
	if err := s.trouble(); err != nil {
		return nil, err
	}
	for _, row := range s.buffer {
		s.taken[row]++
	}
	s.buffer = nil
	return nil, nil
}

func (s *pickySink) Commit(context.Context, []byte) error  { return nil }
func (s *pickySink) Recover(context.Context, []byte) error { return nil }

func (s *pickySink) Close() error {
	s.open--
	return nil
}

const hardship = `engine {
  checkpoint = "20ms"
  tick       = "30ms"
}
channel "c" {
  key        = device
  partitions = 2
  retention  = "1ms"
  schema     = { device = string, pad = string, n = integer }
}
ingest "file" "a" {
  to     = channel.c
  path   = "/in/a.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  sink "ledger" "exact" {}
  sink "picky" "spooled" { label = "%d" }
  sink "refused" "rejects" { label = "%d" }
  rejects = sink.rejects
}
`

// TestHardship: between crashes, swaps and servers that fail, an exact sink commits each row once, one behind a spool has
// each at least once, and what that one refuses is among the rejects once.
func TestHardship(t *testing.T) {
	const each, rounds, seeds = 30, 12, 8
	pad, failed := strings.Repeat("x", 700), 0
	for seed := range uint64(seeds) {
		l, rng := newLab(t), rand.New(rand.NewPCG(seed, 77))
		exact, spooled, rejects := newOutside(rng), newOutside(rng), newOutside(rng)
		l.more = []stage.Spec{exact.spec("ledger"), spooled.spec("picky"), rejects.spec("refused")}
		label, total := 0, 0
		text := func() string { return fmt.Sprintf(hardship, label, label) }
		e := l.open(text(), false)
		for i := range rounds {
			var in strings.Builder
			for range each {
				fmt.Fprintf(&in, `{"device":"d%d","pad":"%s","n":%d}`+"\n", total%7, pad, total)
				total++
			}
			l.feed(in.String())
			if i%3 == 1 {
				label++
				e.Request(l.plan(text()))
			}
			wander(l, rng, 100+rng.IntN(600))
			if i%3 == 2 && i < rounds-1 || i%3 == 0 && i > 0 {
				l.machine.Crash(seed + uint64(i))
				_ = e.Close() // gives memory back; the files are gone
				e = l.open(text(), false)
			}
		}
		turn := 0
		l.steps(func() bool {
			turn++
			return turn%50 == 0 && l.totals().Lag == 0 && exact.rows() >= total && len(spooled.taken) >= total-total/5 && rejects.rows() >= total/5
		})
		l.settle()
		l.close()
		if n := exact.rows(); n != total {
			t.Errorf("seed %d: the exact sink has %d rows of %d", seed, n, total)
		}
		if n := rejects.rows(); n != total/5 || len(spooled.taken) != total-total/5 {
			t.Errorf("seed %d: %d rows were taken and %d rejected of %d", seed, len(spooled.taken), n, total)
		}
		if exact.open != 0 || spooled.open != 0 || rejects.open != 0 {
			t.Errorf("seed %d: sinks are open still: %d, %d and %d", seed, exact.open, spooled.open, rejects.open)
		}
		failed += exact.failed + spooled.failed + rejects.failed
	}
	if failed < 20*seeds {
		t.Errorf("the servers failed %d times: this check cannot fail", failed)
	}
}

// wander lets actors move in an order of chance.
func wander(l *lab, rng *rand.Rand, steps int) {
	actors := l.engine.Actors()
	for range steps {
		switch _, err := actors[rng.IntN(len(actors))].Step(); {
		case errors.Is(err, run.ErrSwap):
			l.must(l.engine.Swap())
			actors = l.engine.Actors()
		default:
			l.must(err)
		}
		if rng.IntN(8) == 0 {
			l.machine.Advance(time.Duration(rng.IntN(10)) * time.Millisecond)
		}
	}
}

// TestRejectsBehindCheckpoint: what was delivered behind a barrier, and refused, is there to be delivered again after a crash.
func TestRejectsBehindCheckpoint(t *testing.T) {
	l := newLab(t)
	exact, spooled, rejects := newOutside(nil), newOutside(nil), newOutside(nil)
	l.more = []stage.Spec{exact.spec("ledger"), spooled.spec("picky"), rejects.spec("refused")}
	text := fmt.Sprintf(hardship, 0, 0)
	e := l.open(text, false)
	turn := func(without ...string) {
		for _, a := range e.Actors() {
			if !slices.ContainsFunc(without, func(name string) bool { return strings.HasPrefix(a.Name(), name) }) {
				_, err := a.Step()
				l.must(err)
			}
		}
		l.machine.Advance(5 * time.Millisecond)
	}
	const total = 500 // of several files of the spool
	pad := strings.Repeat("x", 700)
	feed := func(first, n int) {
		var in strings.Builder
		for i := first; i < first+n; i++ {
			fmt.Fprintf(&in, `{"device":"d%d","pad":"%s","n":%d}`+"\n", i%7, pad, i)
		}
		l.feed(in.String())
	}
	feed(0, total-1)
	for exact.rows() < total-1 {
		turn("deliver")
	}
	feed(total-1, 1)
	for range 50 { // a checkpoint is begun, and not written
		turn("deliver", "writer")
	}
	for len(spooled.taken) < total-1-total/5 {
		turn("writer")
	}
	epoch := e.Status().Checkpoint.Epoch
	for e.Status().Checkpoint.Epoch == epoch {
		turn("deliver")
	}
	for range 5 { // time to look after old files, and none for the next checkpoint
		turn("deliver", "writer")
	}
	l.machine.Crash(1)
	_ = e.Close() // gives memory back; the files are gone
	e = l.open(text, false)
	l.settle()
	l.close()
	if n := rejects.rows(); n != total/5 || len(spooled.taken) != total-total/5 {
		t.Errorf("%d rows were taken and %d rejected of %d", len(spooled.taken), n, total)
	}
}

// TestLongReject: of a row that a server refuses no more is kept than 64 KiB.
func TestLongReject(t *testing.T) {
	l := newLab(t)
	exact, spooled, rejects := newOutside(nil), newOutside(nil), newOutside(nil)
	l.more = []stage.Spec{exact.spec("ledger"), spooled.spec("picky"), rejects.spec("refused")}
	l.feed(fmt.Sprintf(`{"device":"d","pad":"%s","n":0}`+"\n", strings.Repeat("x", 200_000)))
	l.open(fmt.Sprintf(hardship, 0, 0), false)
	l.steps(func() bool { return rejects.rows() > 0 })
	l.close()
	for token, rows := range rejects.prepared {
		for _, row := range rows {
			if n := len(row); rejects.committed[token] && (n < 64<<10 || n > 66<<10) {
				t.Errorf("the reject has %d bytes", n)
			}
		}
	}
}

// TestHalfIsClosed: what a change has opened before something else of it could not be opened is closed again.
func TestHalfIsClosed(t *testing.T) {
	l := newLab(t)
	o := newOutside(nil)
	l.more = []stage.Spec{o.spec("ledger")}
	l.write("/out/x", "")
	text := telemetry + followed + copying("p")
	l.open(text, false)
	l.feed(records(0, 10))
	l.settle()
	l.far.set(errors.New("down"), false)
	if err := l.swap(text + "pipeline \"n\" {\n  from = channel.c\n  sink \"ledger\" \"l\" {}\n}\n" + strings.Replace(server, "exact = false", "exact = true", 1)); err == nil {
		t.Error("a change was made to a sink that does not open")
	}
	if o.open != 0 || l.far.open != 0 {
		t.Errorf("%d and %d sinks of a change that was not made are open", o.open, l.far.open)
	}
	l.feed(records(10, 10))
	l.settle()
	l.close()
	l.expect("/out/p.ndjson", 20)
}
