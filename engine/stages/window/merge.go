package window

import (
	"math"
	"math/bits"
)

// Accumulators can be merged: what two sets of rows gave becomes what both give
// together. Sliding windows merge panes, and sessions that a row joins become one.

// mergeWords merges the words of src into dst. Both begin with the pane's own words.
func (w *window) mergeWords(dst, src []int64) {
	mergeMeta(dst, src)
	w.mergeAccs(dst, src)
}

// mergeAccs is mergeWords without the place of the latest row.
func (w *window) mergeAccs(dst, src []int64) {
	for i := range w.accs {
		a := &w.accs[i]
		switch {
		case a.kind == accSumF:
			mergeSums((*[3]int64)(dst[a.at:]), (*[3]int64)(src[a.at:]))
		case a.n > 0:
			a.merge(dst[a.at:a.at+a.n], src[a.at:a.at+a.n])
		}
	}
}

// places are where the words of three panes, prefixes or suffixes begin: what x and y hold together goes to dst, which may be x.
type places struct{ dst, x, y int }

// mergeAll merges accumulators at many places: each in a loop of its own, the commonest ones without a call.
func (w *window) mergeAll(accs []acc, dst, x, y []int64, at []places) {
	if len(at) == 0 {
		return
	}
	for i := range accs {
		switch a := &accs[i]; a.kind {
		case accSumF:
			mergeAllSums(a.at, dst, x, y, at)
		case accRows, accCount:
			for _, p := range at {
				dst[p.dst+a.at] = x[p.x+a.at] + y[p.y+a.at]
			}
		default:
			if a.n > 0 {
				a.mergeEach(dst, x, y, at)
			}
		}
	}
}

func mergeAllSums(word int, dst, x, y []int64, at []places) {
	for i := range at {
		p := &at[i]
		d, a, b := (*[3]int64)(dst[p.dst+word:]), (*[3]int64)(x[p.x+word:]), (*[3]int64)(y[p.y+word:])
		sum, comp := addExact(float(a[0]), float(a[1])+float(b[1]), float(b[0]))
		d[0], d[1], d[2] = bitsOf(sum), bitsOf(comp), a[2]+b[2]
	}
}

func (a *acc) mergeEach(dst, x, y []int64, at []places) {
	for _, p := range at {
		d := dst[p.dst+a.at:][:a.n]
		if p.dst != p.x || &dst[0] != &x[0] {
			copy(d, x[p.x+a.at:])
		}
		a.merge(d, y[p.y+a.at:][:a.n])
	}
}

// slide is where the words of a sliding window begin, and of the suffix, the prefix and the pane of which it is made.
type slide struct{ out, suffix, prefix, pane int }

// slideAll adds to prefixes their panes, and to suffixes these, which makes windows.
func (w *window) slideAll(accs []acc, cells []int64, at []slide) {
	if len(at) == 0 {
		return
	}
	for i := range accs {
		switch a := &accs[i]; {
		case a.kind == accSumF:
			slideSums(a.at, w.merged, w.suffix, w.prefix, cells, at)
		case a.n > 0:
			for _, p := range at {
				pre, out := w.prefix[p.prefix+a.at:][:a.n], w.merged[p.out+a.at:][:a.n]
				a.merge(pre, cells[p.pane+a.at:][:a.n])
				copy(out, w.suffix[p.suffix+a.at:])
				a.merge(out, pre)
			}
		}
	}
}

func slideSums(word int, merged, suffix, prefix, cells []int64, at []slide) {
	for i := range at {
		p := &at[i]
		pre, pane := (*[3]int64)(prefix[p.prefix+word:]), (*[3]int64)(cells[p.pane+word:])
		sum, comp := addExact(float(pre[0]), float(pre[1])+float(pane[1]), float(pane[0]))
		n := pre[2] + pane[2]
		pre[0], pre[1], pre[2] = bitsOf(sum), bitsOf(comp), n
		out, suf := (*[3]int64)(merged[p.out+word:]), (*[3]int64)(suffix[p.suffix+word:])
		sum, comp = addExact(float(suf[0]), float(suf[1])+comp, sum)
		out[0], out[1], out[2] = bitsOf(sum), bitsOf(comp), suf[2]+n
	}
}

// mergeMeta keeps the place of the latest row.
func mergeMeta(dst, src []int64) {
	if src[paneOffset] > dst[paneOffset] || src[paneOffset] == dst[paneOffset] && src[paneIndex] > dst[paneIndex] {
		copy(dst[paneOffset:paneIndex+1], src[paneOffset:paneIndex+1])
	}
}

func float(w int64) float64 { return math.Float64frombits(uint64(w)) }

func bitsOf(v float64) int64 { return int64(math.Float64bits(v)) }

func (a *acc) merge(d, s []int64) {
	switch a.kind {
	case accRows, accCount, accHist:
		for i := range d {
			d[i] += s[i]
		}
	case accSumF:
		mergeSums((*[3]int64)(d), (*[3]int64)(s))
	case accSumI:
		lo, carry := bits.Add64(uint64(d[0]), uint64(s[0]), 0)
		hi, _ := bits.Add64(uint64(d[1]), uint64(s[1]), carry)
		d[0], d[1], d[2] = int64(lo), int64(hi), d[2]+s[2]
	case accMinF:
		if float(s[0]) < float(d[0]) {
			d[0] = s[0]
		}
	case accMaxF:
		if float(s[0]) > float(d[0]) {
			d[0] = s[0]
		}
	case accMinI:
		d[0] = min(d[0], s[0])
	case accMaxI:
		d[0] = max(d[0], s[0])
	case accWelford:
		mergeWelford(d, s)
	default:
		if a.better(d, s, nil, nil) {
			copy(d, s)
		}
	}
}

func mergeSums(d, s *[3]int64) {
	sum, comp := addExact(float(d[0]), float(d[1])+float(s[1]), float(s[0]))
	d[0], d[1], d[2] = bitsOf(sum), bitsOf(comp), d[2]+s[2]
}

// mergeWelford joins two sets of numbers (Chan, Golub, LeVeque 1979).
func mergeWelford(d, s []int64) {
	switch {
	case s[0] == 0:
		return
	case d[0] == 0:
		copy(d, s)
		return
	}
	n, m := float64(d[0]), float64(s[0])
	delta := float(s[1]) - float(d[1])
	mean := float(d[1]) + float64(delta*(m/(n+m)))
	m2 := float(d[2]) + float(s[2]) + float64(float64(delta*delta)*(n*m/(n+m)))
	d[0], d[1], d[2] = d[0]+s[0], bitsOf(mean), bitsOf(m2)
}

// better tells, of accumulators that keep one of all values, whether that of s goes
// before that of d. The texts are those of the Bytes column, if there is one.
func (a *acc) better(d, s []int64, dt, st []byte) bool {
	switch a.kind {
	case accMinS:
		return s[0] != 0 && (d[0] == 0 || string(st) < string(dt))
	case accMaxS:
		return s[0] != 0 && (d[0] == 0 || string(st) > string(dt))
	case accFirst, accFirstS:
		return s[0] < d[0]
	case accLast, accLastS:
		return s[0] != math.MinInt64 && s[0] >= d[0]
	case accArgMin, accArgMinS:
		return s[1] != math.MaxInt64 && (d[1] == math.MaxInt64 || s[0] < d[0] || s[0] == d[0] && s[1] < d[1])
	case accArgMax, accArgMaxS:
		return s[1] != math.MaxInt64 && (d[1] == math.MaxInt64 || s[0] > d[0] || s[0] == d[0] && s[1] < d[1])
	}
	return false
}

// mergePanes merges pane src into dst, whose rows have all been added.
func (w *window) mergePanes(dst, src uint32) {
	d, s := w.cells(dst), w.cells(src)
	for i := range w.accs {
		switch a := &w.accs[i]; a.kind {
		case accMinS, accMaxS, accFirstS, accLastS, accArgMinS, accArgMaxS:
			if text := w.panes.Bytes(a.col, src); a.better(d[a.at:a.at+a.n], s[a.at:a.at+a.n], w.panes.Bytes(a.col, dst), text) {
				w.panes.SetBytes(a.col, dst, text)
			}
		case accSketch:
			w.drawn[i].join(w.panes, a.col, dst, src)
		case accUnique:
			w.uniq[i].join(w.panes, a.col, dst, src)
		case accSeries:
			w.lists[i].join(w.panes, a.col, dst, src)
		case accTop:
			w.tops[i].join(w.panes, a.col, dst, src)
		}
	}
	w.mergeWords(d, s)
	w.panes.Touch(dst)
}
