package expr

import (
	"math"
	"strconv"
)

func textToNum(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.floats(n)
	for i := range d {
		d[i] = 0
		if r.isNull(i) {
			continue
		}
		f, ok := parseNumber(a.text(i))
		if !ok {
			r.setNull(i, n)
			continue
		}
		d[i] = f
	}
}

// parseNumber reads a decimal number with an optional sign, fraction and
// exponent; no hexadecimal, no underscores, no names, no white space.
func parseNumber(t []byte) (float64, bool) {
	for _, b := range t {
		if (b < '0' || b > '9') && b != '+' && b != '-' && b != '.' && b != 'e' && b != 'E' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(t), 64)
	return f, err == nil
}

func textToInt(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		d[i] = 0
		if r.isNull(i) {
			continue
		}
		if v, err := strconv.ParseInt(string(a.text(i)), 10, 64); err == nil {
			d[i] = v
			continue
		}
		f, ok := parseNumber(a.text(i))
		v, fits := cut(f)
		if !ok || !fits {
			r.setNull(i, n)
			continue
		}
		d[i] = v
	}
}

// cut is f without its fraction, and whether it fits.
func cut(f float64) (int64, bool) {
	if !(f >= -1<<63 && f < 1<<63) {
		return 0, false
	}
	return int64(f), true
}

func numToInt(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		v, ok := cut(a.f[i&a.mask])
		d[i] = v
		if !ok {
			r.setNull(i, n)
		}
	}
}

func boolToNum(m *machine, in *instr, n int) {
	a := &m.regs[in.args[0]]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = float64(b2u(a.bit(i)))
	}
}

func boolToInt(m *machine, in *instr, n int) {
	a := &m.regs[in.args[0]]
	d := m.regs[in.dst].ints(n)
	for i := range d {
		d[i] = int64(b2u(a.bit(i)))
	}
}

func textToBool(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.bools(n)
	clear(d)
	for i := range n {
		switch string(a.text(i)) {
		case "true":
			d[i>>6] |= 1 << (i & 63)
		case "false":
		default:
			r.setNull(i, n)
		}
	}
}

// timeDiff is the seconds from b to a.
func timeDiff(m *machine, in *instr, n int) {
	a, b := &m.regs[in.args[0]], &m.regs[in.args[1]]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		x, y := a.i[i&a.mask], b.i[i&b.mask]
		s := x - y
		if (x^y)&(x^s) < 0 {
			d[i] = (float64(x) - float64(y)) / 1e6
			continue
		}
		d[i] = float64(s) / 1e6
	}
}

func timeAdd(m *machine, in *instr, n int) { moveTime(m, in, n, 1e6) }
func timeSub(m *machine, in *instr, n int) { moveTime(m, in, n, -1e6) }

// moveTime adds seconds, to the nearest microsecond; null when that is no
// time in 64 bits.
func moveTime(m *machine, in *instr, n int, scale float64) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		us, ok := cut(math.Round(b.f[i&b.mask] * scale))
		x := a.i[i&a.mask]
		s := x + us
		d[i] = s
		if !ok || (x^s)&(us^s) < 0 {
			r.setNull(i, n)
		}
	}
}
