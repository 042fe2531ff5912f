package ingestfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// fakeLog is a journal in memory. A crash keeps what was flushed, and of the
// rest a prefix of each partition, as the contract of Position allows.
type fakeLog struct {
	partitions [][]string
	committed  map[string]uint64
	reached    map[string][]uint64
	open       []journal.Batch // appended and not flushed; payloads copied
	busy       func() bool
}

func newFakeLog(partitions int) *fakeLog {
	return &fakeLog{partitions: make([][]string, partitions), committed: map[string]uint64{}, reached: map[string][]uint64{}, busy: func() bool { return false }}
}

func (l *fakeLog) Append(b journal.Batch) error {
	if l.busy() {
		return journal.ErrBusy
	}
	last := uint64(0)
	for _, r := range b.Records { // a batch has these or lines
		payload := r.Payload
		if r.Topic != "" {
			payload = fmt.Appendf(nil, "%s: %s", r.Topic, r.Payload)
		}
		b.Lines = append(b.Lines, journal.Line{Partition: r.Partition, Payload: payload, Pos: r.Pos})
	}
	records := make([]journal.Line, len(b.Lines))
	for i, r := range b.Lines {
		if r.Pos <= last || r.Pos > b.Pos {
			panic(fmt.Sprintf("position %d follows %d in a batch up to %d", r.Pos, last, b.Pos))
		}
		last = r.Pos
		r.Payload = bytes.Clone(r.Payload)
		records[i] = r
	}
	b.Lines = records
	l.open = append(l.open, b)
	return nil
}

func (l *fakeLog) keep(source string, r journal.Line) {
	l.partitions[r.Partition] = append(l.partitions[r.Partition], string(r.Payload))
	if l.reached[source] == nil {
		l.reached[source] = make([]uint64, len(l.partitions))
	}
	l.reached[source][r.Partition] = r.Pos
}

func (l *fakeLog) Flush() error {
	for _, b := range l.open {
		for _, r := range b.Lines {
			l.keep(b.Source, r)
		}
		l.committed[b.Source] = b.Pos
	}
	l.open = nil
	return nil
}

// crash keeps a number of open batches whole, and parts of the next.
func (l *fakeLog) crash(r *rand.Rand) {
	whole := r.IntN(len(l.open) + 1)
	rest := l.open[whole:]
	l.open = l.open[:whole]
	l.Flush()
	if len(rest) == 0 {
		return
	}
	for p := range l.partitions {
		keep := r.IntN(len(rest[0].Lines) + 1)
		for _, record := range rest[0].Lines[:keep] {
			if record.Partition == p {
				l.keep(rest[0].Source, record)
			}
		}
	}
}

func (l *fakeLog) Control(journal.Kind, int64, []byte) error { return nil }
func (l *fakeLog) Pending() int                              { return 0 }
func (l *fakeLog) Position(source string) journal.Position {
	p := journal.Position{Committed: l.committed[source], Reached: l.reached[source]}
	if p.Reached == nil {
		p.Reached = make([]uint64, len(l.partitions))
	}
	return p
}

// all returns the payloads of all partitions, in order of partition.
func (l *fakeLog) all() []string {
	var out []string
	for _, p := range l.partitions {
		out = append(out, p...)
	}
	return out
}

func put(t testing.TB, e *env.Env, name string, content []byte) {
	t.Helper()
	f, err := e.FS.Open(name, env.Create)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// bound decodes and binds the arguments of an ingest.
func bound(t testing.TB, args string, ch *config.Channel) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	body := parseBody(t, args)
	a := Spec().Args()
	if diags := config.DecodeBody(body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	return a.Bind(nil, stage.At{Address: "ingest.t", Dir: "/conf", Channel: ch})
}

type rig struct {
	t        testing.TB
	env      *env.Env
	log      *fakeLog
	bound    stage.Bound
	src      stage.Source
	counts   map[string]int64
	reports  []string
	once     bool
	patience int // idle steps before drain gives up
}

func newRig(t testing.TB, e *env.Env, log *fakeLog, args string, ch *config.Channel) *rig {
	t.Helper()
	b, diags := bound(t, args, ch)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return &rig{t: t, env: e, log: log, bound: b, counts: map[string]int64{}, patience: 1000}
}

func (r *rig) open() error {
	var err error
	partition := func(payload []byte) int { return flow.PartitionOf(flow.Hash(payload), len(r.log.partitions)) }
	r.src, err = r.bound.OpenSource(stage.Opening{
		Env: r.env, Address: "ingest.t", Partition: -1,
		Reject: func(stage.Reject) { r.t.Error("a source has no rows to reject") },
		Count:  func(name string, n int64) { r.counts[name] += n },
		Report: func(line string) { r.reports = append(r.reports, line) },
	}, stage.SourceEnv{Journal: r.log, Partition: partition, Once: r.once})
	return err
}

// drain steps until nothing more comes, and flushes.
func (r *rig) drain() {
	r.t.Helper()
	idle := 0
	for range 1_000_000 {
		status, err := r.src.Step()
		if err != nil {
			r.t.Fatal(err)
		}
		if status == stage.Idle {
			idle++
		}
		if status == stage.Ended || idle > r.patience {
			r.log.Flush()
			return
		}
	}
	r.t.Fatal("the source does not come to an end")
}

func shown(payloads []string) string { return strings.Join(payloads, "\n") + "\n" }
