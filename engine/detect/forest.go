package detect

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// ForestConfig says what a random cut forest is made of.
type ForestConfig struct {
	Signals  int // values a point
	Shingle  int // points that are seen together: a tree's dimensions are Signals * Shingle
	Trees    int
	Samplers int     // reservoirs; Trees is a multiple of it. The trees of a reservoir differ by their cuts
	Samples  int     // points a reservoir holds, 2 to 256
	Decay    float64 // of a point's weight with each later point, an exponent; 0 forgets nothing
	After    int     // no score before so many points; 0 means Samples / 4
}

// Check says what is wrong with a configuration, for its author.
func (c ForestConfig) Check() error {
	switch {
	case c.Signals < 1 || c.Shingle < 1 || c.Signals*c.Shingle > maxDims:
		return fmt.Errorf("a forest has 1 to %d dimensions; %d signals with a shingle of %d have %d", maxDims, c.Signals, c.Shingle, c.Signals*c.Shingle)
	case c.Samples < 2 || c.Samples > maxSamples:
		return fmt.Errorf("a tree holds 2 to %d samples, not %d", maxSamples, c.Samples)
	case c.Trees < 1 || c.Trees > maxTrees:
		return fmt.Errorf("a forest has 1 to %d trees, not %d", maxTrees, c.Trees)
	case c.Samplers < 1 || c.Trees%c.Samplers != 0:
		return fmt.Errorf("%d trees cannot share %d reservoirs evenly", c.Trees, c.Samplers)
	case !(c.Decay >= 0 && c.Decay <= 1):
		return fmt.Errorf("the decay is a number from 0 to 1, not %g", c.Decay)
	case c.After < 0:
		return fmt.Errorf("scores cannot begin after %d points", c.After)
	}
	return nil
}

const (
	maxSamples = 256
	maxTrees   = 1000
	maxDims    = 4096
)

// Words of a forest's header.
const (
	headRandom = iota // state of the random number generator
	headSeen          // points taken, complete shingles only
	headBase          // value of headSeen that weights are relative to
	headRing          // points in the shingle so far
	headWords
)

// A node is one word: the cut's float32 bits in the upper half, and below
// left | right<<9 | dimension<<18. A kid below 256 is a leaf, the slot of
// its point; others are internal nodes, counted from 256.
const (
	kidBits  = 9
	kidMask  = 1<<kidBits - 1
	internal = 256
	noKid    = kidMask
)

// Forest is a random cut forest over a model's memory. The memory holds all of
// its state; the rest is scratch and serves one model after another.
type Forest struct {
	cfg                      ForestConfig
	dims, share, inner, size int
	off                      forestOffsets

	head    []uint64
	origin  []float64
	ring    []float32
	tree    []uint32  // root | first free node << 16
	count   []uint32  // points a sampler
	top     []float32 // weight of a full sampler's heaviest point, which leaves next
	bound   []float32 // exp of it: what is surely heavier is known without a logarithm
	weight  []float32
	value   []float32
	node    []uint64
	slot    []uint8 // of a heap's entries
	rep     []uint8 // slot that stands for all equal points
	dup     []uint8 // further points that a rep stands for
	mass    []uint8 // of internal nodes, minus one
	face    []uint8 // slots of the points that span a node's box: lowest a dimension, then highest
	point   []float32
	walks   []walk
	on      []uint16 // walks that are still on their way
	touched uint8    // by reads ahead of use, so that they are not left out
	gathers bool
	path    []uint16
	box     []float32
	paths   []uint8
	samples []float64
}

type forestOffsets struct{ head, origin, ring, tree, count, top, bound, weight, value, node, slot, rep, dup, mass, face int }

// NewForest lays out models of a checked configuration.
func NewForest(c ForestConfig) *Forest {
	if err := c.Check(); err != nil {
		panic("BUG: " + err.Error())
	}
	if c.After == 0 {
		c.After = max(1, c.Samples/4)
	}
	f := &Forest{cfg: c, dims: c.Signals * c.Shingle, share: c.Trees / c.Samplers, inner: c.Samples - 1}
	held := c.Samplers * c.Samples
	var at carver
	f.off = forestOffsets{
		head: at.take(headWords, 8), origin: at.take(c.Signals, 8), ring: at.take(f.dims, 4),
		tree: at.take(c.Trees, 4), count: at.take(c.Samplers, 4), top: at.take(c.Samplers, 4), bound: at.take(c.Samplers, 4),
		weight: at.take(held, 4), value: at.take(held*f.dims, 4), node: at.take(c.Trees*f.inner, 8),
		slot: at.take(held, 1), rep: at.take(held, 1), dup: at.take(held, 1),
		mass: at.take(c.Trees*f.inner, 1), face: at.take(c.Trees*f.inner*2*f.dims, 1),
	}
	f.size = at.at
	f.point = make([]float32, f.dims)
	f.walks, f.on = make([]walk, c.Trees), make([]uint16, c.Trees)
	f.gathers = f.dims >= gather && haveGathers()
	f.box = make([]float32, 2*f.dims)
	f.paths = make([]uint8, c.Trees*maxSamples)
	f.path = make([]uint16, 0, c.Samples)
	f.samples = make([]float64, c.Trees)
	return f
}

// Size is how many bytes a model has.
func (f *Forest) Size() int { return f.size }

// Init makes an empty model of zeroed memory.
func (f *Forest) Init(mem []byte, seed uint64) {
	f.Attach(mem)
	f.head[headRandom] = seed
	for t := range f.tree {
		f.tree[t] = noKid
		base := t * f.inner
		for i := range f.inner {
			f.node[base+i] = uint64(i + 1) // the free list; inner ends it
		}
	}
}

// Attach makes the forest work on a model.
func (f *Forest) Attach(mem []byte) {
	if len(mem) != f.size {
		panic(fmt.Sprintf("BUG: a forest's model has %d bytes, not %d", len(mem), f.size))
	}
	c, o := f.cfg, f.off
	held := c.Samplers * c.Samples
	f.head = words[uint64](mem, o.head, headWords)
	f.origin = words[float64](mem, o.origin, c.Signals)
	f.ring = words[float32](mem, o.ring, f.dims)
	f.tree = words[uint32](mem, o.tree, c.Trees)
	f.count = words[uint32](mem, o.count, c.Samplers)
	f.top = words[float32](mem, o.top, c.Samplers)
	f.bound = words[float32](mem, o.bound, c.Samplers)
	f.weight = words[float32](mem, o.weight, held)
	f.value = words[float32](mem, o.value, held*f.dims)
	f.node = words[uint64](mem, o.node, c.Trees*f.inner)
	f.slot = words[uint8](mem, o.slot, held)
	f.rep = words[uint8](mem, o.rep, held)
	f.dup = words[uint8](mem, o.dup, held)
	f.mass = words[uint8](mem, o.mass, c.Trees*f.inner)
	f.face = words[uint8](mem, o.face, c.Trees*f.inner*2*f.dims)
}

// Seen is how many shingles the model has taken in.
func (f *Forest) Seen() uint64 { return f.head[headSeen] }

// Ready says whether the model has seen enough to score.
func (f *Forest) Ready() bool { return f.head[headSeen] >= uint64(f.cfg.After) }

// Push puts a point, its missing values filled in, behind the shingle. It says whether the
// shingle is complete; Score and Update then work on it.
func (f *Forest) Push(x []float64) bool {
	n := f.cfg.Signals
	filled := f.head[headRing]
	if filled == 0 {
		copy(f.origin, x)
	}
	copy(f.ring, f.ring[n:])
	last := f.ring[f.dims-n:]
	for i, v := range x {
		last[i] = float32(min(max(v-f.origin[i], -most), most))
	}
	if filled < uint64(f.cfg.Shingle) {
		f.head[headRing]++
	}
	copy(f.point, f.ring)
	return f.head[headRing] == uint64(f.cfg.Shingle)
}

// Next is the shingle that will be complete with x, for Score before Push. The result is
// good until the next call.
func (f *Forest) Next(x []float64) ([]float32, bool) {
	n := f.cfg.Signals
	copy(f.point, f.ring[n:])
	for i, v := range x {
		f.point[f.dims-n+i] = float32(min(max(v-f.origin[i], -most), most))
	}
	return f.point, f.head[headRing]+1 >= uint64(f.cfg.Shingle)
}

// Gap forgets the shingle, as after a silence: points on both sides of it are
// not neighbours.
func (f *Forest) Gap() {
	if f.head[headRing] > 0 {
		f.head[headRing] = 1
	}
}

// Update samples the shingle that Push completed. Weighted reservoir sampling
// with exponential decay is Efraimidis and Spirakis, Information Processing
// Letters 97 (2006): the largest of log(-log u) - decay * time leaves first.
func (f *Forest) Update() {
	r := splitmix.Source(f.head[headRandom])
	age := float64(f.head[headSeen]-f.head[headBase]) * f.cfg.Decay
	aged := math.Exp(age)
	for g := range f.count {
		full, u := int(f.count[g]) == f.cfg.Samples, r.Unit()
		if full && 1-u >= float64(f.bound[g])*aged*1.001 {
			continue // -log u is at least 1 - u
		}
		w := float32(math.Log(-math.Log(u)) - age)
		if full && w >= f.top[g] {
			continue
		}
		f.touch(g)
		slot := uint8(f.count[g])
		if full {
			slot = f.evict(g)
		}
		f.heapAdd(g, w, slot)
		f.admit(g, slot, &r)
	}
	f.head[headRandom] = uint64(r)
	f.head[headSeen]++
	if age > 32 {
		f.rebase(age)
	}
}

// touch reads the memory of a sampler and its trees, a cache line at a time, which is quicker than
// to wait for one after another on the way through them.
func (f *Forest) touch(g int) {
	const line = 64
	var seen uint8
	t, n, wide := g*f.share*f.inner, f.share*f.inner, 2*f.dims
	for mem := f.face[t*wide : (t+n)*wide]; len(mem) > line; mem = mem[line:] {
		seen |= mem[0]
	}
	for mem := f.node[t : t+n]; len(mem) > line/8; mem = mem[line/8:] {
		seen |= uint8(mem[0])
	}
	held := f.cfg.Samples * f.dims
	for mem := f.value[g*held : (g+1)*held]; len(mem) > line/4; mem = mem[line/4:] {
		seen |= uint8(math.Float32bits(mem[0]))
	}
	f.touched = seen
}

// rebase keeps weights small, for float32 is coarse where they are big.
func (f *Forest) rebase(age float64) {
	age += f.cfg.Decay
	for g := range f.count {
		for i := range f.heap(g) {
			f.weight[g*f.cfg.Samples+i] += float32(age)
		}
		f.setTop(g)
	}
	f.head[headBase] = f.head[headSeen]
}

// heap is the heap of a sampler, as slots.
func (f *Forest) heap(g int) []uint8 {
	return f.slot[g*f.cfg.Samples:][:f.count[g]]
}

func (f *Forest) heapAdd(g int, w float32, slot uint8) {
	base, i := g*f.cfg.Samples, int(f.count[g])
	f.count[g]++
	weight, slots := f.weight[base:base+f.cfg.Samples], f.slot[base:base+f.cfg.Samples]
	for i > 0 {
		up := (i - 1) / 2
		if weight[up] >= w {
			break
		}
		weight[i], slots[i] = weight[up], slots[up]
		i = up
	}
	weight[i], slots[i] = w, slot
	f.setTop(g)
}

func (f *Forest) setTop(g int) {
	f.top[g] = f.weight[g*f.cfg.Samples]
	f.bound[g] = float32(math.Exp(float64(f.top[g])))
}

func (f *Forest) heapPop(g int) uint8 {
	base := g * f.cfg.Samples
	f.count[g]--
	n := int(f.count[g])
	weight, slots := f.weight[base:base+f.cfg.Samples], f.slot[base:base+f.cfg.Samples]
	out, w, s, i := slots[0], weight[n], slots[n], 0
	for {
		kid := 2*i + 1
		if kid >= n {
			break
		}
		if kid+1 < n && weight[kid+1] > weight[kid] {
			kid++
		}
		if weight[kid] <= w {
			break
		}
		weight[i], slots[i] = weight[kid], slots[kid]
		i = kid
	}
	weight[i], slots[i] = w, s
	return out
}

// evict takes the oldest point in weight out of a sampler and its trees, and
// returns the slot that is free now.
func (f *Forest) evict(g int) uint8 {
	s := f.heapPop(g)
	base := g * f.cfg.Samples
	r := f.rep[base+int(s)]
	if f.dup[base+int(r)] == 0 {
		for t := g * f.share; t < (g+1)*f.share; t++ {
			f.remove(t, g, s)
		}
		return s
	}
	f.dup[base+int(r)]--
	for t := g * f.share; t < (g+1)*f.share; t++ {
		f.addMass(t, g, r, -1)
	}
	if s != r {
		return s
	}
	// The slot that stands for the others stays, and another one of them leaves.
	for i, other := range f.heap(g) {
		if f.rep[base+int(other)] == r && other != r {
			f.slot[base+i] = r
			return other
		}
	}
	panic("BUG: a point's duplicate is not in its sampler")
}

// admit puts the current point into a slot and into the trees of a sampler.
func (f *Forest) admit(g int, slot uint8, r *splitmix.Source) {
	base := g * f.cfg.Samples
	copy(f.row(g, slot), f.point)
	f.dup[base+int(slot)] = 0
	f.rep[base+int(slot)] = slot
	if equal, ok := f.find(g); ok {
		f.rep[base+int(slot)] = equal
		f.dup[base+int(equal)]++
		for t := g * f.share; t < (g+1)*f.share; t++ {
			f.addMass(t, g, equal, 1)
		}
		return
	}
	for t := g * f.share; t < (g+1)*f.share; t++ {
		f.insert(t, g, slot, r)
	}
}

// row is the point in a slot of a sampler.
func (f *Forest) row(g int, slot uint8) []float32 {
	at := (g*f.cfg.Samples + int(slot)) * f.dims
	return f.value[at : at+f.dims : at+f.dims]
}

// Current is the shingle that the last Push completed, borrowed until the next.
func (f *Forest) Current() []float32 { return f.point }
