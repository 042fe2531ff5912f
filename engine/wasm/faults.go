package wasm

// What a runner remembers of a plugin's failures stands in its table, by digest: it decides about
// rows, so a replay and a process that comes back after a crash must know the same.
const (
	// A plugin's level rises by faultCost with every row that fails and falls by
	// one with every row that does not; at quarantineLevel it runs no more. 64 failures in a
	// row reach it, and so does any share of failures well over 1 %.
	faultCost       = 100
	quarantineLevel = 64 * faultCost
)

// level finds the plugin's place in the table of failures.
func (r *Runner) level(add bool) (slot uint32, ok bool) {
	t := r.o.Tables[0]
	if t.Len() > 0 {
		slot, ok = t.Find(r.digest)
	}
	if ok || !add {
		return slot, ok
	}
	slot, _, err := t.Slot(r.digest)
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

// barred rejects rows lo to hi when the plugin is quarantined.
func (r *Runner) barred(lo, hi int) bool {
	cause := r.quarantined()
	if cause == "" {
		return false
	}
	for row := lo; row < hi; row++ {
		r.reject(row, cause, true)
	}
	r.o.Count("quarantined", int64(hi-lo))
	return true
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
