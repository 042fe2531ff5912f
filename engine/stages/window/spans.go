package window

import (
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// What is in a sliding window:
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
	merged  []int64 // words of the windows of a batch
	suffix  []int64 // words by pane
	prefix  []int64 // words by group
	span    []span  // by group
	ends    []int64
	stale   []uint32 // groups to look for panes that no window needs
	panesIn []uint32
	chases  []chase
	fault   error
}

// span is what was computed of a group.
type span struct {
	prefixTo int64  // start of the newest step in the prefix, or NoMark
	suffixOf int64  // start of the block whose suffixes are good, or NoMark
	atStart  int64  // where pane at starts
	at       uint32 // the pane with which the latest window begins, plus one; 0: none in that block
	queued   uint32 // where in the queue the group's latest window is, if that is one of the group's
}

func newSpan() span { return span{prefixTo: flow.NoMark, suffixOf: flow.NoMark} }

// spanOf is the span of a group, good until that of another group is asked for.
func (w *window) spanOf(g uint32) *span {
	for len(w.span) <= int(g) {
		w.span = append(w.span, newSpan())
	}
	return &w.span[g]
}

// passOver says that pane p of a group goes.
func (w *window) passOver(s *span, p uint32) {
	switch {
	case s.at != p+1:
	case s.suffixOf == flow.NoMark:
		s.at = 0
	default:
		w.goOn(s)
	}
}

// forgetSpans drops what was computed of a group of which a pane in it has changed.
func (w *window) forgetSpans(g uint32) {
	if int(g) < len(w.span) {
		w.span[g].prefixTo, w.span[g].suffixOf = flow.NoMark, flow.NoMark
	}
}

// spanBytes is about how much memory spans take.
func (w *window) spanBytes() int64 {
	return int64(cap(w.merged)+cap(w.suffix)+cap(w.prefix)+cap(w.span)*4) * 8
}

// chased is how many groups' suffixes are built together: each next pane is a miss of the cache, and those of several groups overlap.
const chased = 32

// mergeWindows computes the words of the windows that are emitted.
func (w *window) mergeWindows(q []emission) {
	w.merged, w.prefix = grown(w.merged, len(q)*w.words), grown(w.prefix, len(w.span)*w.words)
	for from := 0; from < len(q); from += chased {
		to := min(from+chased, len(q))
		w.readySuffixes(q[from:to])
		for k := from; k < to; k++ {
			q[k].merged = uint32(k)
			w.mergeWindow(&q[k], w.merged[k*w.words:(k+1)*w.words])
			if !q[k].final { // a pane was in it to which more rows come
				w.forgetSpans(q[k].group)
			}
		}
	}
}

// grown is s with n elements or more: an eighth more, since append would double what is large.
func grown[T any](s []T, n int) []T {
	if len(s) >= n {
		return s
	}
	more := make([]T, n+n/8)
	copy(more, s)
	return more
}

func (w *window) blank(words []int64) {
	copy(words, w.template)
	words[paneOffset] = -1
}

// lastStep is where the last step of an emission's window begins.
func (w *window) lastStep(e *emission) int64 {
	if e.tail == 0 {
		return e.start
	}
	return e.start + int64(e.tail)*w.every
}

// blockOf is where the block of the pane begins that starts at start.
func (w *window) blockOf(s *span, start int64) int64 {
	block := s.suffixOf + w.size // commonly: that of the window before
	if s.suffixOf == flow.NoMark || start < block || start >= block+w.size {
		block = start - mod(start-w.offset, w.size)
	}
	return block
}

func (w *window) mergeWindow(e *emission, out []int64) {
	s, last := &w.span[e.group], w.lastStep(e)
	first, block := last+w.every-w.size, w.blockOf(s, last)
	var suffix []int64
	if first < block {
		if s.suffixOf != block-w.size {
			w.chases = append(w.chases[:0], newChase(s, e, block, w.size))
			w.buildSuffixes()
		}
		suffix = w.suffixFrom(s, first)
	}
	prefix := w.prefixUntil(s, e, last, block)
	if suffix == nil {
		copy(out, prefix)
	} else {
		w.combine(out, suffix, prefix)
	}
	out[paneStart] = first
}

// combine is mergeWords of a copy of a and b.
func (w *window) combine(out, a, b []int64) {
	if !w.oneSum {
		copy(out, a)
		w.mergeWords(out, b)
		return
	}
	// One sum, the commonest case: meta words and those of an accSumF.
	o, x, y := (*[metaWords + 3]int64)(out), (*[metaWords + 3]int64)(a), (*[metaWords + 3]int64)(b)
	last := x
	if y[paneOffset] > x[paneOffset] || y[paneOffset] == x[paneOffset] && y[paneIndex] > x[paneIndex] {
		last = y
	}
	o[paneOffset], o[paneReceived], o[paneIndex] = last[paneOffset], last[paneReceived], last[paneIndex]
	sum, comp := addExact(float(x[metaWords]), float(x[metaWords+1])+float(y[metaWords+1]), float(y[metaWords]))
	o[metaWords], o[metaWords+1], o[metaWords+2] = bitsOf(sum), bitsOf(comp), x[metaWords+2]+y[metaWords+2]
}

// prefixUntil returns what is in the panes from the block's first to the emission's, which starts at last.
func (w *window) prefixUntil(s *span, e *emission, last, block int64) []int64 {
	words := w.prefix[int(e.group)*w.words:][:w.words]
	if s.prefixTo < block || s.prefixTo > last {
		w.blank(words)
		s.prefixTo = block - w.every
	}
	to := s.prefixTo
	s.prefixTo = last
	if e.tail > 0 && e.start <= to {
		return words
	}
	if e.start-to == w.every { // the commonest case: one pane more
		if w.paneLinks(e.pane)[paneFlags]&flagEmpty == 0 {
			w.combine(words, words, w.cells(e.pane))
		}
		return words
	}
	w.panesIn = w.panesIn[:0]
	for at := e.pane + 1; at != 0 && w.cells(at - 1)[paneStart] > to; at = w.paneLinks(at - 1)[paneOlder] {
		w.panesIn = append(w.panesIn, at-1)
	}
	for _, p := range slices.Backward(w.panesIn) {
		if w.paneLinks(p)[paneFlags]&flagEmpty == 0 {
			w.mergeWords(words, w.cells(p))
		}
	}
	return words
}

// The first word of a suffix, which as a pane's is its start, says which suffix comes after it: the slot of its pane, plus one, and
// above 32 bits how many steps behind this one's it starts; 0 at the end of the block.
const nextShift = 32

// goOn goes to the suffix behind the one that a span is at.
func (w *window) goOn(s *span) {
	next := uint64(w.suffix[int(s.at-1)*w.words])
	s.at, s.atStart = uint32(next), s.atStart+int64(next>>nextShift)*w.every
}

// suffixFrom returns what is in the panes of a span's block from the one that starts at first, or later; nil when nothing is.
func (w *window) suffixFrom(s *span, first int64) []int64 {
	for s.at != 0 && s.atStart < first {
		w.goOn(s)
	}
	if s.at == 0 {
		return nil
	}
	return w.suffix[int(s.at-1)*w.words:][:w.words]
}

// chase is the way along a group's panes, the newest first, on which suffixes are built.
type chase struct {
	group      uint32
	at, after  uint32 // the pane, and the one behind it in the block, plus one
	from, to   int64  // of the block
	afterStart int64
}

func newChase(s *span, e *emission, next, size int64) chase {
	s.suffixOf, s.at = next-size, 0
	return chase{group: e.group, at: e.pane + 1, from: next - size, to: next}
}

// readySuffixes builds the suffixes that the emissions need, as far as each group needs those of one block. mergeWindow looks
// whether they are the right ones.
func (w *window) readySuffixes(q []emission) {
	w.chases = w.chases[:0]
	for i := range q {
		e := &q[i]
		s, last := &w.span[e.group], w.lastStep(e)
		if block := w.blockOf(s, last); last+w.every-w.size < block && s.suffixOf != block-w.size {
			w.chases = append(w.chases, newChase(s, e, block, w.size))
		}
	}
	w.buildSuffixes()
}

// buildSuffixes goes all ways, a pane of each in turn.
func (w *window) buildSuffixes() {
	if len(w.chases) == 0 {
		return
	}
	w.suffix = grown(w.suffix, w.panes.Slots()*w.words)
	cells, links := w.panes.I64(0), w.panes.U32(1)
	for on := w.chases; len(on) > 0; {
		n := 0
		for i := range on {
			c := &on[i]
			if w.buildSuffix(c, cells, links) {
				if n != i {
					on[n] = *c
				}
				n++
				continue
			}
			s := &w.span[c.group]
			s.at, s.atStart = c.after, c.afterStart
		}
		on = on[:n]
	}
}

// buildSuffix computes the suffix that begins with a chase's pane, and goes on to the one before; false where there is none.
func (w *window) buildSuffix(c *chase, cells []int64, links []uint32) bool {
	if c.at == 0 {
		return false
	}
	at, words := int(c.at-1), w.words
	pane, link := cells[at*words:][:words], (*[paneLinks]uint32)(links[at*paneLinks:])
	start := pane[paneStart]
	if start >= c.to {
		c.at = link[paneOlder]
		return true
	}
	if start < c.from {
		return false
	}
	own, empty, next := w.suffix[at*words:][:words], link[paneFlags]&flagEmpty != 0, int64(0)
	switch {
	case c.after == 0 && empty:
		w.blank(own)
	case c.after == 0:
		copy(own, pane)
	default:
		behind := w.suffix[int(c.after-1)*words:][:words]
		if empty {
			copy(own, behind)
		} else {
			w.combine(own, behind, pane)
		}
		steps := int64(1)
		if c.afterStart-start != w.every {
			steps = (c.afterStart - start) / w.every
		}
		next = steps<<nextShift | int64(c.after)
	}
	own[paneStart] = next
	c.after, c.afterStart, c.at = c.at, start, link[paneOlder]
	return true
}
