package expr

import (
	"math"
	"math/bits"
	"time"
)

// appendInstant writes RFC 3339 in UTC, with as many digits of the second as it has.
func appendInstant(dst []byte, us int64) []byte {
	return time.UnixMicro(us).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z07:00")
}

func epochSeconds(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].i
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = float64(a[i]) / 1e6
	}
}

// epochUnits counts whole units, rounded down; nanoseconds past 64 bits are null.
func epochUnits(m *machine, in *instr, n int) {
	a, r, unit := &m.regs[in.args[0]], &m.regs[in.dst], in.aux.(int64)
	d := r.ints(n)
	for i := range d {
		x := a.i[i&a.mask]
		if unit >= 1e3 {
			d[i] = floorDiv(x, unit/1e3)
			continue
		}
		v, ok := mul64(x, 1e3)
		d[i] = v
		if !ok {
			r.setNull(i, n)
		}
	}
}

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

func timeFromInt(m *machine, in *instr, n int) {
	a, r, unit := &m.regs[in.args[0]], &m.regs[in.dst], in.aux.(int64)
	d := r.ints(n)
	for i := range d {
		x := a.i[i&a.mask]
		if unit < 1e3 {
			d[i] = floorDiv(x, 1e3)
			continue
		}
		v, ok := mul64(x, unit/1e3)
		d[i] = v
		if !ok {
			r.setNull(i, n)
		}
	}
}

// timeFromNum rounds to the nearest microsecond.
func timeFromNum(m *machine, in *instr, n int) {
	a, r, unit := &m.regs[in.args[0]], &m.regs[in.dst], in.aux.(int64)
	d := r.ints(n)
	for i := range d {
		v, ok := cut(math.Round(a.f[i&a.mask] * float64(unit) / 1e3))
		d[i] = v
		if !ok {
			r.setNull(i, n)
		}
	}
}

// truncTime rounds down to a multiple of a length since 1970.
func truncTime(m *machine, in *instr, n int) {
	a, r, size := &m.regs[in.args[0]], &m.regs[in.dst], in.aux.(int64)
	d := r.ints(n)
	for i := range d {
		x := a.i[i&a.mask]
		rem := x % size
		if rem < 0 {
			rem += size
		}
		v, borrow := bits.Sub64(uint64(x)^1<<63, uint64(rem), 0)
		d[i] = int64(v ^ 1<<63)
		if borrow != 0 {
			r.setNull(i, n)
		}
	}
}

func partOfTime(m *machine, in *instr, n int) {
	a, p := &m.regs[in.args[0]], in.aux.(*timePart)
	d := m.regs[in.dst].ints(n)
	for i := range d {
		d[i] = int64(p.part(time.UnixMicro(a.i[i&a.mask]).In(p.zone)))
	}
}

func formatTime(m *machine, in *instr, n int) {
	a, f := &m.regs[in.args[0]], in.aux.(*timeFormat)
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		return appendLayout(dst, f.steps, time.UnixMicro(a.i[i&a.mask]).In(f.zone)), true
	})
}

func parseTime(m *machine, in *instr, n int) {
	a, r, f := &m.regs[in.args[0]], &m.regs[in.dst], in.aux.(*timeFormat)
	d := r.ints(n)
	for i := range d {
		d[i] = 0
		if r.isNull(i) {
			continue
		}
		us, ok := parseWith(a.text(i), f.steps, f.zone)
		d[i] = us
		if !ok {
			r.setNull(i, n)
		}
	}
}
