package window

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// Sliding windows share panes as long as a step. The window that ends with a pane has its
// revision and flags in that pane's links; a pane without rows is made where a window ends and no row is.
//
//	panes      |  0  |  1  |  2  |  3  |  4  |  5  |      size = 3 steps: blocks of 3 panes
//	suffixes   |<----------|<----|<-   |                  of block 0: what is from a pane to its block's end
//	prefix                       |---->|---->|            of block 1: what is from its beginning to a pane
//	window 4               |     1 .. 2 | 3 .. 4 |        = suffix 2 and prefix 4
//
// So a window costs two merges, and the panes of a block one each when the window leaves
// it, however many panes a window has (van Herk 1992, Gil and Werman 1993). Suffixes and prefixes follow
// from the panes and are in no table; since blocks stand where they do in time, what comes out does not depend
// on when they were computed.

// spans is what sliding windows keep in memory alone.
type spans struct {
	merged   []int64 // words of the windows of a batch
	suffix   []int64 // words by pane
	prefix   []int64 // words by group
	prefixTo []int64 // by group: number of the last pane in it, or NoMark
	suffixOf []int64 // by group: the block whose suffixes are good, or NoMark
	suffixAt []uint32
	ends     []int64
	stale    []uint32 // groups to look for panes that no window needs
	panesIn  []uint32
	fault    error
}

// paneNumber counts panes from the border next to 1970-01-01; exact, since a pane begins at a border.
func (w *window) paneNumber(p uint32) int64 {
	return (w.cells(p)[paneStart] - w.offset) / w.every
}

// forgetSpans drops what was computed of a group of which a pane in it has changed.
func (w *window) forgetSpans(g uint32) {
	if int(g) < len(w.prefixTo) {
		w.prefixTo[g], w.suffixOf[g] = flow.NoMark, flow.NoMark
	}
}

// firstWindow returns the end of the first window with rows that ends at from or later.
func (w *window) firstWindow(g uint32, from int64) (int64, bool) {
	best, found := int64(0), false
	for at := w.groupLinks(g)[groupNewest]; at != 0; at = w.paneLinks(at - 1)[paneOlder] {
		if w.paneLinks(at - 1)[paneFlags]&flagEmpty != 0 {
			continue
		}
		end := w.endOf(at - 1)
		if end <= from {
			if end+w.size-w.every >= from {
				return from, true
			}
			break
		}
		best, found = end, true
	}
	return best, found
}

// openEnd is the end of the first window that a watermark has not closed.
func (w *window) openEnd(g uint32, settled int64) int64 {
	if settled == flow.NoMark {
		if at := w.groupLinks(g)[groupOldest]; at != 0 {
			return w.endOf(at - 1)
		}
		return 0
	}
	x := settled - w.grace
	return x - mod(x-w.offset, w.every) + w.every
}

// settleSliding closes the windows that the watermark m has passed and emits again what late rows changed.
func (w *window) settleSliding(g uint32, m int64, revises bool) {
	times := w.groupTimes(g)
	settled := times[groupSettled]
	w.ends = w.ends[:0]
	if revises {
		w.findRevised(g, settled, times[groupDirty])
		times[groupDirty] = flow.NoMark
	}
	next := int64(flow.EndMark)
	for e, ok := w.firstWindow(g, w.openEnd(g, settled)); ok; e, ok = w.firstWindow(g, e+w.every) {
		if e+w.grace > m {
			next = e + w.grace
			break
		}
		w.ends = append(w.ends, e)
	}
	for _, e := range w.ends {
		if p, err := w.pane(g, e-w.every); err != nil {
			w.fault = err
		} else {
			w.enqueue(p, true)
		}
	}
	if times[groupDirty] != flow.NoMark {
		next = min(next, times[groupDirty]+1)
	}
	times[groupSettled], times[groupNext] = m, next
	w.groups.Touch(g)
	w.stale = append(w.stale, g)
}

// findRevised lists the ends of closed windows in which late rows are. Of those only windows count that
// were still kept when the rows came, at the watermark since.
func (w *window) findRevised(g uint32, settled, since int64) {
	last := int64(flow.NoMark)
	for at := w.groupLinks(g)[groupOldest]; at != 0; at = w.paneLinks(at - 1)[paneNewer] {
		links := w.paneLinks(at - 1)
		if links[paneFlags]&flagClosed == 0 || links[paneFlags]&flagDirty == 0 {
			continue
		}
		links[paneFlags] &^= flagDirty
		w.panes.Touch(at - 1)
		end := w.endOf(at - 1)
		for e := max(end, last); e <= end+w.size-w.every && e+w.grace <= settled; e += w.every {
			if e > last && e+w.grace+w.keep > since {
				w.ends = append(w.ends, e)
			}
			last = max(last, e)
		}
	}
}

// provisionalSliding emits the window that closes next, if it has changed.
func (w *window) provisionalSliding(g uint32, now int64, early bool) {
	times := w.groupTimes(g)
	newest := w.groupLinks(g)[groupNewest]
	if newest == 0 {
		return
	}
	e, ok := w.firstWindow(g, w.openEnd(g, times[groupSettled]))
	if !ok || !early && (w.idle == 0 || now-w.cells(newest - 1)[paneReceived] < w.idle) {
		return
	}
	p, err := w.pane(g, e-w.every)
	if err != nil {
		w.fault = err
		return
	}
	if w.paneLinks(p)[paneFlags]&(flagDirty|flagClosed) == flagDirty {
		w.enqueue(p, false)
		w.setLane(w.laneOf(g), noLane())
	}
}

// endSliding emits all windows that are open, in order of their ends and then of group.
func (w *window) endSliding() {
	type ending struct {
		end   int64
		group uint32
	}
	var all []ending
	w.groups.Range(func(g uint32) bool {
		times := w.groupTimes(g)
		w.ends = w.ends[:0]
		if times[groupDirty] != flow.NoMark {
			w.findRevised(g, times[groupSettled], times[groupDirty])
		}
		for e, ok := w.firstWindow(g, w.openEnd(g, times[groupSettled])); ok; e, ok = w.firstWindow(g, e+w.every) {
			w.ends = append(w.ends, e)
		}
		for _, e := range w.ends {
			all = append(all, ending{e, g})
			times[groupSettled] = max(times[groupSettled], e+w.grace)
		}
		times[groupDirty], times[groupNext] = flow.NoMark, flow.EndMark
		w.groups.Touch(g)
		w.stale = append(w.stale, g)
		return true
	})
	slices.SortFunc(all, func(a, b ending) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.group, b.group)) })
	for _, x := range all {
		if p, err := w.pane(x.group, x.end-w.every); err != nil {
			w.fault = err
		} else {
			w.enqueue(p, true)
		}
	}
	w.clearLanes()
}

// expireStale deletes panes that no window needs any more, after what was queued is emitted.
func (w *window) expireStale() {
	for _, g := range w.stale {
		if !w.groups.Live(g) {
			continue
		}
		settled := w.groupTimes(g)[groupSettled]
		for {
			at := w.groupLinks(g)[groupOldest]
			if at == 0 {
				w.emptied = append(w.emptied, g)
				break
			}
			links := w.paneLinks(at - 1)
			if links[paneFlags]&flagClosed == 0 || links[paneFlags]&flagDirty != 0 || w.endOf(at-1)+w.size-w.every+w.grace+w.keep > settled {
				break
			}
			if int(g) < len(w.suffixAt) && w.suffixAt[g] == at {
				w.suffixAt[g] = links[paneNewer]
			}
			w.join(g, links[paneNewer], links[paneOlder])
			w.rest(at-1, true)
			w.panes.Delete(at - 1)
		}
	}
	w.stale = w.stale[:0]
}

// mergeWindows computes the words of the windows that are emitted.
func (w *window) mergeWindows(q []emission) {
	w.merged = grown(w.merged, len(q)*w.words)
	for k := range q {
		q[k].merged = k
		w.mergeWindow(&q[k], w.merged[k*w.words:(k+1)*w.words])
		if !q[k].final { // a pane was in it to which more rows come
			w.forgetSpans(q[k].group)
		}
	}
}

func grown[T any](s []T, n int) []T {
	if len(s) >= n {
		return s
	}
	return append(s, make([]T, n-len(s)+n/4)...)
}

func (w *window) blank(words []int64) {
	copy(words, w.template)
	words[paneOffset] = -1
}

func (w *window) mergeWindow(e *emission, out []int64) {
	n := w.size / w.every
	j := w.paneNumber(e.pane)
	first, block := j-n+1, j-mod(j, n)
	w.readySpans(e.group)
	var suffix []int64
	if first < block {
		suffix = w.suffixFrom(e, first, block, n)
	}
	prefix := w.prefixUntil(e, j, block)
	if suffix == nil {
		copy(out, prefix)
	} else {
		copy(out, suffix)
		w.mergeWords(out, prefix)
	}
	out[paneStart] = w.cells(e.pane)[paneStart] + w.every - w.size
}

func (w *window) readySpans(g uint32) {
	for len(w.prefixTo) <= int(g) {
		w.prefixTo, w.suffixOf, w.suffixAt = append(w.prefixTo, flow.NoMark), append(w.suffixOf, flow.NoMark), append(w.suffixAt, 0)
	}
	w.prefix = grown(w.prefix, len(w.prefixTo)*w.words)
}

// prefixUntil returns what is in the panes from the block's first to j, which is the emission's.
func (w *window) prefixUntil(e *emission, j, block int64) []int64 {
	g := e.group
	words := w.prefix[int(g)*w.words : int(g+1)*w.words]
	to := w.prefixTo[g]
	if older := w.paneLinks(e.pane)[paneOlder]; to >= block && to < j && older != 0 && w.paneNumber(older-1) == to {
		if w.paneLinks(e.pane)[paneFlags]&flagEmpty == 0 { // the commonest case: one pane more
			w.mergeWords(words, w.cells(e.pane))
		}
		w.prefixTo[g] = j
		return words
	}
	if to < block || to > j {
		w.blank(words)
		to = block - 1
	}
	w.panesIn = w.panesIn[:0]
	for at := e.pane + 1; at != 0 && w.paneNumber(at-1) > to; at = w.paneLinks(at - 1)[paneOlder] {
		w.panesIn = append(w.panesIn, at-1)
	}
	for _, p := range slices.Backward(w.panesIn) {
		if w.paneLinks(p)[paneFlags]&flagEmpty == 0 {
			w.mergeWords(words, w.cells(p))
		}
	}
	w.prefixTo[g] = j
	return words
}

// suffixFrom returns what is in the panes from number first to the end of its block, which is the one before
// that of the emission; nil when nothing is.
func (w *window) suffixFrom(e *emission, first, next, n int64) []int64 {
	g := e.group
	if w.suffixOf[g] != next-n {
		w.buildSuffixes(e, next, n)
	}
	at := w.suffixAt[g]
	for at != 0 && w.paneNumber(at-1) < first {
		at = w.paneLinks(at - 1)[paneNewer]
	}
	if w.suffixAt[g] = at; at == 0 || w.paneNumber(at-1) >= next {
		return nil
	}
	return w.suffix[int(at-1)*w.words : int(at)*w.words]
}

// buildSuffixes computes the suffixes of the block of n panes that ends before number next.
func (w *window) buildSuffixes(e *emission, next, n int64) {
	w.suffix = grown(w.suffix, w.panes.Slots()*w.words)
	at := e.pane + 1
	for at != 0 && w.paneNumber(at-1) >= next {
		at = w.paneLinks(at - 1)[paneOlder]
	}
	w.suffixOf[e.group], w.suffixAt[e.group] = next-n, 0
	after := []int64(nil)
	for ; at != 0 && w.paneNumber(at-1) >= next-n; at = w.paneLinks(at - 1)[paneOlder] {
		own := w.suffix[int(at-1)*w.words : int(at)*w.words]
		switch empty := w.paneLinks(at - 1)[paneFlags]&flagEmpty != 0; {
		case after == nil && empty:
			w.blank(own)
		case after == nil:
			copy(own, w.cells(at-1))
		default:
			copy(own, after)
			if !empty {
				w.mergeWords(own, w.cells(at-1))
			}
		}
		after, w.suffixAt[e.group] = own, at
	}
}

// panesOf lists the panes of an emission's window, the oldest first; good until the next call.
func (w *window) panesOf(e emission) []uint32 {
	w.panesIn = append(w.panesIn[:0], e.pane)
	if w.kind == sliding {
		w.panesIn = w.panesIn[:0]
		from := w.cells(e.pane)[paneStart] + w.every - w.size
		for at := e.pane + 1; at != 0 && w.cells(at - 1)[paneStart] >= from; at = w.paneLinks(at - 1)[paneOlder] {
			if w.paneLinks(at - 1)[paneFlags]&flagEmpty == 0 {
				w.panesIn = append(w.panesIn, at-1)
			}
		}
		slices.Reverse(w.panesIn)
	}
	return w.panesIn
}

// memory is about how many bytes a window holds beside its tables.
func (w *window) memory() int64 {
	n := int64(cap(w.lanes))*24 + int64(cap(w.groupOf))*4 + int64(cap(w.due))*8 + int64(cap(w.left))*8
	n += int64(cap(w.merged)+cap(w.suffix)+cap(w.prefix)+cap(w.prefixTo)+cap(w.suffixOf))*8 + int64(cap(w.suffixAt))*4
	return n
}
