package detect

import (
	"bytes"
	"math"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// find looks for a leaf that equals the current point.
func (f *Forest) find(g int) (slot uint8, ok bool) {
	t := g * f.share
	kid := f.tree[t] & kidMask
	if kid == noKid {
		return 0, false
	}
	for kid >= internal {
		kid = f.towards(f.node[t*f.inner+int(kid-internal)], f.point)
	}
	for i, v := range f.row(g, uint8(kid)) {
		if v != f.point[i] {
			return 0, false
		}
	}
	return uint8(kid), true
}

// towards is the kid on whose side of the cut a point is: left up to the cut itself.
func (f *Forest) towards(word uint64, x []float32) uint32 {
	side := uint32(kidBits)
	if x[uint32(word)>>(2*kidBits)] <= math.Float32frombits(uint32(word>>32)) {
		side = 0
	}
	return uint32(word) >> (side & 31) & kidMask
}

func pack(left, right uint32, dim int, cut float32) uint64 {
	return uint64(math.Float32bits(cut))<<32 | uint64(left) | uint64(right)<<kidBits | uint64(dim)<<(2*kidBits)
}

// addMass adds to the mass of every node above a leaf.
func (f *Forest) addMass(t, g int, slot uint8, by int) {
	x, kid := f.row(g, slot), f.tree[t]&kidMask
	for kid >= internal {
		at := t*f.inner + int(kid-internal)
		f.mass[at] = uint8(int(f.mass[at]) + by)
		kid = f.towards(f.node[at], x)
	}
	if kid != uint32(slot) {
		panic("BUG: a tree does not lead to the leaf of a point")
	}
}

func (f *Forest) faces(at int) []uint8 {
	return f.face[at*2*f.dims : (at+1)*2*f.dims : (at+1)*2*f.dims]
}

func (f *Forest) setRoot(t int, kid uint32) { f.tree[t] = f.tree[t]&^kidMask | kid }

// allot takes a node off a tree's free list.
func (f *Forest) allot(t int) int {
	id := int(f.tree[t] >> 16)
	next := uint32(f.node[t*f.inner+id])
	f.tree[t] = f.tree[t]&0xffff | next<<16
	return id
}

func (f *Forest) release(t, id int) {
	f.node[t*f.inner+id] = uint64(f.tree[t] >> 16)
	f.tree[t] = f.tree[t]&0xffff | uint32(id)<<16
}

// insert puts a new leaf into a tree (InsertPoint of Guha, Mishra, Roy,
// Schrijvers, ICML 2016): going down, at each node a cut is drawn in the box with
// the point; the first that separates the two becomes their parent.
func (f *Forest) insert(t, g int, slot uint8, r *splitmix.Source) {
	kid := f.tree[t] & kidMask
	if kid == noKid {
		f.setRoot(t, uint32(slot))
		return
	}
	x, parent := f.row(g, slot), -1
	for {
		at, outside := t*f.inner+int(kid)-internal, true
		if kid >= internal {
			_, gap := f.span(at, g, x)
			outside = gap > 0
		}
		if outside {
			if dim, cut, ok := f.drawCut(t, g, kid, x, r); ok {
				f.join(t, g, kid, slot, parent, dim, cut)
				return
			}
			f.widen(f.faces(at), g, slot)
		}
		f.mass[at]++
		parent, kid = at, f.towards(f.node[at], x)
	}
}

// drawCut draws a cut of a node's box and a point, and says whether it
// separates them. Nothing is drawn where the point is inside the box.
func (f *Forest) drawCut(t, g int, kid uint32, x []float32, r *splitmix.Source) (dim int, cut float32, ok bool) {
	low, high := f.spanned(t, g, kid)
	total, gap := 0.0, 0.0
	for d, v := range x {
		a, b := low[d], high[d]
		total += float64(b) - float64(a)
		if v < a {
			gap += float64(a) - float64(v)
		} else if v > b {
			gap += float64(v) - float64(b)
		}
	}
	if gap <= 0 {
		return 0, 0, false
	}
	at := r.Unit() * (total + gap)
	for d, v := range x {
		a, b := low[d], high[d]
		from, to := min(a, v), max(b, v)
		width := float64(to) - float64(from)
		if at > width && d < len(x)-1 || width <= 0 {
			at -= width
			continue
		}
		cut = float32(float64(from) + at)
		if cut >= to {
			cut = math.Nextafter32(to, float32(math.Inf(-1)))
		}
		return d, cut, v < a && cut < a || v > b && cut >= b
	}
	// Rounding carried the draw past the last side that has a width.
	for d, v := range x {
		if v < low[d] {
			return d, v, true
		} else if v > high[d] {
			return d, high[d], true
		}
	}
	panic("BUG: a point is outside of a box in no dimension")
}

// spanned is the box of a node or leaf, good until the next call.
func (f *Forest) spanned(t, g int, kid uint32) (low, high []float32) {
	if kid < internal {
		x := f.row(g, uint8(kid))
		return x, x
	}
	dims := f.dims
	at := t*f.inner + int(kid-internal)
	fc := f.face[at*2*dims : (at+1)*2*dims]
	vals := f.value[g*f.cfg.Samples*dims : (g+1)*f.cfg.Samples*dims]
	low, high = f.box[:dims], f.box[dims:2*dims]
	for d := range low {
		low[d], high[d] = vals[int(fc[d])*dims+d], vals[int(fc[dims+d])*dims+d]
	}
	return low, high
}

// widen makes a box, given by its faces, hold the point of a slot.
func (f *Forest) widen(fc []uint8, g int, slot uint8) {
	x := f.row(g, slot)
	vals := f.value[g*f.cfg.Samples*f.dims:]
	for d, v := range x {
		if v < vals[int(fc[d])*f.dims+d] {
			fc[d] = slot
		}
		if v > vals[int(fc[f.dims+d])*f.dims+d] {
			fc[f.dims+d] = slot
		}
	}
}

// join makes the parent of a node and a new leaf.
func (f *Forest) join(t, g int, kid uint32, slot uint8, parent, dim int, cut float32) {
	id := f.allot(t)
	at := t*f.inner + id
	fc := f.faces(at)
	if kid >= internal {
		old := t*f.inner + int(kid-internal)
		copy(fc, f.faces(old))
		f.mass[at] = f.mass[old] + 1
	} else {
		for d := range fc {
			fc[d] = uint8(kid)
		}
		f.mass[at] = f.dup[g*f.cfg.Samples+int(kid)] + 1
	}
	f.widen(fc, g, slot)
	if f.row(g, slot)[dim] <= cut {
		f.node[at] = pack(uint32(slot), kid, dim, cut)
	} else {
		f.node[at] = pack(kid, uint32(slot), dim, cut)
	}
	f.replace(t, parent, kid, uint32(id)+internal)
}

// replace hangs another kid where one was; parent -1 is the root.
func (f *Forest) replace(t, parent int, old, now uint32) {
	if parent < 0 {
		f.setRoot(t, now)
		return
	}
	word := f.node[parent]
	if uint32(word)&kidMask == old {
		f.node[parent] = word&^kidMask | uint64(now)
	} else {
		f.node[parent] = word&^(kidMask<<kidBits) | uint64(now)<<kidBits
	}
}

// remove takes a leaf and its parent out of a tree.
func (f *Forest) remove(t, g int, slot uint8) {
	x, kid := f.row(g, slot), f.tree[t]&kidMask
	path := f.path[:0]
	for kid >= internal {
		path = append(path, uint16(kid-internal))
		kid = f.towards(f.node[t*f.inner+int(kid-internal)], x)
	}
	if kid != uint32(slot) {
		panic("BUG: a tree does not lead to the leaf of a point")
	}
	if len(path) == 0 {
		f.setRoot(t, noKid)
		return
	}
	id := path[len(path)-1]
	path = path[:len(path)-1]
	word := f.node[t*f.inner+int(id)]
	sibling := uint32(word) & kidMask
	if sibling == uint32(slot) {
		sibling = uint32(word) >> kidBits & kidMask
	}
	parent := -1
	if len(path) > 0 {
		parent = t*f.inner + int(path[len(path)-1])
	}
	f.replace(t, parent, uint32(id)+internal, sibling)
	f.release(t, int(id))
	spans := true
	for i := len(path) - 1; i >= 0; i-- {
		at := t*f.inner + int(path[i])
		f.mass[at]--
		spans = spans && f.shrink(t, g, at, slot)
	}
}

// shrink finds another point for each face of a node's box that a slot spanned, and says whether there
// was any. Every face of a box is one of its kids' too: where there is none, there is none above.
func (f *Forest) shrink(t, g, at int, slot uint8) (any bool) {
	fc, word := f.faces(at), f.node[at]
	vals := f.value[g*f.cfg.Samples*f.dims:]
	for i := 0; ; i++ {
		next := bytes.IndexByte(fc[i:], slot)
		if next < 0 {
			return any
		}
		any = true
		i += next
		a, b := f.faceOf(t, uint32(word)&kidMask, i), f.faceOf(t, uint32(word)>>kidBits&kidMask, i)
		d := i
		low := i < f.dims
		if !low {
			d -= f.dims
		}
		va, vb := vals[int(a)*f.dims+d], vals[int(b)*f.dims+d]
		if low == (va <= vb) {
			fc[i] = a
		} else {
			fc[i] = b
		}
	}
}

func (f *Forest) faceOf(t int, kid uint32, i int) uint8 {
	if kid < internal {
		return uint8(kid)
	}
	return f.face[(t*f.inner+int(kid-internal))*2*f.dims+i]
}
