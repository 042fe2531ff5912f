package meter

import "fmt"

const (
	// smallLeaf is the price up to which a function without loops is paid for by its
	// callers, together with all that it calls.
	smallLeaf = 64
	// coarse is the price up to which a loop's turn is paid for at its header as a whole,
	// whatever branch it takes.
	coarse = 256
)

// function is what a first walk finds out about a function.
type function struct {
	typ     Type
	locals  uint32 // with parameters
	declAt  int    // where the instructions begin in the body
	groups  uint32 // of declared locals
	groupAt int    // where the groups begin
	regions []region
	charges []int64 // what the places where something may be charged cost, in their order
	turns   []int64 // of each loop that is paid for as a whole before it begins; 0 for others
	loops   bool    // there are loops with a meter, or counted ones that are worth a place of their own
	counted bool    // there are loops that are paid for as a whole
	calls   bool    // other functions that are metered, or anything that is not known
	bulk    bool
	blocks  int64  // blocks, and branches out of them
	opaque  bool   // it calls what is not known: functions in tables, or others in its own place
	hosts   bool   // it calls imports
	direct  []call // of functions of the module
	total   int64
}

// region is a loop, or the function around all loops. Instructions belong to
// the innermost one.
type region struct {
	place int // where it begins, among charges
	cost  int64
}

// analysis is a walk under way.
type analysis struct {
	w     *walker
	f     *function
	stack []open // of blocks
	loop  int    // the next loop
}

// open is a block that is not closed.
type open struct {
	op      byte
	region  int // the innermost region within
	counted bool
	turns   int64 // of the counted loops around it, multiplied
	payer   int   // the place that pays for those
}

// analyse walks through a function for the first time. Calls of free functions are priced by paid.
func (m *Module) analyse(index int, limits Limits, paid func(function uint32) (int64, bool)) (*function, error) {
	b := m.bodies[index]
	r := &reader{b: b.data, base: b.base}
	f := &function{typ: m.Types[m.Functions[index]]}
	f.groups = r.count("groups of locals", limits.Locals)
	f.groupAt = r.at
	locals := uint64(len(f.typ.Params))
	for range f.groups {
		locals += uint64(r.u32())
		if t := r.byte(); !isValueType(t) {
			r.fail("a local of type %#x", t)
		}
		if locals > uint64(limits.Locals) {
			r.fail("%d locals; at most %d are allowed", locals, limits.Locals)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	f.declAt, f.locals = r.at, uint32(locals)
	a := &analysis{w: &walker{reader: r, m: m, locals: f.locals}, f: f}
	f.turns = turnsOf(&walker{reader: &reader{b: b.data, base: b.base, at: f.declAt}, m: m, locals: f.locals}, paid)
	a.enter(opBlock)
	for {
		i, ok := a.w.next()
		if !ok {
			break
		}
		m.hidden = m.hidden || hides(i)
		a.step(i, paid)
	}
	f.loops = f.loops || f.counted && f.total > coarse
	if r.err == nil && !a.w.ended {
		r.fail("a function has no end")
	}
	if r.err != nil {
		return nil, fmt.Errorf("function %d: %w", m.imported[Func]+uint32(index), r.err)
	}
	if f.blocks > int64(limits.Blocks) {
		r.fail("a function with %d blocks and branches; at most %d are allowed", f.blocks, limits.Blocks)
		return nil, r.err
	}
	a.settle()
	return f, nil
}

// enter opens a block. Loops that are not counted, and the function itself, are regions.
func (a *analysis) enter(op byte) {
	b := open{turns: 1}
	if len(a.stack) > 0 {
		b = a.stack[len(a.stack)-1]
	}
	b.op = op
	turns := int64(0)
	if op == opLoop {
		turns = a.f.turns[a.loop]
		a.loop++
	}
	switch {
	case turns > 0:
		if !b.counted {
			b.payer = len(a.f.charges)
		}
		a.f.counted, b.counted = true, true
		b.turns *= turns
		a.place()
	case op == opLoop || len(a.stack) == 0:
		b.region = a.newRegion()
		if op == opLoop {
			a.f.loops = true
			a.f.blocks += 3 // that the emitter puts around it
		}
	}
	a.stack = append(a.stack, b)
	a.f.blocks++
}

func (a *analysis) newRegion() int {
	a.f.regions = append(a.f.regions, region{place: len(a.f.charges)})
	a.place()
	return len(a.f.regions) - 1
}

func (a *analysis) place() { a.f.charges = append(a.f.charges, 0) }

func (a *analysis) step(i instruction, paid func(uint32) (int64, bool)) {
	cost := price(i)
	switch i.op {
	case opCall:
		c, free := paid(i.arg)
		cost += c
		a.f.calls = a.f.calls || !free
		a.calls(i.arg)
	case opTailCall, opTailIndirect, opCallIndirect:
		cost += smallLeaf
		a.f.calls, a.f.opaque = true, true
	}
	a.f.bulk = a.f.bulk || bulkLength(i)
	switch i.op {
	case opBr, opBrIf:
		a.f.blocks++
	case opBrTable:
		a.f.blocks += int64(i.arg)
	}
	payer := len(a.f.charges) - 1
	if len(a.stack) > 0 {
		b := &a.stack[len(a.stack)-1]
		if cost *= b.turns; b.counted {
			payer = b.payer
		}
		a.f.regions[b.region].cost += cost
	}
	a.f.charges[payer] += cost
	a.f.total += cost
	switch i.op {
	case opLoop, opBlock:
		a.enter(i.op)
	case opIf:
		a.enter(opIf)
		a.place()
	case opElse:
		a.place()
	case opEnd:
		a.stack = a.stack[:len(a.stack)-1]
		if len(a.stack) > 0 {
			a.place()
		}
	}
}

// calls notes a call.
func (a *analysis) calls(function uint32) {
	imported := a.w.m.imported[Func]
	if function < imported {
		return
	}
	times := int64(1)
	if len(a.stack) > 0 {
		times = a.stack[len(a.stack)-1].turns
	}
	a.f.direct = append(a.f.direct, call{int(function - imported), times})
}

// settle decides where code is paid for. Functions without loops pay at once; so does a loop's turn
// at its header, when it is cheap. Elsewhere places are gathered: what stands at a place is paid for at an
// earlier one through which every way to it leads, as long as one place does not pay for too much.
func (a *analysis) settle() {
	f := a.f
	if !f.loops {
		clear(f.charges)
		f.charges[0] = f.total
		return
	}
	a.w.at, a.w.ended, a.w.depth = f.declAt, false, 0
	g := &gathering{f: f, open: []gathered{{}}}
	for {
		i, ok := a.w.next()
		if !ok {
			break
		}
		g.step(i)
	}
	for _, r := range f.regions {
		if r.cost <= coarse {
			f.charges[r.place] = r.cost
		}
		if r.place > 0 {
			f.charges[r.place] = max(f.charges[r.place], 1)
		}
	}
}

// manyLabels is how many labels make a br_table a dispatcher: each of its targets is a way of its own
// through the function, as in the code that Go's compiler makes, and pays for itself.
const manyLabels = 8

// gathering is a walk that moves what places cost to earlier ones.
type gathering struct {
	f       *function
	open    []gathered // blocks
	place   int
	loop    int
	next    int // region
	payer   int // the place that pays for what comes
	counted int // counted loops that are open: what stands in them is paid for before them
}

// gathered is an open block: every way to what stands behind it leads through its beginning.
type gathered struct {
	region     int
	payer      int
	dispatched bool // its end is a target of a dispatcher
	counted    bool
}

func (g *gathering) step(i instruction) {
	last := &g.open[len(g.open)-1]
	switch i.op {
	case opLoop:
		g.enter(last.region)
	case opBlock:
		g.open = append(g.open, gathered{region: last.region, payer: g.payer})
	case opIf:
		g.open = append(g.open, gathered{region: last.region, payer: g.payer})
		g.place++
		g.pay(last.region, g.payer, false)
	case opElse:
		g.place++
		g.pay(last.region, last.payer, false)
	case opBrTable:
		if i.arg <= manyLabels {
			return
		}
		for n := len(g.open) - 1; n > 0 && len(g.open)-n <= int(i.arg); n-- {
			g.open[n].dispatched = true
		}
	case opEnd:
		ended := *last
		g.open = g.open[:len(g.open)-1]
		if ended.counted {
			g.counted--
		}
		if len(g.open) > 0 {
			g.place++
			g.pay(g.open[len(g.open)-1].region, ended.payer, ended.dispatched)
		}
	}
}

// enter opens a loop.
func (g *gathering) enter(region int) {
	g.place++
	g.loop++
	if g.f.turns[g.loop-1] > 0 {
		g.pay(region, g.payer, false)
		g.counted++
		g.open = append(g.open, gathered{region: region, payer: g.payer, counted: true})
		return
	}
	g.next++
	g.open = append(g.open, gathered{region: g.next, payer: g.payer})
	g.payer = g.place
}

// pay decides who pays for the place under way, in a region: payer, an earlier place, or itself.
func (g *gathering) pay(region, payer int, alone bool) {
	r, cost := g.f.regions[region], g.f.charges
	switch {
	case g.counted > 0: // it costs nothing more
	case r.cost <= coarse: // its beginning pays for all of it
		cost[g.place] = 0
		g.payer = r.place
	case !alone && cost[payer]+cost[g.place] <= coarse:
		cost[payer] += cost[g.place]
		cost[g.place] = 0
		g.payer = payer
	default:
		g.payer = g.place
	}
}
