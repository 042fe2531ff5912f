package meter

// emitter writes a function anew, with its meter.
type emitter struct {
	m      *Module
	f      *function
	known  callees
	run    int64  // what quiet functions cost that were called so far
	more   uint32 // the import
	fuel   uint32 // the global
	local  uint32 // fuel in a local, of a function with loops
	length uint32 // a local for lengths
	place  int
	loops  int     // that have begun
	depth  uint32  // blocks that are open
	labels []label // those of the original, the function's own first
	out    []byte
}

// label is a block of the original that is open.
type label struct {
	depth uint32 // where it stands in what is written
	turns int64  // of the counted loops around what stands in it, multiplied
	again []byte // of a loop that is entered again: the type of its block
	cost  int64  // and what a turn costs
}

// emit writes the body of a function, without its size.
func (e *emitter) emit(index int) []byte {
	b := e.m.bodies[index]
	w := &walker{reader: &reader{b: b.data, base: b.base, at: e.f.declAt}, m: e.m, locals: e.f.locals}
	e.declare(b.data)
	wrapped, check := e.f.loops, (e.f.calls || e.f.counted) && !e.known[index].quiet
	if e.f.loops {
		e.op(opGlobalGet, e.fuel)
		e.op(opLocalSet, e.local)
		e.charge(check)
		e.begin(opBlock, e.m.resultBlock(e.f.typ.Results))
	} else if !e.known[index].free {
		e.charge(check)
	}
	e.labels = []label{{depth: e.depth, turns: 1}}
	e.place = 1
	for {
		i, ok := w.next()
		if !ok {
			break
		}
		e.instruction(i, w.ended)
	}
	if wrapped {
		e.out = append(e.out, opEnd)
		e.save()
		e.out = append(e.out, opEnd)
	}
	if w.err != nil {
		panic("BUG: a function that was read cannot be read again: " + w.err.Error())
	}
	return e.out
}

// declare writes the locals.
func (e *emitter) declare(b []byte) {
	more := uint32(0)
	e.local, e.length = e.f.locals, e.f.locals
	if e.f.loops {
		more++
		e.length++
	}
	if e.f.bulk {
		more++
	}
	e.out = appendU32(e.out, e.f.groups+more)
	e.out = append(e.out, b[e.f.groupAt:e.f.declAt]...)
	if e.f.loops {
		e.out = append(e.out, 1, I64)
	}
	if e.f.bulk {
		e.out = append(e.out, 1, I32)
	}
}

func (e *emitter) op(op byte, arg uint32) { e.out = appendU32(append(e.out, op), arg) }

func (e *emitter) get() {
	if e.f.loops {
		e.op(opLocalGet, e.local)
	} else {
		e.op(opGlobalGet, e.fuel)
	}
}

func (e *emitter) set() {
	if e.f.loops {
		e.op(opLocalSet, e.local)
	} else {
		e.op(opGlobalSet, e.fuel)
	}
}

// save and load move the fuel between the global and the local, where there is one.
func (e *emitter) save() {
	if e.f.loops {
		e.op(opLocalGet, e.local)
		e.op(opGlobalSet, e.fuel)
	}
}

func (e *emitter) load() {
	if e.f.loops {
		e.op(opGlobalGet, e.fuel)
		e.op(opLocalSet, e.local)
	}
}

// charge pays for what begins at this place, and asks for more when there is nothing left.
func (e *emitter) charge(check bool) {
	cost := e.f.charges[e.place]
	if cost > 0 {
		e.get()
		e.out = appendS64(append(e.out, opI64Const), cost)
		e.out = append(e.out, opI64Sub)
		e.set()
	}
	if check {
		e.check()
	}
}

// check calls for more fuel when there is less than none.
func (e *emitter) check() {
	e.get()
	e.out = append(e.out, opI64Const, 0, opI64LtS, opIf, noResult)
	e.get()
	e.op(opCall, e.more)
	e.set()
	e.out = append(e.out, opEnd)
}

// withoutParams says that a block of a type takes nothing from the stack.
func (m *Module) withoutParams(typ []byte) bool {
	r := &reader{b: typ}
	t := int64(r.leb(33, true))
	return t < 0 || len(m.Types[t].Params) == 0
}

// nextPlace goes to the next place and pays there.
func (e *emitter) nextPlace(check bool) {
	if e.f.loops {
		e.charge(check)
	}
	e.place++
}

func (e *emitter) instruction(i instruction, last bool) {
	switch i.op {
	case opLoop:
		e.loop(i)
		return
	case opIf, opBlock:
		e.begin(i.op, i.raw[1:])
		e.labels = append(e.labels, label{depth: e.depth, turns: e.turns()})
		if i.op == opIf {
			e.nextPlace(false)
		}
		return
	case opElse:
		e.out = append(e.out, opElse)
		e.nextPlace(false)
		return
	case opEnd:
		e.end(last)
		return
	case opBr, opBrIf, opBrTable:
		e.branch(i)
		return
	case opReturn:
		if e.f.loops {
			e.op(opBr, e.depth-e.labels[0].depth)
			return
		}
	case opCall, opCallIndirect, opTailCall, opTailIndirect:
		e.call(i)
		return
	case opRefFunc:
		e.op(opRefFunc, e.m.moved(i.arg))
		return
	case opBulk:
		if bulkLength(i) {
			e.payLength()
		}
	}
	e.out = append(e.out, i.raw...)
}

// begin opens a block of a type.
func (e *emitter) begin(op byte, typ []byte) {
	e.depth++
	e.out = append(append(e.out, op), typ...)
}

// turns is how often the counted loops that are open run what is written now.
func (e *emitter) turns() int64 { return e.labels[len(e.labels)-1].turns }

// loop opens a loop. A call within a loop is dear even where it is not made: all that a turn keeps in registers has to
// have a place in memory. So more fuel is got outside of it, and the loop is entered again; nothing
// of its turn has happened yet.
func (e *emitter) loop(i instruction) {
	typ := i.raw[1:]
	if e.loops++; e.f.turns[e.loops-1] > 0 {
		e.nextPlace(false)
		e.begin(opLoop, typ)
		e.labels = append(e.labels, label{depth: e.depth, turns: e.turns() * e.f.turns[e.loops-1]})
		return
	}
	if !e.m.withoutParams(typ) {
		e.begin(opLoop, typ)
		e.labels = append(e.labels, label{depth: e.depth, turns: 1})
		e.nextPlace(true)
		return
	}
	e.begin(opBlock, typ)
	e.begin(opLoop, []byte{noResult})
	e.begin(opBlock, []byte{noResult})
	e.begin(opLoop, typ)
	e.labels = append(e.labels, label{depth: e.depth, turns: 1, again: typ, cost: e.f.charges[e.place]})
	e.nextPlace(false)
	e.get()
	e.out = append(e.out, opI64Const, 0, opI64LtS)
	e.op(opBrIf, 1)
}

// end closes a block of the original, and what loop has opened around it.
func (e *emitter) end(last bool) {
	if last {
		if !e.f.loops { // else the wrapping block's end is written by emit
			e.out = append(e.out, opEnd)
		}
		return
	}
	closed := e.labels[len(e.labels)-1]
	e.labels = e.labels[:len(e.labels)-1]
	e.out = append(e.out, opEnd)
	e.depth--
	if closed.again != nil {
		e.op(opBr, 2)
		e.out = append(e.out, opEnd)
		e.get()
		e.op(opCall, e.more)
		e.out = appendS64(append(e.out, opI64Const), closed.cost) // the turn pays when it is entered again
		e.out = append(e.out, opI64Add)
		e.set()
		e.op(opBr, 0)
		e.out = append(e.out, opEnd, opUnreachable, opEnd)
		e.depth -= 3
	}
	e.nextPlace(false)
}

// branch writes a branch with the labels that its targets have here.
func (e *emitter) branch(i instruction) {
	r := &reader{b: i.raw, at: 1}
	e.out = append(e.out, i.op)
	n := uint32(1)
	if i.op == opBrTable {
		n = r.u32() + 1
		e.out = appendU32(e.out, n-1)
	}
	for range n {
		to := e.labels[uint32(len(e.labels))-1-r.u32()]
		e.out = appendU32(e.out, e.depth-to.depth)
	}
}

func (e *emitter) call(i instruction) {
	to := callee{most: quietMost}
	if i.op == opCall {
		to = e.known.of(e.m, i.arg)
	}
	synced := !to.free
	if synced {
		if e.run += e.turns() * to.most; e.run > loudRun {
			e.check()
		}
		e.save()
	}
	if i.op == opCall || i.op == opTailCall {
		e.op(i.op, e.m.moved(i.arg))
	} else {
		e.out = append(e.out, i.raw...)
	}
	if synced && (i.op == opCall || i.op == opCallIndirect) {
		e.load()
	}
}

// payLength pays for the length on top of the stack: one for every 16.
func (e *emitter) payLength() {
	e.op(opLocalTee, e.length)
	e.get()
	e.op(opLocalGet, e.length)
	e.out = append(e.out, opI64ExtendU, opI64Const, 4, opI64ShrU, opI64Sub)
	e.set()
	e.check()
}

// resultBlock is the type of a block with the results of a function.
func (m *Module) resultBlock(results []byte) []byte {
	switch len(results) {
	case 0:
		return []byte{noResult}
	case 1:
		return results
	}
	for i, t := range m.Types {
		if len(t.Params) == 0 && string(t.Results) == string(results) {
			return appendS64(nil, int64(i))
		}
	}
	panic("BUG: the type of a block was not added")
}
