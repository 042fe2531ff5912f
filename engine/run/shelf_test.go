package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
)

// shelf has the files of a sink that keeps rows until the journal's clock says that they are one. A file is named by
// the place of its first row, and is the same whenever it is made.
type shelf struct {
	t      *testing.T
	files  map[uint64][]string
	from   map[string]int // by device: the partition that its rows come from
	ends   bool           // a run may come to its end
	opened int
}

type shelfArgs struct {
	shelf *shelf
	Label string `hcl:"label,optional"`
}

func (s *shelf) spec() stage.Spec {
	return stage.Spec{Kind: "sink", Type: "shelf", Help: "A test's.", Args: func() stage.Args { return &shelfArgs{shelf: s} }}
}

func (a *shelfArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{Delivery: stage.AtLeastOnce, Identity: "shelf", OpenSink: func(stage.Opening) (stage.Sink, error) {
		a.shelf.opened++
		return &shelfSink{shelf: a.shelf}, nil
	}}, nil
}

type shelfSink struct {
	*shelf
	place, first uint64
	part         int
	kept         []string // of the file from place first on
	begin, late  int64    // ticks: the first behind row first, and the latest
}

func (s *shelfSink) Place(place uint64) { s.place = place }
func (s *shelfSink) From(partition int) { s.part = partition }

func (s *shelfSink) Write(_ context.Context, _ int, rows arrow.RecordBatch) error {
	if len(s.kept) == 0 {
		s.first, s.begin = s.place, 0
	}
	e := flow.NewJSONEncoder(rows.Schema(), false)
	for i := range int(rows.NumRows()) {
		row := string(e.AppendRow(nil, rows, i))
		device := row[:strings.Index(row, ",")]
		if was, known := s.from[device]; known && was != s.part {
			s.t.Errorf("%s comes from partition %d, and came from %d", device, s.part, was)
		}
		s.from[device] = s.part
		s.kept = append(s.kept, row)
	}
	return nil
}

func (s *shelfSink) Tick(_ context.Context, tick int64, ended bool) error {
	if tick < s.late {
		s.t.Errorf("tick %d came after %d", tick, s.late)
	}
	s.late = tick
	if len(s.kept) == 0 {
		return nil
	}
	if ended && !s.ends {
		s.t.Error("the end of all inputs is told while one has none")
	}
	if s.begin == 0 {
		s.begin = tick
	}
	if !ended && tick-s.begin < (100*time.Millisecond).Microseconds() {
		return nil
	}
	if was, made := s.files[s.first]; made && fmt.Sprint(was) != fmt.Sprint(s.kept) {
		s.t.Errorf("the file at place %d had %d rows, and is made again of %d", s.first, len(was), len(s.kept))
	}
	s.files[s.first], s.kept = s.kept, nil
	return nil
}

func (s *shelfSink) Kept(next uint64) uint64 {
	if len(s.kept) > 0 {
		return s.first
	}
	return next
}

func (s *shelfSink) Prepare(context.Context, uint64) ([]byte, error) { return nil, nil }
func (s *shelfSink) Commit(context.Context, []byte) error            { return nil }
func (s *shelfSink) Recover(context.Context, []byte) error           { return nil }
func (s *shelfSink) Close() error                                    { return nil }

// rows counts the rows of all files, each of which must be there once.
func (s *shelf) rows() int {
	n, seen := 0, map[string]bool{}
	for _, file := range s.files {
		for _, row := range file {
			if n++; seen[row] {
				s.t.Errorf("this row is in two files: %s", row)
			}
			seen[row] = true
		}
	}
	return n
}

const shelved = `engine {
  checkpoint = "20ms"
  tick       = "15ms"
}
channel "c" {
  key        = device
  partitions = 2
  schema     = { device = string, n = integer }
}
ingest "file" "a" {
  to     = channel.c
  path   = "/in/a.ndjson"
  follow = %t
}
pipeline "p" {
  from = channel.c
  sink "shelf" "s" { label = "%d" }
}
`

// fill appends rows of devices from number first on to the input.
func (s *shelf) fill(l *lab, first, n int, has func(device string) bool) {
	var b strings.Builder
	for end := first + 100*n; n > 0; first++ {
		if first == end {
			l.t.Fatal("there is no such device")
		}
		if device := fmt.Sprintf("d%d", first%7); has(device) {
			fmt.Fprintf(&b, `{"device":"%s","n":%d}`+"\n", device, first)
			n--
		}
	}
	l.feed(b.String())
}

// TestShelf: what a sink keeps over checkpoints, crashes, and changes of its arguments is in one file, which is the same
// if it is made twice; the clock that cuts files does not fall.
func TestShelf(t *testing.T) {
	l := newLab(t)
	s := &shelf{t: t, files: map[uint64][]string{}, from: map[string]int{}}
	l.more = []stage.Spec{s.spec()}
	const each, rounds = 20, 40
	pass := func(d time.Duration) {
		end := l.machine.Env().Clock.Now().Add(d)
		l.steps(func() bool { return l.machine.Env().Clock.Now().After(end) })
	}
	label := 0
	l.open(fmt.Sprintf(shelved, true, label), false)
	for i := range rounds {
		s.fill(l, i*each, each, func(string) bool { return true })
		pass(time.Duration(20+i*7%60) * time.Millisecond)
		switch i % 4 {
		case 1:
			l.machine.Crash(uint64(i))
			_ = l.engine.Close() // gives memory back; the files are gone
			l.open(fmt.Sprintf(shelved, true, label), false)
		case 3:
			label++
			l.must(l.swap(fmt.Sprintf(shelved, true, label)))
		}
	}
	pass(31 * time.Second) // with the checkpoint of an idle run comes the clock that cuts the last file
	l.close()
	if n := s.rows(); n != rounds*each || len(s.files) < 8 || s.opened < 1+rounds/2 {
		t.Errorf("%d rows of %d in %d files", n, rounds*each, len(s.files))
	}
}

// TestShelfEnds: a sink that keeps rows is told of an end that all partitions have come to, and of none that only one has.
func TestShelfEnds(t *testing.T) {
	l := newLab(t)
	s := &shelf{t: t, files: map[uint64][]string{}, from: map[string]int{}, ends: true}
	l.more = []stage.Spec{s.spec()}
	text := fmt.Sprintf(shelved, false, 0)
	s.fill(l, 0, 20, func(string) bool { return true })
	e := l.open(text, true)
	for e.Status().Checkpoint.Epoch < 2 { // of partitions that have not ended
		for _, a := range e.Actors() {
			if !strings.HasPrefix(a.Name(), "ingest") {
				_, err := a.Step()
				l.must(err)
			}
		}
		l.machine.Advance(5 * time.Millisecond)
	}
	l.steps(e.Done)
	l.close()
	for part := range 2 {
		if n := s.rows(); n != 20*(1+part) {
			t.Fatalf("%d rows at end %d", n, part)
		}
		s.ends = false
		s.fill(l, 1000*(1+part), 20, func(device string) bool { return s.from[`{"device":"`+device+`"`] == part })
		was := len(s.files)
		l.open(text, false)
		l.steps(func() bool { return len(s.files) > was })
		l.close()
		s.ends = true
		l.complete(text)
	}
}

// TestHandedOver: what a sink behind a spool has been given, and has not let go of when its arguments change, comes to its successor.
func TestHandedOver(t *testing.T) {
	l := newLab(t)
	text := func(label string) string {
		return telemetry + followed + strings.Replace(server, "exact = false", fmt.Sprintf("label = %q", label), 1)
	}
	l.feed(records(0, 2000))
	e := l.open(text("a"), false)
	turn := func(delivers bool) bool {
		for _, a := range e.Actors() {
			if !delivers && strings.HasPrefix(a.Name(), "deliver") {
				continue
			}
			if _, err := a.Step(); errors.Is(err, run.ErrSwap) {
				l.must(e.Swap())
				return true
			} else {
				l.must(err)
			}
		}
		l.machine.Advance(5 * time.Millisecond)
		return false
	}
	for l.totals().Records < 2000 || l.totals().Lag > 0 {
		turn(false)
	}
	for was := e.Status().Checkpoint.Epoch; e.Status().Checkpoint.Epoch < was+2; {
		turn(false)
	}
	for len(l.far.buffered) == 0 {
		turn(true)
	}
	if had := l.far.count(); had > 0 {
		t.Fatalf("%d rows are settled already", had)
	}
	done := e.Request(l.plan(text("b")))
	for !turn(false) {
	}
	l.must(<-done)
	if n := len(l.far.buffered); n > 0 {
		t.Fatalf("%d rows are still with the sink that went", n)
	}
	l.steps(func() bool { return l.sum() >= 2000 })
	l.settle()
	l.close()
	if l.sum() != 2000 || l.far.count() != 2000 {
		t.Errorf("%d rows came, %d of them different ones", l.sum(), l.far.count())
	}
}

// TestNotLetGo: what a server behind a spool has been given and has not confirmed comes again after a crash, however many
// checkpoints came in between.
func TestNotLetGo(t *testing.T) {
	l := newLab(t)
	l.far.unready = errors.New("not confirmed")
	l.open(telemetry+followed+server, false)
	for i := range 5 {
		l.feed(records(20*i, 20))
		l.settle()
	}
	if !l.reported("not confirmed; trying again") || l.header().Epoch < 4 {
		t.Errorf("checkpoint %d; reports: %q", l.header().Epoch, l.reports)
	}
	l.machine.Crash(1)
	_ = l.engine.Close() // gives memory back; the files are gone
	l.far.unready = nil
	l.open(telemetry+followed+server, false)
	l.settle()
	l.close()
	if l.far.count() != 100 {
		t.Errorf("%d rows came of 100", l.far.count())
	}
}
