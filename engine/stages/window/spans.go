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
	prefixTo int64  // start of the newest pane in the prefix, or NoMark
	suffixOf int64  // start of the block whose suffixes are good, or NoMark
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

// leave says that a pane goes; newer is the one behind it, plus one.
func (s *span) leave(p, newer uint32) {
	if s.at == p+1 {
		s.at = newer
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
	return int64(cap(w.merged)+cap(w.suffix)+cap(w.prefix)+cap(w.span)*3) * 8
}

// chased is how many groups' suffixes are built together: each next pane is a miss of the cache, and those of several groups overlap.
const chased = 32

// mergeWindows computes the words of the windows that are emitted.
func (w *window) mergeWindows(q []emission) {
	w.merged = grown(w.merged, len(q)*w.words)
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
	return w.cells(e.pane)[paneStart] + int64(e.tail)*w.every
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
	s := w.spanOf(e.group)
	last := w.lastStep(e)
	first, block := last+w.every-w.size, w.blockOf(s, last)
	var suffix []int64
	if first < block {
		if s.suffixOf != block-w.size {
			w.chases = append(w.chases[:0], w.newChase(s, e, block))
			w.buildSuffixes()
		}
		suffix = w.suffixFrom(s, first, block)
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
	w.prefix = grown(w.prefix, len(w.span)*w.words)
	words := w.prefix[int(e.group)*w.words : int(e.group+1)*w.words]
	if s.prefixTo < block || s.prefixTo > last {
		w.blank(words)
		s.prefixTo = block - 1
	}
	to := s.prefixTo
	s.prefixTo = last
	if e.tail > 0 && w.cells(e.pane)[paneStart] <= to {
		return words
	}
	if older := w.paneLinks(e.pane)[paneOlder]; to < last && (older == 0 || w.cells(older - 1)[paneStart] <= to) {
		if w.paneLinks(e.pane)[paneFlags]&flagEmpty == 0 { // the commonest case: one pane more
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

// suffixFrom returns what is in the panes from the one that starts at first, or later, to where the block begins that is
// behind theirs; nil when nothing is.
func (w *window) suffixFrom(s *span, first, block int64) []int64 {
	at := s.at
	for at != 0 && w.cells(at - 1)[paneStart] < first {
		at = w.paneLinks(at - 1)[paneNewer]
	}
	if s.at = at; at == 0 || w.cells(at - 1)[paneStart] >= block {
		return nil
	}
	return w.suffix[int(at-1)*w.words : int(at)*w.words]
}

// chase is the way along a group's panes, the newest first, on which suffixes are built.
type chase struct {
	group     uint32
	at, after uint32 // the pane, and the one behind it in the block, plus one
	from, to  int64  // of the block
}

func (w *window) newChase(s *span, e *emission, next int64) chase {
	s.suffixOf, s.at = next-w.size, 0
	return chase{group: e.group, at: e.pane + 1, from: next - w.size, to: next}
}

// readySuffixes builds the suffixes that the emissions need, as far as each group needs those of one block. mergeWindow looks
// whether they are the right ones.
func (w *window) readySuffixes(q []emission) {
	w.chases = w.chases[:0]
	for i := range q {
		e := &q[i]
		s, last := w.spanOf(e.group), w.lastStep(e)
		if block := w.blockOf(s, last); last+w.every-w.size < block && s.suffixOf != block-w.size {
			w.chases = append(w.chases, w.newChase(s, e, block))
		}
	}
	w.buildSuffixes()
}

// buildSuffixes goes all ways, a pane of each in turn.
func (w *window) buildSuffixes() {
	if len(w.chases) > 0 {
		w.suffix = grown(w.suffix, w.panes.Slots()*w.words)
	}
	for left := w.chases; len(left) > 0; {
		on := left[:0]
		for i := range left {
			if c := left[i]; w.buildSuffix(&c) {
				on = append(on, c)
			}
		}
		left = on
	}
}

// buildSuffix computes the suffix that begins with a chase's pane, and goes on to the one before; false where there is none.
func (w *window) buildSuffix(c *chase) bool {
	if c.at == 0 {
		return false
	}
	at := c.at
	cells, links := w.cells(at-1), w.paneLinks(at-1)
	start := cells[paneStart]
	c.at = links[paneOlder]
	if start >= c.to {
		return true
	}
	if start < c.from {
		return false
	}
	own := w.suffix[int(at-1)*w.words : int(at)*w.words]
	empty := links[paneFlags]&flagEmpty != 0
	switch {
	case c.after == 0 && empty:
		w.blank(own)
	case c.after == 0:
		copy(own, cells)
	case empty:
		copy(own, w.suffix[int(c.after-1)*w.words:])
	default:
		w.combine(own, w.suffix[int(c.after-1)*w.words:int(c.after)*w.words], cells)
	}
	c.after, w.span[c.group].at = at, at
	return true
}
