package window

import (
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
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
//
// Windows are merged a turn at a time, of some hundred groups: first it is found out where the words of each stand, and then each
// accumulator goes through all of them in a loop of its own (mergeAll).
//
// A suffix has no place of its latest row. That of the block's, which is in memory once a group, is nearly always an earlier one than that
// of the prefix; where it is not, the block's is it if its pane is in the window, and else the window's panes are looked at.

// spans is what sliding windows keep in memory alone.
type spans struct {
	merged   []int64 // words of the windows of a batch
	suffix   []int64 // by pane: the link to the one behind it, then the words of the accumulators
	prefix   []int64 // words by group
	span     []span  // by group
	lastRows []lastRow
	turns    uint32
	ends     []int64
	stale    []uint32 // groups to look for panes that no window needs
	panesIn  []uint32
	chases   []chase
	slides   []slide  // windows of a turn that are a suffix, and a prefix to which a pane comes
	joins    []places // those that are a suffix and a prefix; of suffixes, the one behind and a pane
	fault    error

	emitted    uint32 // windows before those in the queue, over and over
	mergedFrom int    // where in the queue the first window of merged is
	mergedTo   int    // how many windows of the queue are merged
}

// span is what was computed of a group.
type span struct {
	prefixTo   int64  // start of the newest step in the prefix, or NoMark
	suffixOf   int64  // start of the block whose suffixes are good, or NoMark
	atStart    int64  // where pane at starts
	lastOffset int64  // _offset of the latest row in that block; more of it is in lastRows
	at         uint32 // the pane with which the latest window begins, plus one; 0: none in that block
	queued     uint32 // where in the queue the group's latest window is, if that is one of the group's
	turn       uint32 // the last one in which a window of the group was merged
	rolled     uint32 // windows that roll has opened one right behind the other
}

// lastRow is the place of the latest row of a block, and where its pane starts.
type lastRow struct{ offset, received, index, start int64 }

func newSpan() span { return span{prefixTo: flow.NoMark, suffixOf: flow.NoMark} }

// linkWords are before the accumulators' words in a suffix, and shorter by how much it is than a pane.
const (
	linkWords = 1
	shorter   = metaWords - linkWords
)

// suffixWords is how many words a suffix has.
func (p *program) suffixWords() int { return linkWords + p.words - metaWords }

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
	panes, groups := w.panes.Slots(), len(w.span)
	n := state.Held(w.suffix, panes*w.suffixWords()) + state.Held(w.after, panes)
	n += state.Held(w.prefix, groups*w.prefixWords()) + state.Held(w.lastRows, groups) + state.Held(w.closed, groups)
	return n + int64(cap(w.merged)+cap(w.span)*6)*8 + int64(cap(w.hops))*4
}

// chased is how many groups' windows are merged in a turn, and their suffixes built together: each next pane is a miss of the cache, and
// those of several groups overlap.
const chased = 128

// merge computes the words of the windows from lo to hi of the queue, which are emitted together, as far as that is not done.
func (w *window) merge(lo, hi int) {
	if hi <= w.mergedTo {
		return
	}
	if lo >= w.mergedTo {
		w.mergedFrom, w.mergedTo = lo, lo
	}
	w.merged, w.prefix = grown(w.merged, (hi-w.mergedFrom)*w.words), grown(w.prefix, len(w.span)*w.prefixWords())
	w.lastRows = grown(w.lastRows, len(w.span))
	for from := w.mergedTo; from < hi; {
		q, n := w.queue[from:hi], 0
		if q[0].ring {
			n = w.mergeRings(q, from-w.mergedFrom)
		} else {
			n = w.readySuffixes(q)
			w.mergeTurn(q[:n], from-w.mergedFrom)
		}
		from += n
	}
	w.mergedTo = hi
}

// grown is all of a slice with n elements or more: an eighth more, since append would double what is large. See state.Larger.
func grown[T any](s []T, n int) []T {
	if len(s) >= n {
		return s
	}
	return state.Larger(s, n+n/8)
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

// mergeTurn computes the words of windows of different groups, whose suffixes are ready. The first is number from of merged. What all
// accumulators share is done here, and most windows are a suffix, a prefix and one pane that comes to it.
func (w *window) mergeTurn(q []emission, from int) {
	w.slides, w.joins = w.slides[:0], w.joins[:0]
	words, long := w.words, w.suffixWords()
	cells, links := w.panes.I64(0), w.panes.U32(1)
	for i := range q {
		e := &q[i]
		e.merged = uint32(from + i)
		s, last := &w.span[e.group], e.start
		if e.tail != 0 {
			last = w.lastStep(e)
		}
		at := slide{out: (from + i) * words, prefix: int(e.group) * w.prefixWords(), pane: int(e.pane) * words}
		block := w.blockOf(s, last)
		grows := s.prefixTo == last-w.every && last != block && e.tail == 0
		if grows {
			s.prefixTo = last
			grows = links[int(e.pane)*paneLinks+paneFlags]&flagEmpty == 0
		} else {
			grows = w.growPrefix(s, e, last, block)
		}
		first := last + w.every - w.size
		joins := first < block && w.suffixFrom(s, first)
		if joins {
			at.suffix = int(s.at-1)*long - shorter
			if s.atStart == first {
				w.goOn(s) // while the link is near
			}
		}
		pre, out := (*[metaWords]int64)(w.prefix[at.prefix:]), (*[metaWords]int64)(w.merged[at.out:])
		if grows {
			noteLater(pre, (*[metaWords]int64)(cells[at.pane:]))
		}
		out[paneStart], out[paneOffset], out[paneReceived], out[paneIndex] = first, pre[paneOffset], pre[paneReceived], pre[paneIndex]
		switch {
		case joins && grows:
			w.slides = append(w.slides, at)
		case joins:
			w.joins = append(w.joins, places{at.out, at.suffix, at.prefix})
		default:
			if grows {
				w.mergeAccs(w.prefix[at.prefix:][:words], cells[at.pane:][:words])
			}
			copy(w.merged[at.out+metaWords:][:words-metaWords], w.prefix[at.prefix+metaWords:])
		}
		if joins && out[paneOffset] <= s.lastOffset {
			w.seekLast(e, out)
		}
		if last == block && int(s.rolled) >= w.length && w.length > 0 {
			w.whole = append(w.whole, e.group)
		}
		if !e.final { // a pane was in it to which more rows come
			w.forgetSpans(e.group)
		}
	}
	w.slideAll(w.accs, cells, w.slides)
	w.mergeAll(w.accs, w.merged, w.suffix, w.prefix, w.joins)
}

// noteLater keeps the place of the later row of two.
func noteLater(dst, src *[metaWords]int64) {
	if src[paneOffset] > dst[paneOffset] || src[paneOffset] == dst[paneOffset] && src[paneIndex] > dst[paneIndex] {
		dst[paneOffset], dst[paneReceived], dst[paneIndex] = src[paneOffset], src[paneReceived], src[paneIndex]
	}
}

// seekLast finds the latest row of a window that has its prefix's, if it is in the block before.
func (w *window) seekLast(e *emission, out *[metaWords]int64) {
	if r := &w.lastRows[e.group]; r.start >= out[paneStart] {
		if r.offset > out[paneOffset] || r.offset == out[paneOffset] && r.index > out[paneIndex] {
			out[paneOffset], out[paneReceived], out[paneIndex] = r.offset, r.received, r.index
		}
		return
	}
	for _, p := range w.panesOf(*e) {
		noteLater(out, (*[metaWords]int64)(w.cells(p)))
	}
}

// growPrefix adds to a group's prefix the panes before the emission's, which starts at last, and tells whether that is to be added.
func (w *window) growPrefix(s *span, e *emission, last, block int64) bool {
	words := w.prefix[int(e.group)*w.prefixWords():][:w.words]
	if s.prefixTo < block || s.prefixTo > last {
		w.blank(words)
		s.prefixTo = block - w.every
	}
	to := s.prefixTo
	s.prefixTo = last
	if e.start <= to {
		return false
	}
	w.panesIn = w.panesIn[:0]
	for at := w.paneLinks(e.pane)[paneOlder]; at != 0 && w.cells(at - 1)[paneStart] > to; at = w.paneLinks(at - 1)[paneOlder] {
		w.panesIn = append(w.panesIn, at-1)
	}
	for _, p := range slices.Backward(w.panesIn) {
		if w.paneLinks(p)[paneFlags]&flagEmpty == 0 {
			w.mergeWords(words, w.cells(p))
		}
	}
	return w.paneLinks(e.pane)[paneFlags]&flagEmpty == 0
}

// The first word of a suffix says which suffix comes after it: the slot of its pane, plus one, and
// above 32 bits how many steps behind this one's it starts; 0 at the end of the block.
const nextShift = 32

// goOn goes to the suffix behind the one that a span is at.
func (w *window) goOn(s *span) {
	next := uint64(w.suffix[int(s.at-1)*w.suffixWords()])
	s.at, s.atStart = uint32(next), s.atStart+int64(next>>nextShift)*w.every
}

// suffixFrom goes to the suffix of the panes of a span's block from the one that starts at first, or later; false when nothing is there.
func (w *window) suffixFrom(s *span, first int64) bool {
	for s.at != 0 && s.atStart < first {
		w.goOn(s)
	}
	return s.at != 0
}

// chase is the way along a group's panes, the newest first, on which suffixes are built.
type chase struct {
	group      uint32
	at, after  uint32 // the pane, and the one behind it in the block, plus one
	from, to   int64  // of the block
	afterStart int64
	last       lastRow
}

// readySuffixes begins a turn: it builds the suffixes that the next emissions need, as many of which are of different groups, and says of how many.
func (w *window) readySuffixes(q []emission) (n int) {
	w.turns++
	w.chases = w.chases[:0]
	for ; n < min(len(q), chased); n++ {
		e := &q[n]
		s := &w.span[e.group]
		if s.turn == w.turns && n > 0 || e.ring {
			break
		}
		s.turn = w.turns
		last := w.lastStep(e)
		if block := w.blockOf(s, last); last+w.every-w.size < block && s.suffixOf != block-w.size {
			s.suffixOf, s.at = block-w.size, 0
			w.chases = append(w.chases, chase{group: e.group, at: e.pane + 1, from: block - w.size, to: block, last: lastRow{offset: -1}})
		}
	}
	w.buildSuffixes()
	return n
}

// buildSuffixes goes all ways, a pane of each in turn.
func (w *window) buildSuffixes() {
	if len(w.chases) == 0 {
		return
	}
	w.suffix = grown(w.suffix, w.panes.Slots()*w.suffixWords())
	cells, links := w.panes.I64(0), w.panes.U32(1)
	for on := w.chases; len(on) > 0; {
		n := 0
		w.joins = w.joins[:0]
		for i := range on {
			c := &on[i]
			if w.nextSuffix(c, cells, links) {
				if n != i {
					on[n] = *c
				}
				n++
				continue
			}
			s := &w.span[c.group]
			s.at, s.atStart, s.lastOffset = c.after, c.afterStart, c.last.offset
			w.lastRows[c.group] = c.last
		}
		w.mergeAll(w.accs, w.suffix, w.suffix, cells, w.joins)
		on = on[:n]
	}
}

// nextSuffix begins the suffix of a chase's pane, and goes on to the one before; false where there is none.
func (w *window) nextSuffix(c *chase, cells []int64, links []uint32) bool {
	if c.at == 0 {
		return false
	}
	at, long := int(c.at-1), w.suffixWords()
	pane, link := (*[metaWords]int64)(cells[at*w.words:]), (*[paneLinks]uint32)(links[at*paneLinks:])
	start := pane[paneStart]
	if start >= c.to {
		c.at = link[paneOlder]
		return true
	}
	if start < c.from {
		return false
	}
	own, after, next := at*long, int(c.after-1)*long, int64(0)
	if c.after != 0 {
		steps := int64(1)
		if c.afterStart-start != w.every {
			steps = (c.afterStart - start) / w.every
		}
		next = steps<<nextShift | int64(c.after)
	}
	empty := link[paneFlags]&flagEmpty != 0
	switch {
	case c.after != 0 && !empty:
		w.joins = append(w.joins, places{own - shorter, after - shorter, at * w.words})
	case c.after != 0:
		copy(w.suffix[own:][:long], w.suffix[after:])
	case empty:
		copy(w.suffix[own:][:long], w.template[shorter:])
	default:
		copy(w.suffix[own:][:long], cells[at*w.words+shorter:])
	}
	w.suffix[own] = next
	if !empty && (pane[paneOffset] > c.last.offset || pane[paneOffset] == c.last.offset && pane[paneIndex] > c.last.index) {
		c.last = lastRow{pane[paneOffset], pane[paneReceived], pane[paneIndex], start}
	}
	c.after, c.afterStart, c.at = c.at, start, link[paneOlder]
	return true
}
