package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// mostRecords is how many records a cause names.
const mostRecords = 8

// timeOf reads a time of a row, us; 0 when there is none.
func timeOf(text json.RawMessage) int64 {
	t := time.Time{}
	if len(text) == 0 || json.Unmarshal(text, &t) != nil || t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// identity says which row it is, in words: rows of both sides that have the same are one row.
func (d *described) identity(group []string) string {
	var parts []string
	for _, name := range append(slices.Clone(group), "window_start", "revision", "state") {
		if v, ok := d.columns[name]; ok && !slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+" ") }) {
			parts = append(parts, name+" "+strings.Trim(string(v), `"`))
		}
	}
	if d.windowTo == 0 {
		parts = append(parts, fmt.Sprintf("record %d/%d", d.Partition, d.Offset))
		if d.Index > 0 {
			parts = append(parts, fmt.Sprintf("row %d", d.Index))
		}
	}
	return strings.Join(parts, ", ")
}

// pair makes one change of rows of both that are the same row with other values.
func (c *comparison) pair(edge string) []Change {
	a, b := c.left[sideA][edge], c.left[sideB][edge]
	group := c.groupOf(sideA, edge)
	if group == nil {
		group = c.groupOf(sideB, edge)
	}
	waiting := map[string][]int{}
	for i := range b {
		id := b[i].identity(group)
		waiting[id] = append(waiting[id], i)
	}
	taken := make([]bool, len(b))
	var out []Change
	var at []*described
	add := func(s side, d, other *described) {
		ch := Change{Edge: edge, Key: d.identity(group), Cause: c.cause(s, edge, d)}
		if s == sideA {
			ch.A = &d.Row
		} else {
			ch.B = &d.Row
		}
		if other != nil {
			ch.B, ch.Columns = &other.Row, changed(d, other)
		}
		out, at = append(out, ch), append(at, d)
	}
	for i := range a {
		id := a[i].identity(group)
		if list := waiting[id]; len(list) > 0 {
			taken[list[0]], waiting[id] = true, list[1:]
			add(sideA, &a[i], &b[list[0]])
			continue
		}
		add(sideA, &a[i], nil)
	}
	for i := range b {
		if !taken[i] {
			add(sideB, &b[i], nil)
		}
	}
	place := make([]int, len(out))
	for i := range place {
		place[i] = i
	}
	sort.SliceStable(place, func(i, j int) bool { return at[place[i]].Time < at[place[j]].Time })
	sorted := make([]Change, len(out))
	for i, p := range place {
		sorted[i] = out[p]
	}
	return sorted
}

// changed lists the columns whose values differ.
func changed(a, b *described) []string {
	var out []string
	for name, v := range a.columns {
		if !bytes.Equal(v, b.columns[name]) {
			out = append(out, name)
		}
	}
	for name := range b.columns {
		if _, both := a.columns[name]; !both {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// why says what the two configurations have otherwise at an edge itself; "" nothing.
func (c *comparison) why(edge string) string {
	a, b := c.nodes[sideA][edge], c.nodes[sideB][edge]
	switch {
	case a == nil && b == nil:
		return ""
	case b == nil:
		return "only A has it"
	case a == nil:
		return "only B has it"
	case a.Digest != b.Digest:
		return "its arguments, or variables in them, differ"
	}
	return ""
}

// cause finds the first edge on a row's way that has rows of its key and time which only one side has.
func (c *comparison) cause(s side, edge string, d *described) Cause {
	for _, up := range c.above[edge] {
		for _, t := range []side{s, 1 - s} {
			rows := c.related(t, up, d)
			if len(rows) == 0 {
				continue
			}
			return Cause{Edge: up, Why: c.why(up), Records: append(c.records(t, up, rows), c.records(1-t, up, c.related(1-t, up, d))...)}
		}
	}
	out := Cause{Edge: edge, Why: c.why(edge), Records: c.records(s, edge, []*described{d})}
	if out.Why == "" {
		out.Why = "what it has seen before differs"
	}
	return out
}

// related are the rows of an edge before that may have made a row what it is: those of its key in its window or, where
// there is none, of the same record or else the latest before it.
func (c *comparison) related(s side, edge string, d *described) (out []*described) {
	list := c.left[s][edge]
	var latest *described
	for _, i := range c.byKey[s][edge][d.key] {
		switch x := &list[i]; {
		case d.windowTo != 0:
			if x.Time >= d.windowFrom && x.Time < d.windowTo || x.windowTo != 0 && x.windowFrom >= d.windowFrom && x.windowTo <= d.windowTo {
				out = append(out, x)
			}
		case x.Partition == d.Partition && x.Offset == d.Offset:
			return []*described{x}
		case x.Partition == d.Partition && x.Offset < d.Offset && (latest == nil || x.Offset > latest.Offset):
			latest = x
		}
	}
	if latest != nil {
		return []*described{latest}
	}
	return out
}

// records are those from which rows came.
func (c *comparison) records(s side, edge string, rows []*described) (out []Record) {
	r := c.sides[s]
	n := c.nodes[s][edge]
	if n == nil || n.Home == nil || n.Home.Fed {
		return nil // offsets there are not of records
	}
	channel := n.Home.Config.Name
	for _, d := range rows {
		if slices.ContainsFunc(out, func(x Record) bool { return x.Partition == d.Partition && x.Offset == d.Offset }) {
			continue
		}
		if len(out) == mostRecords {
			break
		}
		rec := Record{Channel: channel, Partition: d.Partition, Offset: d.Offset, Received: d.Received, In: s.String()}
		rec.Payload = r.payload(channel, d.Partition, d.Offset)
		out = append(out, rec)
	}
	return out
}

// payload reads a record of history; nil when it cannot be read.
func (r *Replay) payload(channel string, partition int, offset int64) []byte {
	past := r.past[channel]
	if past == nil || partition < 0 || offset < 0 {
		return nil
	}
	reader, err := past.Read(partition, uint64(offset))
	if err != nil {
		return nil
	}
	defer reader.Close()
	b, err := reader.Next()
	if b == nil || err != nil {
		return nil
	}
	defer b.Release()
	if i := uint64(offset) - b.First; len(b.Ends) > int(i) {
		return bytes.Clone(b.Record(int(i)))
	}
	return nil
}
