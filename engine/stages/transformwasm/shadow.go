package transformwasm

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/wasm"
)

// maxCompared is how many differing rows of a batch are looked at value by value once enough are kept.
const maxCompared = 64

// compare compares what two versions made of the same rows.
func (t *transform) compare(m *rollout.Meter, rows arrow.RecordBatch, stable, canary *wasm.Output) {
	n := int(rows.NumRows())
	why := [2]map[int]string{reasons(stable), reasons(canary)}
	differing, s, c := 0, 0, 0
	for row := range n {
		s0, c0 := s, c
		for s < stable.Rows && rowOf(stable, s) == row {
			s++
		}
		for c < canary.Rows && rowOf(canary, c) == row {
			c++
		}
		if t.compareRow(m, rows, row, [2]span{{stable, s0, s, why[0][row]}, {canary, c0, c, why[1][row]}}, differing) {
			differing++
		}
	}
	m.Compare(n, differing)
}

// nearly is by how much numbers may differ, relative to the larger, and be the same: a version that sums in another
// order, or another language's exponential, would differ in every row.
const nearly = 1e-9

// alike tells whether two values are numbers that are the same but for rounding.
func alike(x arrow.Array, i int, y arrow.Array, k int) bool {
	a, ok := x.(*array.Float64)
	b, both := y.(*array.Float64)
	if !ok || !both || a.IsNull(i) || b.IsNull(k) {
		return false
	}
	v, w := a.Value(i), b.Value(k)
	apart := math.Abs(v - w)
	return apart <= nearly*max(math.Abs(v), math.Abs(w)) && !math.IsInf(apart, 0) // infinity is within a share of itself
}

func reasons(o *wasm.Output) map[int]string {
	out := map[int]string{}
	for _, r := range o.Rejects {
		out[r.Row] = r.Reason
	}
	return out
}

func rowOf(o *wasm.Output, k int) int {
	if o.From == nil {
		return k
	}
	return int(o.From[k])
}

// span is the output of one row.
type span struct {
	out      *wasm.Output
	from, to int
	rejected string // why there is none
}

func (s span) say() string {
	if s.rejected != "" {
		return "rejected: " + s.rejected
	}
	return fmt.Sprintf("%d rows", s.to-s.from)
}

// compareRow tells whether a row differs, and keeps how.
func (t *transform) compareRow(m *rollout.Meter, rows arrow.RecordBatch, row int, both [2]span, before int) bool {
	a, b := both[0], both[1]
	keep := func(column, stable, canary string) {
		d := rollout.Difference{Channel: t.b.at.Channel.Name, Partition: t.o.Partition, Offset: flow.Offsets(rows)[row], Index: flow.Indexes(rows)[row],
			Column: column, Stable: stable, Canary: canary}
		if c := columnOf(rows, t.b.deviceColumn()); c != nil {
			d.Device = string(deviceOf(c, row, nil))
		}
		m.Differ(d)
	}
	if a.to-a.from != b.to-b.from || (a.rejected == "") != (b.rejected == "") {
		keep("", a.say(), b.say())
		return true
	}
	differs := false
	for w, f := range t.b.manifest.Fields() {
		x, y := a.out.Columns[w], b.out.Columns[w]
		if x == nil || y == nil {
			continue
		}
		for k := range a.to - a.from {
			if alike(x, a.from+k, y, b.from+k) {
				continue
			}
			one, other := flow.AppendJSONValue(nil, x, a.from+k), flow.AppendJSONValue(nil, y, b.from+k)
			if string(one) == string(other) {
				continue
			}
			if differs = true; before > maxCompared && m.Full() {
				return true
			}
			keep(f.Name, string(one), string(other))
			break
		}
	}
	return differs
}
