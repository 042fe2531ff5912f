package run

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// repeats remembers which records and rows were duplicates when they were first read, for who reads the journal
// once more (rebuild.go): from the middle of it that cannot be told, and what is known at its end is only the newest. A slot tells
// of 64 offsets, and slots are used in turn. Slot 0 tells of the others:
//
//	slot     at, three a slot
//	0        offset from which on all is known | slot to be used next | 0
//	1 ...    offset / 64                       | a bit an offset      | _index of the rows, or -1: whole records
type repeats struct {
	table *state.Table
	gone  []int64 // offsets of a block's records that are duplicates
}

// wholeRecord stands for all rows of a record.
const wholeRecord = -1

// newRepeats remembers what comes at or after an offset.
func newRepeats(d state.Decl, from uint64) *repeats {
	r := &repeats{table: state.New(d)}
	r.slot()
	at := r.table.I64(0)
	at[0], at[1] = int64(from), 1
	return r
}

// openRepeats goes on with the table that there is; else nothing is known of what came before.
func (t *task) openRepeats(have map[string]*state.Table) {
	t.repeats = nil
	if was := have[tableKey("", t.channel.RepeatsDecl())]; was != nil {
		t.repeats = &repeats{table: was}
	} else if t.sent != nil || t.seen != nil {
		t.repeats = newRepeats(t.channel.RepeatsDecl(), t.next.Load())
	}
	if t.seen != nil {
		t.seen.found = t.repeats
	}
}

func (r *repeats) slot() {
	if _, err := r.table.Anonymous(); err != nil {
		panic("BUG: more slots are used in turn than there are: " + err.Error())
	}
}

// note notes a duplicate.
func (r *repeats) note(offset int64, index int32) {
	slots, at := int64(r.table.Slots()), r.table.I64(0)
	last := at[1] - 1
	if last == 0 {
		last = slots - 1
	}
	if last > 0 && at[3*last] == offset>>6 && at[3*last+2] == int64(index) {
		at[3*last+1] |= 1 << (offset & 63)
		r.table.Touch(uint32(last))
		return
	}
	slot := at[1]
	if slot == slots {
		r.slot()
		at = r.table.I64(0) // it may have moved
	} else {
		at[0] = max(at[0], (at[3*slot]+1)<<6) // it told of offsets before that
	}
	at[3*slot], at[3*slot+1], at[3*slot+2] = offset>>6, 1<<(offset&63), int64(index)
	r.table.Touch(uint32(slot))
	if at[1]++; at[1] == plan.MaxRepeats {
		at[1] = 1
	}
	r.table.Touch(0)
}

// verdicts are what a checkpoint knows of duplicates before and at its offset, for a task that begins to read further back.
type verdicts struct {
	since, until uint64              // of these offsets it is known what was a duplicate
	known        map[[2]int64]uint64 // bits, by offset / 64 and index
	sent, seen   *state.Table        // as they were at until; nil: there was none
}

// verdictsOf reads the tables of a checkpoint whose next offset is until. It takes those of SentDecl and SeenDecl.
func verdictsOf(ch *plan.Channel, until uint64, have map[string]*state.Table) *verdicts {
	v := &verdicts{since: until, until: until, known: map[[2]int64]uint64{}, sent: have[tableKey("", ch.SentDecl())]}
	if ch.Config.Dedupe != nil {
		v.seen = have[tableKey("", ch.SeenDecl())]
	}
	if t := have[tableKey("", ch.RepeatsDecl())]; t != nil {
		at := t.I64(0)
		v.since = uint64(at[0])
		for slot := 1; slot < t.Slots(); slot++ {
			v.known[[2]int64{at[3*slot], at[3*slot+2]}] |= uint64(at[3*slot+1])
		}
	}
	return v
}

// of says whether it is known what of a block that begins there was a duplicate. v may be nil.
func (v *verdicts) of(first uint64) bool { return v != nil && first >= v.since && first < v.until }

func (v *verdicts) repeated(offset int64, index int32) bool {
	return v.known[[2]int64{offset >> 6, int64(index)}]>>(offset&63)&1 != 0
}

// without takes the rows out that are known to be duplicates. It takes ownership.
func (v *verdicts) without(rows arrow.RecordBatch, alloc memory.Allocator) arrow.RecordBatch {
	var sel []int32
	offsets, indexes := flow.Offsets(rows), flow.Indexes(rows)
	for i := range offsets {
		if !v.repeated(offsets[i], indexes[i]) {
			sel = append(sel, int32(i))
		}
	}
	if len(sel) == len(offsets) {
		return rows
	}
	kept := flow.Take(rows, sel, alloc)
	rows.Release()
	return kept
}

// withoutRepeated takes the rows of a block out that the channel's dedupe finds, or found. It takes ownership.
func (t *task) withoutRepeated(rows arrow.RecordBatch, first uint64) (_ arrow.RecordBatch, repeated int64) {
	if t.seen != nil && t.verdicts.of(first) && t.verdicts.seen != nil {
		return t.verdicts.without(rows, t.alloc), 0
	}
	return t.seen.filter(rows)
}

// leaveVerdicts goes on with what the checkpoint knew, once its offset has come: from there on the task judges by itself.
func (t *task) leaveVerdicts(first uint64) {
	if t.verdicts == nil || first < t.verdicts.until {
		return
	}
	if t.sent = nil; t.verdicts.sent != nil {
		t.sent = t.newSenders(t.verdicts.sent)
	}
	if t.seen != nil && t.verdicts.seen != nil {
		t.seen = newSeen(t.seen.o, t.verdicts.seen, t.alloc)
		t.seen.found = t.repeats
	}
	t.verdicts = nil
}
