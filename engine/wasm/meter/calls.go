package meter

const (
	// quietMost is what a call may cost without a look at the fuel: so much may a function and all that it calls
	// cost together, each loop turned once, if it is to look at the fuel in its loops alone.
	quietMost = 4096
	// loudRun is what calls of quiet functions may cost together in the code of a function, before each further
	// one is preceded by a look.
	loudRun = 65_536
)

// callee is what callers know of a function.
type callee struct {
	free  bool  // its callers pay for it
	quiet bool  // it does not look at the fuel where it begins
	total int64 // what callers pay for
	most  int64 // what a call costs at most between two looks at the fuel, or until its first one
}

// call is a call of a function of the module, that many times for each time that a place is passed.
type call struct {
	to    int
	times int64
}

// callees are the functions that a module defines.
type callees []callee

// of returns what is known of a function, imports first. An import is the host's: it neither reads the fuel nor calls the
// module, and its own limits bound it.
func (c callees) of(m *Module, function uint32) callee {
	if function < m.imported[Func] {
		return callee{free: true}
	}
	return c[function-m.imported[Func]]
}

// learn finds out about all functions, callees first. Functions that call each other in a ring look at
// the fuel, and so do those that call what nobody knows: of every way round one looks.
func learn(list []*function) callees {
	r := &rings{list: list, order: make([]int, len(list)), low: make([]int, len(list)), known: make(callees, len(list))}
	for i := range list {
		if r.order[i] == 0 {
			r.visit(i)
		}
	}
	return r.known
}

// rings finds strongly connected functions (Tarjan 1972); what is called comes before its callers.
type rings struct {
	list  []*function
	order []int // in which functions were met, from 1
	low   []int // the earliest one that is reached from there and not closed yet; 0 when the function is closed
	met   int
	open  []int
	known callees
}

func (r *rings) visit(i int) {
	r.met++
	r.order[i], r.low[i] = r.met, r.met
	r.open = append(r.open, i)
	itself := false
	for _, c := range r.list[i].direct {
		if itself = itself || c.to == i; r.order[c.to] == 0 {
			r.visit(c.to)
		}
		if r.low[c.to] > 0 {
			r.low[i] = min(r.low[i], r.low[c.to])
		}
	}
	if r.low[i] < r.order[i] {
		return
	}
	last := r.open[len(r.open)-1]
	if last == i && !itself {
		r.known[i] = r.list[i].asCallee(r.known)
	}
	for ; last != i; last = r.open[len(r.open)-1] {
		r.low[last] = 0
		r.open = r.open[:len(r.open)-1]
	}
	r.low[i] = 0
	r.open = r.open[:len(r.open)-1]
}

// asCallee is what is known of a function when all that it calls is known.
func (f *function) asCallee(known callees) callee {
	c := callee{free: !f.loops && !f.counted && !f.bulk && !f.opaque, total: f.total, most: f.total}
	for _, d := range f.direct {
		k := known[d.to]
		c.free = c.free && k.free
		c.total = min(c.total+k.total, smallLeaf+1)
		c.most = min(c.most+d.times*k.most, quietMost+1)
	}
	c.free = c.free && c.total <= smallLeaf
	if c.quiet = !f.opaque && c.most <= quietMost; !c.quiet {
		c.most = 0
	}
	return c
}
