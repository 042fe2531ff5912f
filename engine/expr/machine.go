package expr

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
)

// chunkRows is how many rows the instructions take at a time: a multiple of
// 64, and small enough that a few registers stay in the first-level cache.
const chunkRows = 2048

// maxText is the longest text, in bytes, that an expression makes; a longer
// one is null. It bounds a text register to 128 MiB.
const maxText = 64 << 10

// kernel runs one instruction over n rows, at most chunkRows.
type kernel func(m *machine, in *instr, n int)

// instr is one instruction. Registers are numbers into machine.regs; dst is
// never one of args, except where a kernel works in place and says so.
type instr struct {
	run  kernel
	dst  int
	args []int
	// strict says that the result is null where any argument is: the machine
	// sets dst.valid before it calls run.
	strict bool
	sub    uint8
	f      float64 // constant operand
	i      int64
	s      string
	aux    any
}

// reg is a register: a value for each row of the chunk, or one constant. Only
// the slice of its kind is set. It borrows a column's memory or uses its own.
//
//	valid  a bit a row, 1 where there is a value; nil when no row is null
//	b      a bit a row; bits of null rows and bits past the last row mean nothing
//	off    n+1 offsets into data, as in an Arrow string column
type reg struct {
	kind  kind
	mask  int // index of row i is i&mask: -1 for values, 0 for a constant
	f     []float64
	i     []int64
	b     []uint64
	off   []int32
	data  []byte
	list  listView
	valid []uint64

	ownF    []float64
	ownI    []int64
	ownB    []uint64
	ownOff  []int32
	ownData []byte
	ownV    []uint64
}

func words(n int) int { return (n + 63) >> 6 }

// room returns s with length n, making a new one when it is too small.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (r *reg) floats(n int) []float64 {
	r.ownF = room(r.ownF, n)
	r.f = r.ownF
	return r.f
}

func (r *reg) ints(n int) []int64 {
	r.ownI = room(r.ownI, n)
	r.i = r.ownI
	return r.i
}

func (r *reg) bools(n int) []uint64 {
	r.ownB = room(r.ownB, words(n))
	r.b = r.ownB
	return r.b
}

// validity gives r a validity of its own, not yet set.
func (r *reg) validity(n int) []uint64 {
	r.ownV = room(r.ownV, words(n))
	r.valid = r.ownV
	return r.valid
}

// setNull makes row i null. r must be a register that an instruction writes.
func (r *reg) setNull(i, n int) {
	if r.valid == nil {
		v := r.validity(n)
		for w := range v {
			v[w] = ^uint64(0)
		}
	}
	r.valid[i>>6] &^= 1 << (i & 63)
}

func (r *reg) isNull(i int) bool {
	return r.valid != nil && r.valid[i>>6]>>(i&63)&1 == 0
}

func (r *reg) bit(i int) bool { return r.b[i>>6]>>(i&63)&1 != 0 }

// text is the text of row i, borrowed.
func (r *reg) text(i int) []byte {
	i &= r.mask
	return r.data[r.off[i]:r.off[i+1]]
}

// startText makes r ready to take n texts by endText.
func (r *reg) startText(n int) {
	r.ownOff = room(r.ownOff, n+1)
	r.ownOff[0] = 0
	r.ownData = r.ownData[:0]
}

// endText ends the text of row i, which was appended to ownData. One that is
// too long is taken back and becomes null.
func (r *reg) endText(i, n int) {
	if len(r.ownData)-int(r.ownOff[i]) > maxText {
		r.ownData = r.ownData[:r.ownOff[i]]
		r.setNull(i, n)
	}
	r.ownOff[i+1] = int32(len(r.ownData))
	r.off, r.data = r.ownOff, r.ownData
}

// nullText makes row i null, with an empty text.
func (r *reg) nullText(i, n int) {
	r.setNull(i, n)
	r.ownData = r.ownData[:r.ownOff[i]]
	r.endText(i, n)
}

// machine runs instructions over chunks of a batch.
type machine struct {
	regs   []reg
	consts []int // registers of constants
	ins    []instr
	cols   []column
	filled int // rows for which constants' bits are set
	schema *arrow.Schema
	bytes  [chunkRows]byte // outcomes of a comparison before they are packed
}

// start makes the columns' registers show rows lo to lo+n of batch.
func (m *machine) start(rows arrow.RecordBatch, lo, n int) {
	if m.schema == nil || m.schema != rows.Schema() {
		m.bind(rows.Schema())
	}
	for i := range m.cols {
		c := &m.cols[i]
		if c.index < 0 {
			m.regs[c.reg].loadNull(n)
			continue
		}
		m.regs[c.reg].load(rows.Column(c.index), lo, n)
	}
	if n > m.filled {
		m.fillConsts(n)
		m.filled = n
	}
}

// run runs all instructions over n rows.
func (m *machine) run(n int) {
	for k := range m.ins {
		in := &m.ins[k]
		if in.strict {
			m.mergeValid(in, n)
		}
		in.run(m, in, n)
	}
}

// mergeValid makes the result null where an argument is.
func (m *machine) mergeValid(in *instr, n int) {
	d := &m.regs[in.dst]
	d.valid = nil
	for _, a := range in.args {
		v := m.regs[a].valid
		if v == nil {
			continue
		}
		if d.valid == nil {
			copy(d.validity(n), v)
			continue
		}
		andWords(d.valid, d.valid, v[:words(n)])
	}
}

// fillConsts sets what constants need a bit a row for: bools and nulls.
func (m *machine) fillConsts(n int) {
	for _, c := range m.consts {
		r := &m.regs[c]
		if r.kind == kBool {
			on := len(r.i) > 0 && r.i[0] != 0
			b := r.bools(n)
			for w := range b {
				b[w] = -b2u(on)
			}
		}
		if r.valid != nil {
			clear(r.validity(n))
		}
	}
}

func countNulls(valid []uint64, n int) int {
	if valid == nil {
		return 0
	}
	c := n
	for w := range n >> 6 {
		c -= bits.OnesCount64(valid[w])
	}
	if n&63 != 0 {
		c -= bits.OnesCount64(valid[n>>6] & (1<<(n&63) - 1))
	}
	return c
}
