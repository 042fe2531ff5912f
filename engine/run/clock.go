package run

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// clocks estimates how far the clocks of keys are off, and corrects event times by it.
//
// A difference is taken of the last row of each second of receipt, if since the one before
// event time went on as receive time did, within an eighth: what a device had kept while it was
// offline comes faster than it was measured, and says nothing about its clock. The estimate is
// the median of the latest differences. A row is corrected by what the rows before it have shown; so
// all of it is decided by the journal alone.
//
//	offsets   receive time less event time, us: the latest ClockSamples, in a ring
//	clock     differences so far | correction, us | start of the second | time and receipt of its last row | of the last row of the second before
type clocks struct {
	o      *config.Clock
	table  *state.Table
	places []uint32 // by slot of the channel's keys: slot in table + 1; 0: not looked up yet
	sorted [plan.ClockSamples]int64
}

const (
	clockCount = iota
	clockShift
	clockStart
	clockTime
	clockReceived
	clockTimeBefore
	clockReceivedBefore
)

const (
	// clockLeast is how many differences an estimate needs.
	clockLeast = plan.ClockSamples/2 + 1
	// clockBurst is for how long rows are one burst, of which the last counts, us.
	clockBurst = int64(time.Second / time.Microsecond)
	// clockJitter is by how much event and receive time may always differ from one burst to the next, us.
	clockJitter = 2 * clockBurst
)

// openClock takes the table of a channel that corrects clocks.
func (t *task) openClock(have map[string]*state.Table) {
	t.clocks = nil
	if o := &t.channel.Config.Clock; o.Correct {
		t.clocks = &clocks{o: o, table: table(have, "", t.channel.ClockDecl())}
	}
}

// place is the slot in the table for a slot of keys; false where the table is full.
func (c *clocks) place(keys *state.Table, slot uint32) (uint32, bool) {
	if int(slot) >= len(c.places) {
		c.places = append(c.places, make([]uint32, keys.Slots()-len(c.places))...)
	}
	if at := c.places[slot]; at != 0 {
		return at - 1, true
	}
	at, _, err := c.table.Slot(keys.Key(slot))
	if err != nil {
		return 0, false
	}
	c.places[slot] = at + 1
	return at, true
}

// shift is what rows of a key are corrected by at present, us.
func (c *clocks) shift(keys *state.Table, slot uint32) int64 {
	if c == nil {
		return 0
	}
	at, ok := c.table.Find(keys.Key(slot))
	if !ok {
		return 0
	}
	return c.table.I64(1)[int(at)*plan.ClockFields+clockShift]
}

// correct moves the times of rows, whose slots are filled in.
func (c *clocks) correct(keys *state.Table, rows arrow.RecordBatch) (corrected int64) {
	slots, times, received := flow.Slots(rows), flow.Times(rows), flow.Received(rows)
	for i, slot := range slots {
		at, ok := c.place(keys, slot)
		if !ok {
			continue
		}
		row := c.table.I64(1)[int(at)*plan.ClockFields:][:plan.ClockFields]
		t, r := int64(times[i]), int64(received[i])
		if shift := row[clockShift]; shift != 0 {
			times[i] = arrow.Timestamp(t + shift)
			corrected++
		}
		c.note(row, c.table.I64(0)[int(at)*plan.ClockSamples:][:plan.ClockSamples], t, r)
		c.table.Touch(at)
	}
	return corrected
}

// note takes a row's time and receipt into what is known of its key.
func (c *clocks) note(row, offsets []int64, t, r int64) {
	if row[clockReceived] != 0 && r-row[clockStart] >= clockBurst {
		gone, took := row[clockTime]-row[clockTimeBefore], row[clockReceived]-row[clockReceivedBefore]
		if off := gone - took; row[clockReceivedBefore] != 0 && gone > 0 && max(off, -off) <= max(clockJitter, took/8) {
			c.sample(row, offsets, row[clockReceived]-row[clockTime])
		}
		row[clockTimeBefore], row[clockReceivedBefore] = row[clockTime], row[clockReceived]
		row[clockReceived] = 0
	}
	if row[clockReceived] == 0 {
		row[clockStart] = r
	}
	row[clockTime], row[clockReceived] = t, r
}

// sample takes a difference, and decides the correction anew. It stays as it is while the
// median is within the tolerance of it, so that times do not tremble.
func (c *clocks) sample(row, offsets []int64, off int64) {
	offsets[row[clockCount]%plan.ClockSamples] = off
	row[clockCount]++
	n := min(row[clockCount], plan.ClockSamples)
	if n < clockLeast {
		return
	}
	some := c.sorted[:n]
	copy(some, offsets)
	slices.Sort(some)
	median, tolerance := some[n/2], c.o.Tolerance.Microseconds()
	switch far := median - row[clockShift]; {
	case max(median, -median) <= tolerance:
		row[clockShift] = 0
	case max(far, -far) > tolerance:
		row[clockShift] = median
	}
}

// fillClocks corrects the times of rows and judges those that are still too far off. It takes ownership.
func (k *timekeeper) fillClocks(rows arrow.RecordBatch) arrow.RecordBatch {
	o := &k.ch.Config.Clock
	if k.clocks != nil {
		if n := k.clocks.correct(k.keys, rows); n > 0 {
			k.count("clock_corrected", n)
		}
	}
	if o.Future == config.KeepTime && o.Past == config.KeepTime {
		return rows
	}
	times, received := flow.Times(rows), flow.Received(rows)
	k.sel = k.sel[:0]
	replaced := int64(0)
	for i := range times {
		off, rule := int64(times[i])-int64(received[i]), config.KeepTime
		switch {
		case off > k.ahead:
			rule = o.Future
		case o.Behind > 0 && -off > o.Behind.Microseconds():
			rule = o.Past
		}
		if rule == config.RejectTime {
			k.reject(stage.Reject{Rows: rows, Row: i, Reason: clockReason(off, k.ch.Config)})
			k.devices.rejectSlot(flow.Slots(rows)[i])
			continue
		}
		if rule == config.ReceiveTime {
			times[i] = received[i]
			replaced++
		}
		k.sel = append(k.sel, int32(i))
	}
	if replaced > 0 {
		k.count("clock_replaced", replaced)
	}
	if len(k.sel) == len(times) {
		return rows
	}
	return k.keep(rows)
}

// clockReason says why a row whose event time is off, us, is rejected.
func clockReason(off int64, c *config.Channel) string {
	by := config.FormatDuration((time.Duration(max(off, -off)) * time.Microsecond).Truncate(time.Second))
	if off > 0 {
		return fmt.Sprintf("event time is %s ahead of receive time; the channel takes up to %s (ahead)", by, config.FormatDuration(c.Ahead))
	}
	return fmt.Sprintf("event time is %s behind receive time; the channel takes up to %s (clock: behind)", by, config.FormatDuration(c.Clock.Behind))
}
