package meter

// emitter writes a function anew, with its meter.
type emitter struct {
	m      *Module
	f      *function
	free   func(function uint32) bool
	more   uint32 // the import
	fuel   uint32 // the global
	local  uint32 // fuel in a local, of a function with loops
	length uint32 // a local for lengths
	place  int
	depth  uint32
	out    []byte
}

// emit writes the body of a function, without its size.
func (e *emitter) emit(index int) []byte {
	b := e.m.bodies[index]
	w := &walker{reader: &reader{b: b.data, base: b.base, at: e.f.declAt}, m: e.m, locals: e.f.locals}
	e.declare(b.data)
	wrapped := e.f.loops
	if e.f.loops {
		e.op(opGlobalGet, e.fuel)
		e.op(opLocalSet, e.local)
		e.charge(e.f.calls)
		e.out = append(e.out, opBlock)
		e.out = append(e.out, e.m.resultBlock(e.f.typ.Results)...)
	} else if !e.free(e.m.imported[Func] + uint32(index)) {
		e.charge(e.f.calls)
	}
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

// nextPlace goes to the next place and pays there.
func (e *emitter) nextPlace(check bool) {
	if e.f.loops {
		e.charge(check)
	}
	e.place++
}

func (e *emitter) instruction(i instruction, last bool) {
	switch i.op {
	case opLoop, opIf:
		e.depth++
		e.out = append(e.out, i.raw...)
		e.nextPlace(i.op == opLoop)
		return
	case opElse:
		e.out = append(e.out, opElse)
		e.nextPlace(false)
		return
	case opBlock:
		e.depth++
	case opEnd:
		if e.out = append(e.out, opEnd); last {
			if e.f.loops {
				e.out = e.out[:len(e.out)-1] // the wrapping block's end is written by emit
			}
			return
		}
		e.depth--
		e.nextPlace(false)
		return
	case opReturn:
		if e.f.loops {
			e.op(opBr, e.depth)
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

func (e *emitter) call(i instruction) {
	synced := i.op != opCall || !e.free(i.arg)
	if synced {
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
