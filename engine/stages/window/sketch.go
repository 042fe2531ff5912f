package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/axiomhq/hyperloglog"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

const (
	// percentileAccuracy is the relative error of percentile(); percentileBins
	// limits a sketch to 16 KiB a sign, and covers values over 17 powers of ten.
	percentileAccuracy = 0.01
	percentileBins     = 2048
	// exactUnique is up to how many values distinct() is exact; above that it is
	// a HyperLogLog of 2^uniquePrecision registers, with an error of about 1.6 %.
	exactUnique     = 256
	uniquePrecision = 12
)

func binStore() store.Store { return store.NewCollapsingLowestDenseStore(percentileBins) }

// sketchOf is the sketch of a percentile.
type sketchOf = ddsketch.DDSketch

// nearestRank is the value of a sketch that is not empty at the nearest rank: of n values in order that of number p/100*n, rounded up. (The
// sketch's own GetValueAtQuantile takes the lower of two neighbours where values are positive, and the upper where they are negative.)
func nearestRank(s *sketchOf, p float64) float64 {
	const slip = 1e-9 // of a rank, which rounding may take a little over a whole number
	negative, zeros := s.GetNegativeValueStore(), s.GetZeroCount()
	below := negative.TotalCount()
	switch rank := max(0, math.Ceil(p*s.GetCount()/100-slip)-1); {
	case rank < below:
		return -s.Value(negative.KeyAtRank(below - 1 - rank))
	case rank < below+zeros:
		return 0
	default:
		return s.Value(s.GetPositiveValueStore().KeyAtRank(rank - below - zeros))
	}
}

// unique counts different values. Up to exactUnique it holds their hashes,
// sorted, and then a HyperLogLog: what it says depends on the set of values
// alone, and not on their order or on when it was stored.
type unique struct {
	hashes []uint64
	hll    *hyperloglog.Sketch
}

func (u *unique) add(hash uint64) {
	if u.hll != nil {
		u.hll.InsertHash(hash)
		return
	}
	at, found := slices.BinarySearch(u.hashes, hash)
	if found {
		return
	}
	u.hashes = slices.Insert(u.hashes, at, hash)
	if len(u.hashes) > exactUnique {
		u.estimate()
	}
}

// estimate goes over to the HyperLogLog.
func (u *unique) estimate() {
	hll, err := hyperloglog.NewSketch(uniquePrecision, false)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, h := range u.hashes {
		hll.InsertHash(h)
	}
	u.hll, u.hashes = hll, u.hashes[:0]
}

// merge adds the values of another.
func (u *unique) merge(o *unique) {
	if o.hll == nil {
		for _, h := range o.hashes {
			u.add(h)
		}
		return
	}
	if u.hll == nil {
		u.estimate()
	}
	if err := u.hll.Merge(o.hll); err != nil {
		panic("BUG: " + err.Error())
	}
}

func (u *unique) count() int64 {
	if u.hll != nil {
		return int64(u.hll.Estimate())
	}
	return int64(len(u.hashes))
}

// A stored unique is 0 and its hashes, or 1 and the HyperLogLog.
func (u *unique) appendTo(b []byte) []byte {
	if u.hll == nil {
		b = append(b, 0)
		for _, h := range u.hashes {
			b = binary.LittleEndian.AppendUint64(b, h)
		}
		return b
	}
	b, err := u.hll.AppendBinary(append(b, 1))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// read fills an empty unique.
func (u *unique) read(b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case b[0] == 1:
		u.hll = &hyperloglog.Sketch{}
		return u.hll.UnmarshalBinary(b[1:])
	case b[0] != 0 || len(b)%8 != 1 || len(b) > 1+8*exactUnique:
		return errors.New("damaged set of values")
	}
	for b = b[1:]; len(b) > 0; b = b[8:] {
		u.hashes = append(u.hashes, binary.LittleEndian.Uint64(b))
	}
	return nil
}

// sketches are the decoded forms of one Bytes column's values, by pane. They
// follow from the table, but for those that have changed since they were put there.
type sketches[T any] struct {
	live   []*T   // nil: look into the table
	dirty  []bool // it has changed, and the table knows that the slot has
	spare  []*T   // empty ones, to be used again
	fresh  func() *T
	clear  func(*T)
	read   func(*T, []byte) error // into an empty one
	write  func([]byte, *T) []byte
	merge  func(dst, src *T)
	joined *T // what a window of several panes was merged into last
	buf    []byte
}

// at returns the pane's sketch, which is about to change when change is true.
func (s *sketches[T]) at(t *state.Table, col int, pane uint32, change bool) *T {
	for int(pane) >= len(s.live) {
		s.live = append(s.live, make([]*T, len(s.live)+64)...)
		s.dirty = append(s.dirty, make([]bool, len(s.live)-len(s.dirty))...)
	}
	v := s.live[pane]
	if v == nil {
		if n := len(s.spare); n > 0 {
			v, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			v = s.fresh()
		}
		if raw := t.Bytes(col, pane); len(raw) > 0 {
			if err := s.read(v, raw); err != nil {
				panic(fmt.Sprintf("BUG: a checked table holds a damaged sketch: %v", err))
			}
		}
		s.live[pane] = v
	}
	if change && !s.dirty[pane] {
		s.dirty[pane] = true
		t.Touch(pane)
	}
	return v
}

// join merges the sketch of pane src into that of dst.
func (s *sketches[T]) join(t *state.Table, col int, dst, src uint32) {
	d := s.at(t, col, dst, true)
	s.merge(d, s.at(t, col, src, false))
}

// union merges the sketches of panes; good until the next union.
func (s *sketches[T]) union(t *state.Table, col int, panes []uint32) *T {
	if s.joined == nil {
		s.joined = s.fresh()
	}
	s.clear(s.joined)
	for _, p := range panes {
		kept := int(p) < len(s.live) && s.live[p] != nil
		s.merge(s.joined, s.at(t, col, p, false))
		if !kept {
			s.rest(t, col, p, true)
		}
	}
	return s.joined
}

// store puts a pane's sketch back into the table, if it has changed.
func (s *sketches[T]) store(t *state.Table, col int, pane uint32) {
	if int(pane) < len(s.dirty) && s.dirty[pane] {
		s.dirty[pane] = false
		s.buf = s.write(s.buf[:0], s.live[pane])
		t.SetBytes(col, pane, s.buf)
	}
}

// rest puts a pane's sketch back and lets go of the decoded form: panes that
// are closed only wait for late rows, and encoded they are smaller.
func (s *sketches[T]) rest(t *state.Table, col int, pane uint32, deleted bool) {
	if int(pane) >= len(s.live) || s.live[pane] == nil {
		return
	}
	if !deleted {
		s.store(t, col, pane)
	}
	s.dirty[pane] = false
	s.clear(s.live[pane])
	s.spare = append(s.spare, s.live[pane])
	s.live[pane] = nil
}

func percentileSketches() *sketches[sketchOf] {
	m, err := mapping.NewLogarithmicMapping(percentileAccuracy)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &sketches[sketchOf]{
		fresh: func() *sketchOf { return ddsketch.NewDDSketch(m, binStore(), binStore()) },
		clear: func(s *sketchOf) { s.Clear() },
		read:  func(s *sketchOf, b []byte) error { return s.DecodeAndMergeWith(b) },
		write: func(b []byte, s *sketchOf) []byte {
			s.Encode(&b, true)
			return b
		},
		merge: func(dst, src *sketchOf) {
			if err := dst.MergeWith(src); err != nil {
				panic("BUG: " + err.Error())
			}
		},
	}
}

func uniqueSketches() *sketches[unique] {
	return &sketches[unique]{
		fresh: func() *unique { return &unique{} },
		clear: func(u *unique) { u.hashes, u.hll = u.hashes[:0], nil },
		read:  func(u *unique, b []byte) error { return u.read(b) },
		write: func(b []byte, u *unique) []byte { return u.appendTo(b) },
		merge: func(dst, src *unique) { dst.merge(src) },
	}
}

// seriesSketches keeps series; lost counts values that did not fit.
func seriesSketches(a acc, lost func(int64)) *sketches[series] {
	return &sketches[series]{
		fresh: func() *series { return &series{} },
		clear: func(s *series) { s.clear() },
		read:  func(s *series, b []byte) error { return s.read(b) },
		write: func(b []byte, s *series) []byte { return s.appendTo(b) },
		merge: func(dst, src *series) { lost(dst.merge(src, a.limit, a.early)) },
	}
}

func topSketches(a acc) *sketches[top] {
	return &sketches[top]{
		fresh: func() *top { return &top{} },
		clear: func(c *top) { c.clear() },
		read:  func(c *top, b []byte) error { return c.read(b) },
		write: func(b []byte, c *top) []byte { return c.appendTo(b) },
		merge: func(dst, src *top) {
			for i, k := range src.keys {
				dst.add([]byte(k), src.n[i], a.limit)
			}
		},
	}
}

// hashValue is the hash by which distinct() tells values apart.
func hashValue(buf []byte, a arrow.Array, row int) (uint64, []byte) {
	buf = flow.AppendKey(buf[:0], a, row)
	return flow.Hash(buf), buf
}
