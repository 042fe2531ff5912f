package meter_test

import "encoding/binary"

// generator turns bytes into a module that is valid: three functions
// (i32, i64) -> i64 that call each other, a table, a global and a memory.
// Statements leave the stack as it was, expressions leave one i64.
type generator struct {
	src   []byte
	depth int
	loops []bool // of each open block: whether a branch to it goes back
	out   []byte
	size  int
}

func (g *generator) byte() byte {
	if len(g.src) == 0 {
		return 0
	}
	b := g.src[0]
	g.src = g.src[1:]
	return b
}

func (g *generator) emit(b ...byte) { g.out = append(g.out, b...) }

// Locals: 0 i32 parameter, 1 i64 parameter, 2 i64, 3 i64, 4 i32 that counts.
func (g *generator) expression() {
	if g.depth++; g.depth > 12 || len(g.src) == 0 {
		g.emit(0x42, g.byte()&0x3f)
		g.depth--
		return
	}
	switch g.byte() % 14 {
	case 0:
		g.emit(0x42, g.byte()&0x3f)
	case 1:
		g.emit(0x20, 1+g.byte()%3)
	case 2:
		g.emit(0x23, 0) // global
	case 3, 4, 5:
		g.expression()
		g.expression()
		g.emit([]byte{0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86, 0x88, 0x89}[g.byte()%9])
	case 6: // division, which may trap
		g.expression()
		g.expression()
		g.emit(0x7f + g.byte()%4)
	case 7: // load, which may trap
		g.address()
		g.emit(0x29, 3, g.byte()&0x7f)
	case 8: // if with a result
		g.condition()
		g.emit(0x04, 0x7e)
		g.loops = append(g.loops, false)
		g.expression()
		g.emit(0x05)
		g.expression()
		g.emit(0x0b)
		g.loops = g.loops[:len(g.loops)-1]
	case 9: // call
		g.condition()
		g.expression()
		g.emit(0x10, g.byte()%3)
	case 10: // call through the table, which may trap
		g.condition()
		g.expression()
		g.emit(0x41, g.byte()%4, 0x11, 0, 0)
	case 11:
		g.emit(0x3f, 0, 0xad)
	case 12:
		g.emit(0x41, g.byte()%3, 0x40, 0, 0xac) // memory.grow
	case 13: // floats
		g.expression()
		g.emit(0xb9)
		g.emit(0x9f, 0xfc, 0x06)
	}
	g.depth--
}

func (g *generator) condition() {
	g.expression()
	g.emit(0xa7)
}

// address leaves an i32 that is mostly within memory.
func (g *generator) address() {
	g.condition()
	g.emit(0x41)
	g.emit(binary.AppendUvarint(nil, 0xfff)...)
	g.emit(0x71)
}

func (g *generator) statements() {
	for n := g.byte() % 6; n > 0 && len(g.src) > 0; n-- {
		g.statement()
	}
}

func (g *generator) statement() {
	if g.depth++; g.depth > 12 {
		g.depth--
		return
	}
	switch g.byte() % 15 {
	case 0, 1:
		g.expression()
		g.emit(0x21, 1+g.byte()%3)
	case 2:
		g.expression()
		g.emit(0x24, 0)
	case 3:
		g.address()
		g.expression()
		g.emit(0x37, 3, g.byte()&0x7f)
	case 4, 5, 6:
		kind := []byte{0x02, 0x03, 0x03}[g.byte()%3]
		g.emit(kind, 0x40)
		g.loops = append(g.loops, kind == 0x03)
		g.statements()
		if kind == 0x03 && g.byte()%2 == 0 { // count down in a local and turn
			g.emit(0x20, 3, 0x42, 1, 0x7d, 0x22, 3, 0x42, 0, 0x55, 0x0d, 0)
		}
		g.emit(0x0b)
		g.loops = g.loops[:len(g.loops)-1]
	case 7: // if without a result
		g.condition()
		g.emit(0x04, 0x40)
		g.loops = append(g.loops, false)
		g.statements()
		if g.byte()%2 == 0 {
			g.emit(0x05)
			g.statements()
		}
		g.emit(0x0b)
		g.loops = g.loops[:len(g.loops)-1]
	case 8: // branch
		if n := len(g.loops); n > 0 {
			g.condition()
			g.emit(0x0d, g.byte()%byte(n))
		}
	case 9: // br_table within a block of its own
		g.emit(0x02, 0x40)
		g.loops = append(g.loops, false)
		g.condition()
		n := byte(len(g.loops))
		g.emit(0x0e, 2, g.byte()%n, g.byte()%n, 0, 0x0b)
		g.loops = g.loops[:len(g.loops)-1]
	case 10: // return
		g.condition()
		g.emit(0x04, 0x40)
		g.expression()
		g.emit(0x0f, 0x0b)
	case 11: // bulk memory, which may trap
		g.address()
		g.address()
		g.emit(0x41, g.byte()&0x3f, 0xfc)
		if g.byte()%2 == 0 {
			g.emit(0x0b, 0)
		} else {
			g.emit(0x0a, 0, 0)
		}
	case 12:
		g.emit(0x41, g.byte()&15, 0x21, 4)
	case 13, 14:
		g.counted()
	}
	g.depth--
}

// counted is a loop that counts in local 4; whether that can be told depends on what stands in it and before it.
func (g *generator) counted() {
	g.emit(0x41, g.byte()&15, 0x21, 4)
	if g.byte()%4 == 0 {
		g.statement()
	}
	g.emit(0x03, 0x40)
	g.loops = append(g.loops, true)
	g.statements()
	g.emit(0x20, 4, 0x41, 1+g.byte()&3, 0x6a, 0x22, 4)
	if g.byte()%4 != 0 {
		g.emit(0x41, 16+g.byte()&31, 0x47)
	}
	g.emit(0x0d, 0, 0x0b)
	g.loops = g.loops[:len(g.loops)-1]
}

func vec(items ...[]byte) []byte {
	out := []byte{byte(len(items))}
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func named(s string, rest ...byte) []byte {
	return append(append([]byte{byte(len(s))}, s...), rest...)
}

// generate makes a module of bytes.
func generate(source []byte) []byte {
	g := &generator{src: source}
	var bodies [][]byte
	for range 3 {
		g.out, g.loops, g.depth = []byte{2, 2, 0x7e, 1, 0x7f}, nil, 0
		g.statements()
		g.statement()
		g.expression()
		g.emit(0x0b)
		bodies = append(bodies, append(binary.AppendUvarint(nil, uint64(len(g.out))), g.out...))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	put := func(id byte, b []byte) {
		out = append(append(append(out, id), binary.AppendUvarint(nil, uint64(len(b)))...), b...)
	}
	put(1, vec([]byte{0x60, 2, 0x7f, 0x7e, 1, 0x7e}))
	put(3, vec([]byte{0}, []byte{0}, []byte{0}))
	put(4, vec([]byte{0x70, 0, 4}))
	put(5, vec([]byte{1, 1, 4}))
	put(6, vec([]byte{0x7e, 1, 0x42, 5, 0x0b}))
	put(7, vec(named("f0", 0, 0), named("g", 3, 0), named("memory", 2, 0)))
	put(9, vec([]byte{0, 0x41, 0, 0x0b, 3, 0, 1, 2}))
	put(10, vec(bodies...))
	return out
}
