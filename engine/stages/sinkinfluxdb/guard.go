package sinkinfluxdb

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// guard counts series, and warns of too many. It knows them by 64-bit hashes, so the
// count may be short by one in ten million series.
type guard struct {
	limit int
	set   hashes
	tags  map[string]map[uint64]struct{} // values of each tag, by input and name
	told  int                            // warnings
	over  bool                           // the limit was reached; nothing is counted any more
}

func newGuard(limit int) guard {
	return guard{limit: limit, tags: map[string]map[uint64]struct{}{}}
}

// look counts the series of the lines from first on, which are in's last batch.
func (g *guard) look(s *sink, in *input, first int) {
	if g.over {
		return
	}
	l := &s.lines
	before := g.set.n
	for line := first; line < len(l.Ends) && !g.over; line++ {
		from := s.start(line)
		if l.Heads[line] == 0 || !g.set.add(flow.Hash(l.Text[from:from+int(l.Heads[line])])) {
			continue
		}
		for i, v := range in.nowTags {
			g.value(in.name+" "+v.name, in.rows.Tags[i], line-first)
		}
		g.over = g.set.n >= g.limit
		if g.over || g.told == 0 && g.set.n > g.limit/2 {
			g.warn(s)
		}
	}
	if g.set.n > before {
		s.op.Count("series", int64(g.set.n-before))
	}
	if g.over {
		g.set, g.tags = hashes{n: g.set.n}, nil
	}
}

func (g *guard) value(tag string, a arrow.Array, row int) {
	if a.IsNull(row) {
		return
	}
	values := g.tags[tag]
	if values == nil {
		values = map[uint64]struct{}{}
		g.tags[tag] = values
	}
	values[flow.Hash(flow.AppendJSONValue(nil, a, row))] = struct{}{}
}

func (g *guard) warn(s *sink) {
	g.told++
	most, name := 0, ""
	for tag, values := range g.tags {
		if len(values) > most || len(values) == most && tag < name {
			most, name = len(values), tag
		}
	}
	s.op.Count("series_warnings", 1)
	if s.op.Report == nil {
		return
	}
	text := fmt.Sprintf("%s: %d series are written since the start, of which the server keeps an index in memory; series_limit = %d", s.op.Address, g.set.n, g.limit)
	if name != "" {
		text += fmt.Sprintf(". The tag with the most values is %s, %d of them: what changes from row to row belongs into fields", name, most)
	}
	s.op.Report(text)
}

// hashes is a set of hashes: open addressing, a power of two places, at most half of them taken.
// 0 stands for an empty place and is never added.
type hashes struct {
	places []uint64
	n      int
}

// add tells whether h is new.
func (s *hashes) add(h uint64) bool {
	h |= 1
	if 2*s.n >= len(s.places) {
		old := s.places
		s.places = make([]uint64, max(1024, 2*len(old)))
		for _, o := range old {
			if o != 0 {
				*s.place(o) = o
			}
		}
	}
	p := s.place(h)
	if *p == h {
		return false
	}
	*p = h
	s.n++
	return true
}

// place is where h is or goes.
func (s *hashes) place(h uint64) *uint64 {
	mask := uint64(len(s.places) - 1)
	for i := h >> 20 & mask; ; i = (i + 1) & mask {
		if s.places[i] == 0 || s.places[i] == h {
			return &s.places[i]
		}
	}
}
