package join

import (
	"cmp"
	"errors"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

var errFull = errors.New("full")

// sweeps is how many times within `wait` the stage looks for rows that have waited too long.
const sweeps = 8

// Advance notes watermarks as they come, and acts on them at ticks: where a tick stands among the rows does not
// depend on how batches are cut.
func (j *interval) Advance(in int, marks flow.Watermarks, out flow.Emitter) error {
	j.emitter = out
	err := j.pending.each(j.process)
	j.in = 1 // no batch is at hand: what goes out are rows of the first input that waited
	if in == 0 {
		for _, k := range marks.Keys {
			j.note(k)
		}
		if marks.Ticked {
			j.tick(marks.Tick)
		}
		if marks.Ended {
			j.end()
		}
	}
	j.flush()
	return err
}

// Close releases what waits for its order.
func (j *interval) Close() error {
	j.pending.drop()
	return nil
}

func (j *interval) note(k flow.KeyMark) {
	if j.single {
		if int(k.Slot) < len(j.groupOf) && j.groupOf[k.Slot] > 0 {
			j.noteGroup(j.groupOf[k.Slot]-1, k.Time)
		}
		return
	}
	j.bySlot.Each(k.Slot, func(g uint32) { j.noteGroup(g, k.Time) })
}

// noteGroup: what is told of a key holds for both inputs.
func (j *interval) noteGroup(g uint32, mark int64) {
	m := j.marks(g)
	if mark <= min(m[0], m[1]) || mark <= m[groupTold] {
		return
	}
	if m[groupTold] == flow.NoMark {
		j.dueAt = append(j.dueAt, g)
	}
	m[groupTold] = mark
	j.groups.Touch(g)
}

func (j *interval) tick(now int64) {
	slices.Sort(j.dueAt)
	for _, g := range j.dueAt {
		m := j.marks(g)
		m[0], m[1], m[groupTold] = max(m[0], m[groupTold]), max(m[1], m[groupTold]), flow.NoMark
		j.groups.Touch(g)
		j.expire(g)
		j.settle(g)
		j.flushFull()
	}
	j.dueAt = j.dueAt[:0]
	if j.clock.Len() == 0 {
		if _, err := j.clock.Anonymous(); err != nil {
			panic("BUG: a table of one slot is full: " + err.Error())
		}
	}
	if swept := &j.clock.I64(0)[0]; now-*swept >= j.wait/sweeps {
		*swept = now
		j.clock.Touch(0)
		j.sweep(now - j.wait)
	}
}

// expire lets go of rows for which no partner can come any more.
func (j *interval) expire(g uint32) {
	m := j.marks(g)
	for in := range 2 {
		limit := past(m[1-in], j.grace)
		for at := j.links(g)[groupHead0+in]; at != 0; at = j.links(g)[groupHead0+in] {
			if _, hi := j.reach(in, j.wordsOf(at - 1)[rowTime]); hi >= limit {
				break
			}
			j.forget(in, g, at-1)
		}
	}
}

// forget takes a row out. One of the first input without a partner is sent out if it is wanted.
func (j *interval) forget(in int, g, r uint32) {
	own := j.rowLinks(r)
	older, newer := own[rowOlder], own[rowNewer]
	if in == 0 && j.left && own[rowPaired] == 0 {
		j.pairs = append(j.pairs, pair{row: -1, other: r + 1, number: maxWaiting, mark: j.marks(g)[groupOut]})
	}
	links := j.links(g)
	if older == 0 {
		links[groupHead0+in] = newer
	} else {
		j.rowLinks(older - 1)[rowNewer] = newer
		j.rows.Touch(older - 1)
	}
	if newer == 0 {
		links[groupTail0+in] = older
	} else {
		j.rowLinks(newer - 1)[rowOlder] = older
		j.rows.Touch(newer - 1)
	}
	links[groupLen0+in]--
	j.dead = append(j.dead, r)
	j.groups.Touch(g)
}

// alone sends out a row at hand of the first input that can have no partner.
func (j *interval) alone(i int) {
	j.pairs = append(j.pairs, pair{row: int32(i), number: maxWaiting, mark: min(int64(j.times[i]), past(j.batch.told[i], j.after+j.grace))})
}

// settle moves the watermark of what goes out: no row with an earlier time follows. It moves after
// what the same step has sent out, so that none of that is late for the stages behind.
func (j *interval) settle(g uint32) {
	m := j.marks(g)
	if now := past(min(m[0], m[1]), j.after+j.grace); now > m[groupOut] {
		m[groupOut] = now
		j.groups.Touch(g)
	}
}

// sweep lets go of rows that were received before a time.
func (j *interval) sweep(before int64) {
	j.groups.Range(func(g uint32) bool {
		for in := range 2 {
			for at := j.links(g)[groupHead0+in]; at != 0; {
				r := at - 1
				at = j.rowLinks(r)[rowNewer]
				if j.wordsOf(r)[rowReceived] < before {
					j.o.Count("waited", 1)
					j.forget(in, g, r)
					j.flushFull()
				}
			}
		}
		return true
	})
}

// end sends out what is left of the first input, in order of time and then of group. Rows stay otherwise:
// more may come in another run.
func (j *interval) end() {
	if !j.left {
		return
	}
	var left []uint32
	j.rows.Range(func(r uint32) bool {
		if j.rowLinks(r)[rowInput] == 0 {
			left = append(left, r)
		}
		return true
	})
	slices.SortFunc(left, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(j.wordsOf(a)[rowTime], j.wordsOf(b)[rowTime]), cmp.Compare(j.wordsOf(a)[rowOffset], j.wordsOf(b)[rowOffset]), cmp.Compare(j.wordsOf(a)[rowIndex], j.wordsOf(b)[rowIndex]))
	})
	for _, r := range left {
		j.forget(0, j.rowLinks(r)[rowGroup], r)
		j.flushFull()
	}
}
