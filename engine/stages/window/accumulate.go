package window

import (
	"math"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// accumulate adds the rows from lo to hi to accumulator i of their panes.
func (w *window) accumulate(i int, cells []int64, lo, hi int) {
	a := &w.accs[i]
	var in *input
	if a.arg >= 0 {
		in = &w.inputs[a.arg]
	}
	switch a.kind {
	case accSumF, accMinF, accMaxF, accWelford:
		a.addFloats(cells, w.words, in, w.idx, lo, hi)
	case accFirst, accLast:
		a.addEdges(cells, w.words, in, w.times, w.idx, lo, hi)
	case accMinS, accMaxS, accFirstS, accLastS:
		w.addTexts(a, cells, in, lo, hi)
	case accArgMin, accArgMax, accArgMinS, accArgMaxS:
		w.addArgs(a, cells, in, lo, hi)
	case accHist:
		in.each(w.idx, lo, hi, func(r int, p uint32) {
			v := in.f[r]
			if math.IsNaN(v) {
				return
			}
			cells[int(p)*w.words+a.at+sort.Search(len(a.bounds), func(i int) bool { return a.bounds[i] > v })]++
		})
	case accSketch, accUnique, accSeries, accTop:
		w.addSketches(i, a, in, lo, hi)
	default:
		a.addInts(cells, w.words, in, w.idx, lo, hi)
	}
}

func (w *window) addSketches(i int, a *acc, in *input, lo, hi int) {
	in.each(w.idx, lo, hi, func(r int, p uint32) {
		switch a.kind {
		case accSketch:
			if err := w.drawn[i].at(w.panes, a.col, p, true).Add(in.f[r]); err != nil {
				w.o.Count("percentile_ignored", 1) // beyond what a sketch can hold: above 1e307
			}
		case accUnique:
			var h uint64
			h, w.key = hashValue(w.key, in.arr, r)
			w.uniq[i].at(w.panes, a.col, p, true).add(h)
		case accTop:
			w.key = flow.AppendKey(w.key[:0], in.arr, r)
			w.tops[i].at(w.panes, a.col, p, true).add(w.key, 1, a.limit)
		case accSeries:
			s := w.lists[i].at(w.panes, a.col, p, true)
			switch t := int64(w.times[r]); {
			case in.s != nil:
				text := strings.Clone(in.s.Value(r))
				w.lostIf(s.add(t, 0, &text, a.limit, a.early))
			case a.early:
				w.lostIf(s.add(t, in.word(r), nil, a.limit, true))
			default:
				w.lostIf(s.add(t, bitsOf(in.f[r]), nil, a.limit, false))
			}
		}
	})
}

func (w *window) lostIf(lost bool) {
	if lost {
		w.lost(1)
	}
}

// lost counts values that a bounded list did not take.
func (w *window) lost(n int64) {
	if n > 0 {
		w.o.Count("values_ignored", n)
	}
}

// addTexts keeps a string of each pane: the first word is the event time, or
// says whether there is one.
func (w *window) addTexts(a *acc, cells []int64, in *input, lo, hi int) {
	var now [1]int64
	in.each(w.idx, lo, hi, func(r int, p uint32) {
		at := int(p)*w.words + a.at
		if now[0] = 1; a.kind == accFirstS || a.kind == accLastS {
			now[0] = int64(w.times[r])
		}
		w.key = append(w.key[:0], in.s.Value(r)...)
		if a.better(cells[at:at+1], now[:], w.panes.Bytes(a.col, p), w.key) {
			cells[at] = now[0]
			w.panes.SetBytes(a.col, p, w.key)
		}
	})
}

// addArgs keeps the value of the row where another is lowest or highest.
func (w *window) addArgs(a *acc, cells []int64, in *input, lo, hi int) {
	by := &w.inputs[a.by]
	var now [3]int64
	in.each(w.idx, lo, hi, func(r int, p uint32) {
		if !by.valid && by.arr.IsNull(r) || by.i == nil && math.IsNaN(by.f[r]) {
			return
		}
		now[0], now[1] = by.ordered(r), int64(w.times[r])
		c := cells[int(p)*w.words+a.at:]
		if c = c[:a.n]; !a.better(c, now[:a.n], nil, nil) {
			return
		}
		if in.s == nil {
			now[2] = in.word(r)
		}
		copy(c, now[:a.n])
		if in.s != nil {
			w.panes.SetBytes(a.col, p, []byte(in.s.Value(r)))
		}
	})
}

// store puts a pane's decoded sketches back into the table.
func (w *window) store(p uint32) {
	for i, a := range w.accs {
		switch a.kind {
		case accSketch:
			w.drawn[i].store(w.panes, a.col, p)
		case accUnique:
			w.uniq[i].store(w.panes, a.col, p)
		case accSeries:
			w.lists[i].store(w.panes, a.col, p)
		case accTop:
			w.tops[i].store(w.panes, a.col, p)
		}
	}
}

// rest lets go of a pane's decoded sketches.
func (w *window) rest(p uint32, deleted bool) {
	for i, a := range w.accs {
		switch a.kind {
		case accSketch:
			w.drawn[i].rest(w.panes, a.col, p, deleted)
		case accUnique:
			w.uniq[i].rest(w.panes, a.col, p, deleted)
		case accSeries:
			w.lists[i].rest(w.panes, a.col, p, deleted)
		case accTop:
			w.tops[i].rest(w.panes, a.col, p, deleted)
		}
	}
}

// noteLatest writes into the panes which rows are their latest.
func (w *window) noteLatest(cells []int64, idx []uint32, offs []int64, recv []arrow.Timestamp, index []int32) {
	offs, recv, index = offs[:len(idx)], recv[:len(idx)], index[:len(idx)]
	panes, words := w.panes, w.words
	for r, p := range idx {
		if p == noPane {
			continue
		}
		c := (*[metaWords]int64)(cells[int(p)*words:])
		c[paneOffset], c[paneReceived], c[paneIndex] = offs[r], int64(recv[r]), int64(index[r])
		panes.Touch(p)
	}
}

// sumsFirst tells whether the accumulator that stands first in a pane is a sum to which each row adds a value.
func (w *window) sumsFirst() bool {
	if len(w.accs) == 0 || w.latest || w.runs {
		return false
	}
	a := &w.accs[0]
	return a.kind == accSumF && a.at == metaWords && w.inputs[a.arg].valid
}

// noteAndSum is noteLatest and addSums at once, for a sum that stands right behind the place of the latest row: the pane is found once.
// Within add, where the compiler's profile would have it, its loop has too few registers.
//
//go:noinline
func (w *window) noteAndSum(cells []int64, idx []uint32, offs []int64, recv []arrow.Timestamp, index []int32, vals []float64) {
	offs, recv, index, vals = offs[:len(idx)], recv[:len(idx)], index[:len(idx)], vals[:len(idx)]
	panes, at := w.panes, slotsOf(cells, w.words)
	for r, p := range idx {
		if p == noPane {
			continue
		}
		c := at.sum(p)
		c[paneOffset], c[paneReceived], c[paneIndex] = offs[r], int64(recv[r]), int64(index[r])
		sum, comp := addExact(float(c[metaWords]), float(c[metaWords+1]), vals[r])
		c[metaWords], c[metaWords+1], c[metaWords+2] = bitsOf(sum), bitsOf(comp), c[metaWords+2]+1
		panes.Touch(p)
	}
}
