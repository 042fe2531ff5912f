package window

// mergeRings computes the words of the first windows of a queue, whose groups' panes go round and which begin together, and
// says of how many: none if the latest row of the first is not its prefix's, so that its group leaves its ring. The first is number from of merged.
func (w *window) mergeRings(q []emission, from int) int {
	block, first := w.blockAndFirst(q[0].start)
	q = w.ringTurn(q, block)
	n, sums := 0, first != block && w.beginsWithSum()
	if sums {
		n = w.slideRings(q, from, first)
	} else {
		n = w.placeRings(q, from, first)
	}
	if n < len(q) {
		w.dropRing(w.mergedFrom + from + n)
	}
	cells := w.panes.I64(0)
	switch {
	case sums && len(w.accs) > 1:
		w.slideAll(w.accs[1:], cells, w.slides)
	case !sums && first != block:
		w.slideAll(w.accs, cells, w.slides)
	case !sums: // the window is the block
		for i := range w.slides {
			at := &w.slides[i]
			w.mergeAccs(w.prefix[at.prefix:][:w.words], cells[at.pane:][:w.words])
			copy(w.merged[at.out+metaWords:][:w.words-metaWords], w.prefix[at.prefix+metaWords:])
		}
	}
	return n
}

// blockAndFirst is where the block of the step begins that starts at last, and the first step of the window that ends with it.
func (w *window) blockAndFirst(last int64) (block, first int64) {
	return last - mod(last-w.offset, w.size), last + w.every - w.size
}

// ringTurn is the first windows of a queue, whose groups' panes go round and which begin together, with their suffixes built.
func (w *window) ringTurn(q []emission, block int64) []emission {
	n := 1
	for n < min(len(q), chased) && q[n].ring && q[n].start == q[0].start {
		n++
	}
	if q[0].start == block {
		w.buildRings(q[:n])
	}
	return q[:n]
}

// dropRing has the group of the emission that stands at a place of the queue, and cannot be merged as those of rings are, leave its ring.
func (w *window) dropRing(at int) {
	g := w.queue[at].group
	w.leaveRing(g)
	for i := range w.queue[at:] {
		if e := &w.queue[at+i]; e.group == g {
			e.ring, w.spanOf(g).queued = false, uint32(at+i)
		}
	}
}

// beginsWithSum tells whether the accumulator that stands first in a pane is a sum of floats.
func (w *window) beginsWithSum() bool {
	return len(w.accs) > 0 && w.accs[0].kind == accSumF && w.accs[0].at == metaWords
}

// placeRings finds out where the words of windows and of their parts are, and writes what all accumulators share, as mergeTurn does. It
// stops where a window's latest row is not its prefix's.
func (w *window) placeRings(q []emission, from int, first int64) int {
	words, long, wide := w.words, w.suffixWords(), w.prefixWords()
	cells, prefix, merged, after := w.panes.I64(0), w.prefix, w.merged, w.after
	w.slides = w.slides[:0]
	for i := range q {
		e := &q[i]
		at := slide{out: (from + i) * words, prefix: int(e.group) * wide, pane: int(e.pane) * words}
		pre, out := prefix[at.prefix:][:wide], (*[metaWords]int64)(merged[at.out:])
		noteLater((*[metaWords]int64)(pre), (*[metaWords]int64)(cells[at.pane:]))
		if pre[paneOffset] <= pre[paneStart] {
			return i
		}
		out[paneStart], out[paneOffset], out[paneReceived], out[paneIndex] = first, pre[paneOffset], pre[paneReceived], pre[paneIndex]
		p := uint32(pre[words])
		at.suffix = int(p)*long - shorter
		pre[words] = int64(after[p])
		w.slides = append(w.slides, at)
		e.merged = uint32(from + i)
	}
	return len(q)
}

// slideRings is placeRings and slideSums at once, for a sum that stands right behind the place of the latest row. Where the words are it notes
// only if there are more accumulators.
func (w *window) slideRings(q []emission, from int, first int64) int {
	words, long, wide, more := w.words, w.suffixWords(), w.prefixWords(), len(w.accs) > 1
	panes, prefixes, suffixes := slotsOf(w.panes.I64(0), words), slotsOf(w.prefix, wide), slotsOf(w.suffix, long)
	merged, after := slotsOf(w.merged, words), w.after
	w.slides = w.slides[:0]
	for i := range q {
		e := &q[i]
		pre, pane, out := prefixes.sum(e.group), panes.sum(e.pane), merged.sum(uint32(from+i))
		noteLater((*[metaWords]int64)(pre[:]), (*[metaWords]int64)(pane[:]))
		if pre[paneOffset] <= pre[paneStart] {
			return i
		}
		next := prefixes.last(e.group)
		p := uint32(*next)
		*next = int64(after[p])
		suf := suffixes.sumAt(p, linkWords)
		sum, comp := addExact(float(pre[metaWords]), float(pre[metaWords+1])+float(pane[metaWords+1]), float(pane[metaWords]))
		n := pre[metaWords+2] + pane[metaWords+2]
		pre[metaWords], pre[metaWords+1], pre[metaWords+2] = bitsOf(sum), bitsOf(comp), n
		sum, comp = addExact(float(suf[0]), float(suf[1])+comp, sum)
		out[paneStart], out[paneOffset], out[paneReceived], out[paneIndex] = first, pre[paneOffset], pre[paneReceived], pre[paneIndex]
		out[metaWords], out[metaWords+1], out[metaWords+2] = bitsOf(sum), bitsOf(comp), suf[2]+n
		e.merged = uint32(from + i)
		if more {
			w.slides = append(w.slides, slide{(from + i) * words, int(p)*long - shorter, int(e.group) * wide, int(e.pane) * words})
		}
	}
	return len(q)
}

// buildRings builds the suffixes of the blocks before the one that emissions begin, and empties their groups' prefixes.
func (w *window) buildRings(q []emission) {
	words, long, wide, after := w.words, w.suffixWords(), w.prefixWords(), w.after
	n, steps := len(q), int(w.size/w.every)-1 // the window that has all of the block has gone out
	w.suffix = grown(w.suffix, w.panes.Slots()*long)
	w.hops = grown(w.hops, n*(steps+1))
	for i := range q {
		pre := w.prefix[int(q[i].group)*wide:][:wide]
		w.hops[i] = uint32(pre[words])
		w.blank(pre[:words])
	}
	for k := range steps {
		to := w.hops[(k+1)*n:][:n]
		for i, p := range w.hops[k*n:][:n] {
			to[i] = after[p]
		}
	}
	var latest [chased]int64 // _offset, by emission
	cells := w.panes.I64(0)
	for i, p := range w.hops[(steps-1)*n:][:n] {
		if w.hops[steps*n+i] != q[i].pane {
			panic("BUG: the last pane of a block is not the one before the first of the next")
		}
		latest[i] = cells[int(p)*words+paneOffset]
		copy(w.suffix[int(p)*long:][:long], cells[int(p)*words+shorter:])
	}
	for k := steps - 2; k >= 0; k-- {
		own, next := w.hops[k*n:][:n], w.hops[(k+1)*n:][:n]
		if w.beginsWithSum() {
			w.joinRingSums(cells, own, next, &latest)
		}
		if !w.beginsWithSum() || len(w.accs) > 1 {
			w.joinRings(cells, own, next, &latest)
		}
	}
	for i := range q {
		w.prefix[int(q[i].group)*wide+paneStart] = latest[i]
	}
}

// joinRingSums makes suffixes of panes and the suffixes behind them, as far as these are the sum that stands first, and notes the latest rows.
func (w *window) joinRingSums(cells []int64, own, next []uint32, latest *[chased]int64) {
	panes, suffixes := slotsOf(cells, w.words), slotsOf(w.suffix, w.suffixWords())
	next = next[:len(own)]
	for i, p := range own {
		pane, dst, behind := panes.sum(p), suffixes.sumAt(p, linkWords), suffixes.sumAt(next[i], linkWords)
		sum, comp := addExact(float(behind[0]), float(behind[1])+float(pane[metaWords+1]), float(pane[metaWords]))
		dst[0], dst[1], dst[2] = bitsOf(sum), bitsOf(comp), behind[2]+pane[metaWords+2]
		latest[i&(chased-1)] = max(latest[i&(chased-1)], pane[paneOffset])
	}
}

// joinRings is joinRingSums for other accumulators.
func (w *window) joinRings(cells []int64, own, next []uint32, latest *[chased]int64) {
	words, long := w.words, w.suffixWords()
	w.joins = w.joins[:0]
	for i, p := range own {
		latest[i] = max(latest[i], cells[int(p)*words+paneOffset])
		w.joins = append(w.joins, places{int(p)*long - shorter, int(next[i])*long - shorter, int(p) * words})
	}
	accs := w.accs
	if w.beginsWithSum() {
		accs = accs[1:]
	}
	w.mergeAll(accs, w.suffix, w.suffix, cells, w.joins)
}
