package meter

import "slices"

const (
	// countedMost is the price of all turns up to which a counted loop is paid for before it begins.
	countedMost = 4096
	// countedRun is what counted loops may cost between two places that look at the fuel: code that is
	// paid for and not looked at for longer would hold up the garbage collector.
	countedRun = 65_536
)

const (
	opI32NotEqual = 0x47
	opI32Add      = 0x6a
)

// counting finds loops whose turns can be told from the code. Such a loop has one branch to its beginning,
// which is taken unless a local has reached a number; the local is set nowhere else in the loop, and had a
// known number before it:
//
//	i32.const INIT  local.set V       ;; nothing joins between here and the loop
//	loop
//	  ...
//	  local.get V  i32.const STEP  i32.add  local.tee V  i32.const END  i32.ne  br_if 0
//
// or without END and i32.ne, which counts to 0. So the branch is taken (END-INIT)/STEP - 1 times at most,
// whatever else leaves the loop.
type counting struct {
	last  [6]instruction // the latest first
	known map[uint32]uint32
	sets  map[uint32][]int // where a local is set: ordinals of instructions
	at    int
	open  []counted
	turns []int64 // of each loop in order; 0: not known
}

// counted is an open block, or the function.
type counted struct {
	loop    int // its ordinal; -1 for other blocks
	inner   int // where the innermost loop stands that is open with it: its own place if it is one, else 0 for the function's
	begins  int
	known   map[uint32]uint32 // numbers in locals before it
	backs   int               // branches to its beginning
	local   uint32            // that the only branch looks at
	step    uint32
	end     uint32
	matched bool
	cost    int64 // of a turn
	metered bool  // there is a loop within that is not counted
	run     int64 // price of the counted loops that stand in it, and in no other loop that is not counted
}

// turnsOf returns how often each loop of a function turns at most, where it is paid for as a whole; 0 for others.
func turnsOf(w *walker, paid func(uint32) (int64, bool)) []int64 {
	c := &counting{known: map[uint32]uint32{}, sets: map[uint32][]int{}, open: []counted{{loop: -1}}}
	for {
		i, ok := w.next()
		if !ok {
			return c.turns
		}
		c.step(i, paid)
		copy(c.last[1:], c.last[:])
		c.last[0] = i
		c.at++
	}
}

func (c *counting) step(i instruction, paid func(uint32) (int64, bool)) {
	cost := price(i)
	switch i.op {
	case opCall:
		more, _ := paid(i.arg)
		cost += more
	case opTailCall, opTailIndirect, opCallIndirect:
		cost += smallLeaf
	}
	c.open[len(c.open)-1].cost += cost
	switch i.op {
	case opLoop:
		c.open = append(c.open, counted{loop: len(c.turns), inner: len(c.open), begins: c.at, known: c.known})
		c.turns = append(c.turns, 0)
		c.known = map[uint32]uint32{}
	case opBlock, opIf:
		c.open = append(c.open, counted{loop: -1, inner: c.open[len(c.open)-1].inner})
	case opElse:
		c.forget()
	case opEnd:
		c.forget()
		if len(c.open) > 1 {
			c.close()
		}
	case opBr, opBrIf, opBrTable:
		c.branch(i)
	case opLocalSet, opLocalTee:
		c.sets[i.arg] = append(c.sets[i.arg], c.at)
		if v, ok := constant(c.last[0]); ok {
			c.known[i.arg] = v
		} else {
			delete(c.known, i.arg)
		}
	}
}

// forget is for places where ways join.
func (c *counting) forget() {
	if len(c.known) > 0 {
		c.known = map[uint32]uint32{}
	}
}

// branch notes branches to the beginnings of loops.
func (c *counting) branch(i instruction) {
	r := &reader{b: i.raw, at: 1}
	n := uint32(1)
	if i.op == opBrTable {
		n = r.u32() + 1
	}
	for range n {
		to := len(c.open) - 1 - int(r.u32())
		if c.open[to].loop < 0 {
			continue
		}
		b := &c.open[to]
		b.backs++
		b.matched = i.op == opBrIf && c.open[len(c.open)-1].inner == to && c.counts(b)
	}
}

// counts reads what a branch looks at.
func (c *counting) counts(b *counted) bool {
	l := c.last[:]
	b.end = 0
	if l[0].op == opI32NotEqual {
		v, ok := constant(l[1])
		if !ok {
			return false
		}
		b.end, l = v, l[2:]
	}
	var ok bool
	b.step, ok = constant(l[2])
	b.local = l[0].arg
	return ok && l[0].op == opLocalTee && l[1].op == opI32Add && l[3].op == opLocalGet && l[3].arg == b.local
}

// close decides about a loop, and adds what a block costs to what is around it.
func (c *counting) close() {
	b := c.open[len(c.open)-1]
	c.open = c.open[:len(c.open)-1]
	around := &c.open[len(c.open)-1]
	if b.loop < 0 {
		around.cost, around.metered = around.cost+b.cost, around.metered || b.metered
		return
	}
	whole, run := c.most(&b)*b.cost, &c.open[around.inner].run
	if whole > 0 && whole <= countedMost && !b.metered && *run+whole <= countedRun {
		c.turns[b.loop] = whole / b.cost
		around.cost, *run = around.cost+whole, *run+whole
		return
	}
	around.cost, around.metered = around.cost+b.cost, true
}

// most is how often a loop turns at most, 0 when that is not known or too often.
func (c *counting) most(b *counted) int64 {
	init, known := b.known[b.local]
	if b.backs != 1 || !b.matched || !known || b.step == 0 {
		return 0
	}
	sets := c.sets[b.local]
	first, _ := slices.BinarySearch(sets, b.begins)
	if len(sets)-first != 1 {
		return 0
	}
	way, step := b.end-init, b.step
	if int32(step) < 0 {
		way, step = -way, -step
	}
	if way%step != 0 || way/step > countedMost {
		return 0
	}
	return int64(way / step)
}

// constant is the number of an i32.const.
func constant(i instruction) (uint32, bool) {
	if i.op != opI32Const {
		return 0, false
	}
	r := &reader{b: i.raw, at: 1}
	return uint32(r.leb(32, true)), true
}
