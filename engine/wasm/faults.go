package wasm

import (
	"errors"
	"fmt"
)

// What a runner remembers of a plugin's failures and refusals stands in its table, by digest: it decides about
// rows, so a replay and a process that comes back after a crash must know the same.
const (
	// A plugin's level rises by faultCost with every row that fails and falls by
	// one with every row that does not; at quarantineLevel it runs no more. 64 failures in a
	// row reach it, and so does any share of failures well over 1 %.
	faultCost       = 100
	quarantineLevel = 64 * faultCost
)

// level finds the plugin's place in the table of failures.
func (r *Runner) level(add bool) (slot uint32, ok bool) { return r.slot(r.digest, add) }

func (r *Runner) slot(key []byte, add bool) (slot uint32, ok bool) {
	t := r.o.Tables[0]
	if t.Len() > 0 {
		slot, ok = t.Find(key)
	}
	if ok || !add {
		return slot, ok
	}
	slot, _, err := t.Slot(key)
	return slot, err == nil
}

// quarantined says why the plugin runs no more; "" when it runs.
func (r *Runner) quarantined() string {
	slot, ok := r.level(false)
	if !ok || r.o.Tables[0].I64(colLevel)[slot] < quarantineLevel {
		return ""
	}
	return "it is quarantined, since it failed too often; the last time: " + string(r.o.Tables[0].Bytes(colCause, slot))
}

// sank lowers the level, for rows that did not fail.
func (r *Runner) sank(rows int64) {
	slot, ok := r.level(false)
	if !ok {
		return
	}
	if levels := r.o.Tables[0].I64(colLevel); levels[slot] > 0 {
		levels[slot] = max(0, levels[slot]-rows)
		r.o.Tables[0].Touch(slot)
	}
}

// rose raises the level, for a row that failed.
func (r *Runner) rose(row int, cause string) {
	slot, ok := r.level(true)
	if !ok {
		return
	}
	t := r.o.Tables[0]
	t.I64(colLevel)[slot] += faultCost
	t.SetBytes(colCause, slot, []byte(clip([]byte(cause), maxReason)))
	if t.I64(colLevel)[slot] >= quarantineLevel && r.o.Quarantine != nil {
		e := Evidence{Plugin: r.plugin, Cause: cause}
		if row < len(r.in.Offsets) {
			e.Offset = r.in.Offsets[row]
		}
		r.o.Quarantine(e)
	}
}

// A guest may refuse a row for what its memory holds and not for the row. So refusals are tried: the first, the second,
// the fourth and so on of a plugin in a partition, and every sampleRefusals-th; and once one did not stand, the watchRefusals
// that follow. A refusal is tried as a failure is, by the row alone in a fresh instance.
const (
	sampleRefusals = 16_384
	watchRefusals  = 4096
)

// errDoubt is that a refusal is to be tried; nothing was kept of the call.
var errDoubt = errors.New("a refusal is to be tried in a fresh instance")

// doubts says whether one of an answer's refusals is to be tried.
func (r *Runner) doubts(a *answer, n int) bool {
	if a.rejects == nil || a.rejects.nulls == n {
		return false
	}
	so, until := int64(0), int64(0)
	levels := r.o.Tables[0].I64(colLevel)
	if slot, ok := r.slot(r.refusals, false); ok {
		so = levels[slot]
	}
	if slot, ok := r.slot(r.watched, false); ok {
		until = levels[slot]
	}
	for nth := so + 1; nth <= so+int64(n-a.rejects.nulls); nth++ {
		if nth <= until || nth&(nth-1) == 0 || nth%sampleRefusals == 0 {
			return true
		}
	}
	return false
}

// refused counts refusals that stand.
func (r *Runner) refused(n int64) {
	if slot, ok := r.slot(r.refusals, n > 0); ok {
		r.o.Tables[0].I64(colLevel)[slot] += n
		r.o.Tables[0].Touch(slot)
	}
}

// maxUnfounded is how many refusals without ground somebody is told of.
const maxUnfounded = 64

// unfounded takes note that the guest refused a row which a fresh instance took. How often that happens follows from
// how rows are cut, so it must not decide about rows: like a deadline it is told, and only a record
// in the journal acts on it.
func (r *Runner) unfounded(row int) {
	r.o.Count("unfounded", 1)
	r.refused(1)
	so, _ := r.slot(r.refusals, true)
	if slot, ok := r.slot(r.watched, true); ok {
		levels := r.o.Tables[0].I64(colLevel)
		levels[slot] = levels[so] + watchRefusals
		r.o.Tables[0].Touch(slot)
	}
	r.wrong++
	if r.wrong == maxUnfounded && r.o.Quarantine != nil {
		e := Evidence{Plugin: r.plugin, ByClock: true, Cause: fmt.Sprintf("it refused %d rows that a fresh instance takes: what it remembers in its memory decides", r.wrong)}
		if row < len(r.in.Offsets) {
			e.Offset = r.in.Offsets[row]
		}
		r.o.Quarantine(e)
	}
}
