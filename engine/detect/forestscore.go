package detect

import (
	"math"
	"slices"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// walk is one tree's way down.
type walk struct {
	left  float64 // probability that no cut has separated the point yet
	score float64
	kid   uint32
	depth int32
	tree  uint16
	group uint16
}

// converged: what is left of a walk cannot change an attribution by more than this part.
const converged = 1e-3

// Score is the anomaly score of a shingle against the model, before it is taken in:
// the expected inverse depth at which a random cut would separate the point,
// times log2(mass + 1), mean over the trees; about 1 for what is usual, and more the
// odder it is. A leaf that equals the point counts 1 - mass/2n of its depth.
//
// All trees go down a level at a time, and then up again a box at a time, so that the
// misses of their memory overlap (a forest a device is bound by its latency). Boxes are looked
// at on the way up only, and no further than to the first that holds the point.
func (f *Forest) Score(x []float32) float64 {
	walks := f.begin()
	f.descend(walks, x)
	f.climb(walks, x)
	sum, count, norm := 0.0, uint32(0), 0.0
	for i := range walks {
		w := &walks[i]
		if c := f.count[w.group]; c != count {
			count, norm = c, math.Log2(float64(c)+1)
		}
		sum += float64(w.score * norm)
	}
	return sum / float64(f.cfg.Trees)
}

// descend takes every walk to its leaf and notes its path.
func (f *Forest) descend(walks []walk, x []float32) {
	for active := len(walks); active > 0; {
		active = 0
		for i := range walks {
			w := &walks[i]
			if w.kid < internal {
				continue // a list of who is left, kept without branches, would wait for every miss
			}
			id := w.kid - internal
			f.paths[int(w.tree)*maxSamples+int(w.depth)] = uint8(id)
			w.depth++
			w.kid = f.towards(f.node[int(w.tree)*f.inner+int(id)], x)
			active++
		}
	}
}

// climb scores the trees from their leaves up. What is looked at first is read
// once before: reads that nothing waits for are under way together.
func (f *Forest) climb(walks []walk, x []float32) {
	touched := uint8(0)
	for i := range walks {
		w := &walks[i]
		leaf := int(w.group)*f.cfg.Samples + int(w.kid)
		touched |= f.dup[leaf] | uint8(math.Float32bits(f.value[leaf*f.dims]))
		if w.depth > 0 {
			touched |= f.face[f.above(w)*2*f.dims]
		}
	}
	f.touched = touched
	on := f.on[:0]
	for i := range walks {
		w := &walks[i]
		seen := false
		if w.score, seen = f.leafScore(w, int(w.depth), x); !seen && w.depth > 0 {
			on = append(on, uint16(i))
		}
	}
	for len(on) > 0 {
		still := on[:0]
		for _, i := range on {
			w := &walks[i]
			p := f.separation(f.above(w), int(w.group), x)
			w.score += float64(p * (1/float64(w.depth) - w.score))
			if w.depth--; p > 0 && w.depth > 0 {
				still = append(still, i)
			}
		}
		on = still
	}
}

// above is the place of the node at the end of a walk's path.
func (f *Forest) above(w *walk) int {
	return int(w.tree)*f.inner + int(f.paths[int(w.tree)*maxSamples+int(w.depth)-1])
}

// begin puts a walk at the root of every tree that has one.
func (f *Forest) begin() []walk {
	active := f.walks[:0]
	for t := range f.tree {
		if kid := f.tree[t] & kidMask; kid != noKid {
			active = append(active, walk{left: 1, kid: kid, tree: uint16(t), group: uint16(t / f.share)})
		}
	}
	return active
}

// leafScore is the score of a leaf, and whether it equals the point.
func (f *Forest) leafScore(w *walk, depth int, x []float32) (score float64, seen bool) {
	slot, g := uint8(w.kid), int(w.group)
	for i, v := range f.row(g, slot) {
		if v != x[i] {
			return 1 / float64(depth+1), false
		}
	}
	mass := float64(f.dup[g*f.cfg.Samples+int(slot)]) + 1
	return (1 - mass/(2*float64(f.count[g]))) / (float64(depth) + math.Log2(mass+1)), true
}

// Displacement is how much of a tree's mass a point would push one level down, mean over the trees, from 0 to 1:
// high for a point that a whole cluster would have to make room for.
func (f *Forest) Displacement(x []float32) float64 {
	sum := 0.0
	for _, w := range f.begin() {
		total := float64(f.count[w.group])
		for w.kid >= internal {
			at := int(w.tree)*f.inner + int(w.kid-internal)
			p := f.separation(at, int(w.group), x)
			w.score += w.left * p * (float64(f.mass[at]) + 1)
			w.left *= 1 - p
			w.kid = f.towards(f.node[at], x)
		}
		leaf := float64(f.dup[int(w.group)*f.cfg.Samples+int(w.kid)]) + 1
		sum += (w.score + w.left*leaf) / total
	}
	return sum / float64(f.cfg.Trees)
}

// Attribution shares a shingle's score out among the signals: by how much of
// the chance of each cut that separates it is due to each. The sum is 1, or 0
// for a point that nothing separates.
func (f *Forest) Attribution(x []float32, share []float64) {
	clear(share)
	signals := f.cfg.Signals
	for _, w := range f.begin() {
		g := int(w.group)
		for depth := 0; w.left > converged; depth++ {
			low, high := f.spanned(int(w.tree), g, w.kid)
			total, gap := 0.0, 0.0
			for d, v := range x {
				total += float64(high[d] - low[d])
				gap += outside(v, low[d], high[d])
			}
			if gap > 0 {
				part := w.left / (total + gap) / float64(depth+1)
				for d, v := range x {
					share[d%signals] += part * outside(v, low[d], high[d])
				}
				w.left *= total / (total + gap)
			}
			if w.kid < internal {
				break
			}
			w.kid = f.towards(f.node[int(w.tree)*f.inner+int(w.kid-internal)], x)
		}
	}
	sum := 0.0
	for _, s := range share {
		sum += s
	}
	if sum > 0 {
		for i := range share {
			share[i] /= sum
		}
	}
}

func outside(v, low, high float32) float64 {
	return float64(max(low-v, v-high, 0))
}

// Impute says what one value of a shingle could have been, the others given:
// each tree leads to a leaf, by the shingle where it knows and by mass where the
// dimension is the missing one. The results are the median over the trees and
// the range that nine in ten of them are in. The model is not changed.
func (f *Forest) Impute(x []float32, dim int) (mid, low, high float64) {
	r := splitmix.Source(f.head[headRandom] ^ uint64(dim+1)*0x9e3779b97f4a7c15)
	got := f.samples[:0]
	for _, w := range f.begin() {
		base, g := int(w.tree)*f.inner, int(w.group)
		for w.kid >= internal {
			word := f.node[base+int(w.kid-internal)]
			if int(uint32(word)>>(2*kidBits)) != dim {
				w.kid = f.towards(word, x)
				continue
			}
			left, right := uint32(word)&kidMask, uint32(word)>>kidBits&kidMask
			a, b := f.massOf(base, g, left), f.massOf(base, g, right)
			if w.kid = right; r.Unit()*(a+b) < a {
				w.kid = left
			}
		}
		got = append(got, float64(f.row(g, uint8(w.kid))[dim]))
	}
	if len(got) == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	slices.Sort(got)
	at := func(q float64) float64 { return got[int(q*float64(len(got)-1)+0.5)] + f.origin[dim%f.cfg.Signals] }
	return at(0.5), at(0.05), at(0.95)
}

func (f *Forest) massOf(base, g int, kid uint32) float64 {
	if kid < internal {
		return float64(f.dup[g*f.cfg.Samples+int(kid)]) + 1
	}
	return float64(f.mass[base+int(kid-internal)]) + 1
}
