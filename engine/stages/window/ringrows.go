package window

// slideRows makes rows of a frame from row from on, those of windows of the queue behind lo, where their groups' panes go round, they begin
// together, and all that is asked for is the mean of one sum: what mergeRings and rowsOfFrame do, without words in between that are written
// and read again. It returns how many it has made: none where windows are others, before row to.
func (w *window) slideRows(f *frame, lo, from, to int) int {
	q := w.queue[lo+from : lo+to]
	if !w.onlyMean || !q[0].ring || lo+from < w.mergedTo {
		return 0
	}
	block, first := w.blockAndFirst(q[0].start)
	if first == block {
		return 0
	}
	if lo >= w.mergedTo {
		w.mergedFrom, w.mergedTo = lo, lo
	}
	q = w.ringTurn(q, block)
	n := w.slideMeans(f, q, from)
	if n < len(q) {
		w.dropRing(lo + from + n)
	}
	groups, slot, slots := w.groupsOf[from:][:n], f.slot.v[from:][:n], w.groups.U32(1)
	for i := range groups {
		g := q[i].group
		groups[i], slot[i] = g, slots[int(g)*groupLinks+groupSlot]
	}
	end := first + w.size
	fill(f.start.v[from:][:n], first)
	fill(f.end.v[from:][:n], end)
	fill(f.time.v[from:][:n], end-1)
	fill(f.mark.v[from:][:n], end-1)
	clear(f.revision.v[from:][:n])
	w.mergedTo = lo + from + n
	w.straight += n
	return n
}

// slideMeans is slideRings where the means of windows and the places of their latest rows become rows from one on, and no words. It stops
// where a window's latest row is not its prefix's, and returns how many it has made.
func (w *window) slideMeans(f *frame, q []emission, row int) int {
	panes, prefixes, suffixes := wordsAs[sumPane](w.panes.I64(0)), wordsAs[sumPrefix](w.prefix), wordsAs[sumSuffix](w.suffix)
	after, mean := w.after, &f.means[0]
	offset, received, index, values := f.offset.v[row:][:len(q)], f.received.v[row:][:len(q)], f.index.v[row:][:len(q)], mean.v[row:][:len(q)]
	odd := mean.odd
	for i := range q {
		e := &q[i]
		pre, pane := &prefixes[e.group], &panes[e.pane]
		noteLater((*[metaWords]int64)(pre[:]), (*[metaWords]int64)(pane[:]))
		if pre[paneOffset] <= pre[paneStart] {
			mean.odd = odd
			return i
		}
		offset[i], received[i], index[i] = pre[paneOffset], pre[paneReceived], uint32(pre[paneIndex])
		p := uint32(pre[sumWords])
		pre[sumWords] = int64(after[p])
		suf := (*[3]int64)(suffixes[p][linkWords:])
		sum, comp := addExact(float(pre[metaWords]), float(pre[metaWords+1])+float(pane[metaWords+1]), float(pane[metaWords]))
		n := pre[metaWords+2] + pane[metaWords+2]
		pre[metaWords], pre[metaWords+1], pre[metaWords+2] = bitsOf(sum), bitsOf(comp), n
		sum, comp = addExact(float(suf[0]), float(suf[1])+comp, sum)
		v := bitsOf((sum + comp) / float64(suf[2]+n))
		values[i] = v
		odd |= v&exponent + 1<<52
	}
	mean.odd = odd
	return len(q)
}
