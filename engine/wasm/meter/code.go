package meter

// Instructions that the rewriter has to know by name.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opTailCall     = 0x12
	opTailIndirect = 0x13
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI64LtS       = 0x53
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opBulk         = 0xfc
	opVector       = 0xfd

	noResult = 0x40 // block type
)

// Instructions behind opBulk.
const (
	bulkMemoryInit = 8
	bulkDataDrop   = 9
	bulkMemoryCopy = 10
	bulkMemoryFill = 11
	bulkTableInit  = 12
	bulkElemDrop   = 13
	bulkTableCopy  = 14
	bulkTableGrow  = 15
	bulkTableSize  = 16
	bulkTableFill  = 17
)

// instruction is one instruction as it stands: raw is all of it.
type instruction struct {
	op  byte
	sub uint32 // behind opBulk and opVector
	arg uint32 // index of a function, a local, a global or a type; labels of a br_table
	raw []byte
}

// walker reads the instructions of a function and checks what concerns the rewriter: that
// blocks are closed, and that no index is beyond what the original has.
type walker struct {
	*reader
	m      *Module
	locals uint32 // with parameters
	depth  uint32 // open blocks; the function's own is 0
	ended  bool
}

// next reads an instruction. The walk ends with the end of the function's own block.
func (w *walker) next() (i instruction, ok bool) {
	if w.err != nil || w.ended {
		return i, false
	}
	at := w.at
	i.op = w.byte()
	w.arguments(&i)
	if w.err != nil {
		return i, false
	}
	i.raw = w.b[at:w.at]
	return i, true
}

func (w *walker) arguments(i *instruction) {
	switch op := i.op; {
	case op == opBlock || op == opLoop || op == opIf:
		w.blockType()
		w.depth++
	case op == opElse:
		if w.depth == 0 {
			w.fail("an else stands outside of an if")
		}
	case op == opEnd:
		if w.depth == 0 {
			if w.ended = true; w.at != len(w.b) {
				w.fail("instructions stand behind the end")
			}
			return
		}
		w.depth--
	case op == opBr || op == opBrIf:
		w.label()
	case op == opBrTable:
		i.arg = w.count("labels", maxItems) + 1
		for range i.arg {
			w.label()
		}
	case op == opCall || op == opTailCall || op == opRefFunc:
		i.arg = w.index("function", w.m.functionCount())
	case op == opCallIndirect || op == opTailIndirect:
		i.arg = w.index("type", uint32(len(w.m.Types)))
		w.index("table", w.m.tableCount())
	case op == opSelectTyped:
		w.bytes(w.count("types", 1000))
	case op >= opLocalGet && op <= opLocalTee:
		i.arg = w.index("local", w.locals)
	case op == opGlobalGet || op == opGlobalSet:
		i.arg = w.index("global", w.m.globalCount())
	case op == opTableGet || op == opTableSet:
		w.index("table", w.m.tableCount())
	case op >= 0x28 && op <= 0x3e:
		w.memoryArgument()
	case op == opBulk:
		i.sub = w.u32()
		w.bulk(i.sub)
	case op == opVector:
		i.sub = w.u32()
		w.vector(i.sub)
	default:
		w.plain(op)
	}
}

// plain reads the arguments of instructions that only compute.
func (w *walker) plain(op byte) {
	switch {
	case op == opMemorySize || op == opMemoryGrow || op == opRefNull:
		w.byte()
	case op == opI32Const:
		w.leb(32, true)
	case op == opI64Const:
		w.leb(64, true)
	case op == opF32Const:
		w.bytes(4)
	case op == opF64Const:
		w.bytes(8)
	case op <= 0x01 || op == opReturn || op == 0x1a || op == 0x1b || op >= 0x45 && op <= 0xc4 || op == 0xd1:
	default:
		w.fail("instruction %#x is not offered", op)
	}
}

func (w *walker) index(what string, count uint32) uint32 {
	v := w.u32()
	if v >= count {
		w.fail("there is no %s %d", what, v)
	}
	return v
}

func (w *walker) label() {
	if v := w.u32(); v > w.depth {
		w.fail("a branch goes out of %d blocks; %d are open", v, w.depth)
	}
}

func (w *walker) blockType() {
	t := int64(w.leb(33, true))
	if t >= 0 && t >= int64(len(w.m.Types)) {
		w.fail("there is no type %d", t)
	}
	if t < 0 && t != noResult-0x80 && !isValueType(byte(t)&0x7f) {
		w.fail("block type %#x is not offered", byte(t)&0x7f)
	}
}

func (w *walker) memoryArgument() {
	if align := w.u32(); align >= 32 {
		w.fail("an alignment of 2^%d", align)
	}
	w.u32()
}

func (w *walker) bulk(sub uint32) {
	switch {
	case sub <= 7:
	case sub == bulkMemoryInit || sub == bulkTableInit || sub == bulkTableCopy:
		w.u32()
		w.u32()
	case sub == bulkMemoryCopy:
		w.byte()
		w.byte()
	case sub == bulkMemoryFill:
		w.byte()
	case sub <= bulkTableFill:
		w.u32()
	default:
		w.fail("instruction fc %d is not offered", sub)
	}
}

func (w *walker) vector(sub uint32) {
	switch {
	case sub <= 11 || sub == 92 || sub == 93:
		w.memoryArgument()
	case sub == 12 || sub == 13:
		w.bytes(16)
	case sub >= 21 && sub <= 34:
		w.byte()
	case sub >= 84 && sub <= 91:
		w.memoryArgument()
		w.byte()
	case sub > 255:
		w.fail("instruction fd %d is not offered", sub)
	}
}

// price is what an instruction costs.
func price(i instruction) int64 {
	switch i.op {
	case opBlock, opLoop, opElse, opEnd, 0x01, 0x1a:
		return 0
	case opMemoryGrow:
		return growPrice
	case opBulk:
		if i.sub == bulkTableGrow {
			return growPrice
		}
	}
	return 1
}

// growPrice is the flat price of memory.grow and table.grow. What can be got is bounded
// by their limits.
const growPrice = 1000

// bulkLength says whether the last operand of an instruction is a length to pay for.
func bulkLength(i instruction) bool {
	if i.op != opBulk {
		return false
	}
	switch i.sub {
	case bulkMemoryInit, bulkMemoryCopy, bulkMemoryFill, bulkTableInit, bulkTableCopy, bulkTableFill:
		return true
	}
	return false
}
