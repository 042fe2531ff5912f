package main

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
)

// plainForest is a random cut forest as one writes it down from the paper (Guha,
// Mishra, Roy, Schrijvers, ICML 2016): nodes with pointers and boxes, a reservoir a tree. It is
// what the bench compares with.
type plainForest struct {
	trees []*plainTree
	seen  float64
	decay float64
}

type plainTree struct {
	root    *plainNode
	samples plainHeap
	most    int
	r       *rand.Rand
}

type plainNode struct {
	parent, left, right *plainNode
	low, high           []float64
	dim, mass           int
	cut                 float64
}

type plainSample struct {
	weight float64
	leaf   *plainNode
}

// plainHeap has the sample that leaves next on top.
type plainHeap []plainSample

func (h plainHeap) Len() int           { return len(h) }
func (h plainHeap) Less(i, j int) bool { return h[i].weight > h[j].weight }
func (h plainHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop are container/heap's.
func (h *plainHeap) Push(x any) { *h = append(*h, x.(plainSample)) }

// Pop is container/heap's.
func (h *plainHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func newPlainForest(trees, samples int, decay float64, seed uint64) *plainForest {
	f := &plainForest{decay: decay}
	for t := range trees {
		f.trees = append(f.trees, &plainTree{most: samples, r: rand.New(rand.NewPCG(seed, uint64(t)))})
	}
	return f
}

func (f *plainForest) score(x []float64) float64 {
	sum := 0.0
	for _, t := range f.trees {
		if t.root != nil {
			sum += t.root.score(x, 0) * math.Log2(float64(t.root.mass)+1)
		}
	}
	return sum / float64(len(f.trees))
}

func (n *plainNode) score(x []float64, depth int) float64 {
	if n.left == nil {
		if slices.Equal(n.low, x) {
			return 1 / (float64(depth) + math.Log2(float64(n.mass)+1))
		}
		return 1 / float64(depth+1)
	}
	next := n.right
	if x[n.dim] <= n.cut {
		next = n.left
	}
	below := next.score(x, depth+1)
	p := n.separates(x)
	return p/float64(depth+1) + (1-p)*below
}

func (n *plainNode) separates(x []float64) float64 {
	total, gap := 0.0, 0.0
	for d, v := range x {
		total += n.high[d] - n.low[d]
		gap += max(n.low[d]-v, v-n.high[d], 0)
	}
	if gap <= 0 {
		return 0
	}
	return gap / (total + gap)
}

func (f *plainForest) update(x []float64) {
	for _, t := range f.trees {
		w := math.Log(-math.Log(t.r.Float64())) - f.seen*f.decay
		if len(t.samples) == t.most {
			if w >= t.samples[0].weight {
				continue
			}
			t.remove(heap.Pop(&t.samples).(plainSample).leaf)
		}
		heap.Push(&t.samples, plainSample{w, t.insert(x)})
	}
	f.seen++
}

func (t *plainTree) insert(x []float64) *plainNode {
	leaf := &plainNode{low: slices.Clone(x), high: slices.Clone(x), mass: 1}
	if t.root == nil {
		t.root = leaf
		return leaf
	}
	n := t.root
	for {
		if dim, cut, ok := t.draw(n, x); ok {
			up := &plainNode{parent: n.parent, low: slices.Clone(n.low), high: slices.Clone(n.high), dim: dim, cut: cut, mass: n.mass + 1}
			up.widen(x)
			up.left, up.right = n, leaf
			if x[dim] <= cut {
				up.left, up.right = leaf, n
			}
			t.replace(n, up)
			n.parent, leaf.parent = up, up
			return leaf
		}
		n.mass++
		if n.left == nil {
			return n // an equal point
		}
		n.widen(x)
		if x[n.dim] <= n.cut {
			n = n.left
		} else {
			n = n.right
		}
	}
}

func (n *plainNode) widen(x []float64) {
	for d, v := range x {
		n.low[d], n.high[d] = min(n.low[d], v), max(n.high[d], v)
	}
}

func (t *plainTree) draw(n *plainNode, x []float64) (dim int, cut float64, ok bool) {
	if n.separates(x) == 0 {
		return 0, 0, false
	}
	total := 0.0
	for d, v := range x {
		total += max(n.high[d], v) - min(n.low[d], v)
	}
	at := t.r.Float64() * total
	for d, v := range x {
		low, high := min(n.low[d], v), max(n.high[d], v)
		if at < high-low {
			cut = low + at
			return d, cut, v < n.low[d] && cut < n.low[d] || v > n.high[d] && cut >= n.high[d]
		}
		at -= high - low
	}
	return 0, 0, false
}

func (t *plainTree) replace(old, now *plainNode) {
	switch p := old.parent; {
	case p == nil:
		t.root = now
	case p.left == old:
		p.left = now
	default:
		p.right = now
	}
}

func (t *plainTree) remove(leaf *plainNode) {
	if leaf.mass > 1 || leaf.parent == nil {
		for n := leaf; n != nil; n = n.parent {
			n.mass--
		}
		if leaf.mass == 0 {
			t.root = nil
		}
		return
	}
	p := leaf.parent
	sibling := p.left
	if sibling == leaf {
		sibling = p.right
	}
	t.replace(p, sibling)
	sibling.parent = p.parent
	for n := p.parent; n != nil; n = n.parent {
		n.mass--
		for d := range n.low {
			n.low[d], n.high[d] = min(n.left.low[d], n.right.low[d]), max(n.left.high[d], n.right.high[d])
		}
	}
}
