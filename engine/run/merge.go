package run

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

var errTail = errors.New("the end of the log is damaged")

// merger reads one partition of a channel that pipelines feed: a lane from every task
// that feeds it.
//
// The lane that has come least far in ticks is read on up to its next cut, and of several the first. So rows
// come in whole tick intervals in the order of lanes, and that order follows from the
// journals alone. The channel's tick is the least far of all lanes.
type merger struct {
	lanes []*mergeLane
}

// mergeLane is where a merger stands in one lane.
type mergeLane struct {
	feed   *feed
	lane   int // of the feed
	part   int // of the feed's log
	reader journal.Reader
	block  *journal.Block
	at     int           // record of block
	next   uint64        // offset of the next record
	shown  atomic.Uint64 // next, for onlookers
	label  int64         // time of the latest cut, us
	ended  bool          // the latest cut was an end, and no row came since
	left   bool          // nobody writes there any more: the lane goes when it is read
	gone   bool
}

// laneState is a lane in a checkpoint.
type laneState struct {
	Feed  string `json:"feed"`
	Lane  int    `json:"lane"`
	Next  uint64 `json:"next"`
	Label int64  `json:"label"`
	Ended bool   `json:"ended,omitempty"`
}

// openMerger opens the lanes of a task from its partition's state in a checkpoint, or an empty one. What that knows of feeds that are gone is
// read to its end. It refuses to go on behind rows that came after the checkpoint and are gone.
func (t *task) openMerger(feeds []feedRef, from *partState) error {
	t.merge = &merger{}
	known := map[string]map[int]laneState{}
	for _, s := range from.Lanes {
		if known[s.Feed] == nil {
			known[s.Feed] = map[int]laneState{}
		}
		known[s.Feed][s.Lane] = s
	}
	for _, f := range feeds {
		for lane := range f.lanes {
			s, ok := known[f.key][lane]
			if !ok && f.left {
				continue
			}
			l := &mergeLane{feed: f.feed, lane: lane, part: lane*f.parts + t.part, label: flow.NoMark, left: f.left}
			earliest, _ := f.log.Bounds(l.part)
			l.next = earliest
			if ok {
				l.next, l.label, l.ended = s.Next, s.Label, s.Ended
			}
			if l.next < earliest && !from.Idle {
				return fmt.Errorf("the checkpoint goes on from record %d of %s, whose first record is %d by now: going on without what came between would lose it. Restore the data folder from a copy",
					l.next, f.key, earliest)
			}
			if l.next < earliest {
				t.engine.report(fmt.Sprintf("channel.%s, partition %d: retention has dropped rows that came while no pipeline read the channel", t.name, t.part))
				l.next = earliest
			}
			l.shown.Store(l.next)
			var err error
			if l.reader, err = f.log.Read(l.part, l.next); err != nil {
				return err
			}
			t.merge.lanes = append(t.merge.lanes, l)
		}
	}
	return nil
}

func (m *merger) states() []laneState {
	var out []laneState
	for _, l := range m.lanes {
		if !l.gone {
			out = append(out, laneState{l.feed.key, l.lane, l.next, l.label, l.ended})
		}
	}
	return out
}

func (m *merger) close() {
	for _, l := range m.lanes {
		l.close()
	}
}

func (l *mergeLane) close() {
	if l.block != nil {
		l.block.Release()
		l.block = nil
	}
	if l.reader != nil {
		_ = l.reader.Close() // only reads; nothing can be lost
	}
}

// turn returns the lane whose turn it is.
func (m *merger) turn() *mergeLane {
	var least *mergeLane
	for _, l := range m.lanes {
		if !l.gone && (least == nil || l.label < least.label) {
			least = l
		}
	}
	return least
}

// through tells whether all rows that may be read have been.
func (m *merger) through() bool {
	for _, l := range m.lanes {
		if l.shown.Load() < l.feed.committedRows[l.part].Load() {
			return false
		}
	}
	return true
}

// lag is how many records may be read and have not been.
func (m *merger) lag() uint64 {
	var n uint64
	for _, l := range m.lanes {
		if end := l.feed.committed[l.part].Load(); end > l.shown.Load() {
			n += end - l.shown.Load()
		}
	}
	return n
}

// mergeStep takes records of the lane whose turn it is, to the end of a block or the next cut.
func (t *task) mergeStep() (bool, error) {
	l := t.merge.turn()
	if l == nil {
		return false, nil
	}
	committed := l.feed.committed[l.part].Load()
	if l.next >= committed {
		if l.left {
			l.gone = true
			return true, nil
		}
		return false, nil
	}
	if l.block == nil {
		b, err := l.reader.Next()
		if err != nil {
			return false, fmt.Errorf("%s: %w", t.Name(), err)
		}
		if b == nil { // a damaged tail: the log has told what was there
			b = &journal.Block{Kind: journal.Lost, First: l.next, Count: int(committed - l.next), Err: errTail}
			t.lost(b)
			t.flushRejects()
			l.moveTo(committed)
			return true, nil
		}
		l.block, l.at = b, 0
	}
	t.takeLane(l, committed)
	return true, t.err
}

// takeLane takes records of a lane's block until a cut or its end.
func (t *task) takeLane(l *mergeLane, committed uint64) {
	b := l.block
	if b.Kind != journal.Records {
		if b.Kind == journal.Lost && !l.feed.void(l.part, b.First) {
			t.lost(b)
			t.flushRejects()
		}
		l.moveTo(b.First + uint64(b.Count))
		l.at = b.Count
	}
	for cut := false; l.at < b.Count && l.next < committed && !cut && !t.progress.on && t.err == nil; l.at++ {
		offset := b.First + uint64(l.at)
		if offset < l.next {
			continue
		}
		if !l.feed.void(l.part, offset) {
			cut = t.takeRecord(l, b, l.at)
		}
		l.moveTo(offset + 1)
	}
	if l.at >= b.Count {
		b.Release()
		l.block = nil
	}
}

func (l *mergeLane) moveTo(offset uint64) {
	l.next = offset
	l.shown.Store(offset)
}

// takeRecord takes one record of a lane through the graph, and tells whether it was a cut.
func (t *task) takeRecord(l *mergeLane, b *journal.Block, i int) (cut bool) {
	record := b.Record(i)
	switch {
	case len(record) == feedCutSize && record[0] == feedCut:
		t.takeCut(l, record)
		return true
	case len(record) > 0 && record[0] == feedRows:
		t.takeRows(l, record, b.Received[i])
		return false
	}
	panic(fmt.Sprintf("BUG: %s reads a record of %d bytes that no feed writes", t.Name(), len(record)))
}

func (t *task) takeRows(l *mergeLane, record []byte, written int64) {
	l.ended = false
	t.ended.Store(false)
	schemas := t.schemas
	rows, side, err := decodeRows(record, l.feed.schema, func(side int) *arrow.Schema {
		if side < len(schemas) {
			return schemas[side]
		}
		return nil
	}, t.next.Load(), t.alloc)
	if err != nil {
		t.err = fmt.Errorf("%s: record %d of %s: %w", t.Name(), l.next, l.feed.key, err)
		return
	}
	n := rows.NumRows()
	t.next.Add(uint64(n))
	t.counters.records.Add(n)
	t.record.Store(written)
	t.advance(flow.Watermarks{Tick: t.tick, Keys: t.passRows(rows, side)}, func() {})
}

func (t *task) takeCut(l *mergeLane, record []byte) {
	time, ended := readCut(record)
	l.label, l.ended = max(l.label, time), ended
	least, all := l.label, true
	for _, other := range t.merge.lanes {
		if !other.gone {
			least, all = min(least, other.label), all && other.ended
		}
	}
	was := t.ended.Load()
	if !all {
		t.ended.Store(false)
	}
	ticked, over := least > t.tick, all && !was
	end := func() {
		if over {
			t.advance(flow.Watermarks{Tick: t.tick, Ended: true}, func() {
				t.ended.Store(true)
				t.cut(t.tick)
			})
		} else if ticked {
			t.cut(t.tick)
		}
	}
	// One cut for both: of lanes that have come equally far only the first goes on.
	if !ticked {
		end()
		return
	}
	t.tick = least
	marks := flow.Watermarks{Tick: least, Ticked: true}
	if t.channel.ByTick {
		marks.Keys = tickMarks(t.keys, max(1, len(t.channel.Sides)))
	}
	t.advance(marks, end)
}

// reads tells whether one of the lanes is the feed's.
func (m *merger) reads(f *feed) bool {
	for _, l := range m.lanes {
		if l.feed == f {
			return true
		}
	}
	return false
}
