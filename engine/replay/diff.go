package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/engine/plan"
)

// mostPending is how many rows of one edge and one configuration may be without their like.
const mostPending = 500_000

// ErrTooDifferent ends a comparison of which too little is alike.
var ErrTooDifferent = errors.New("too many rows differ to be kept; narrow it with --from, --to or --device")

// Difference is what two configurations make of the same history.
type Difference struct {
	Edges []EdgeDifference // those that one of the two has; in the order of the graph
	// Changes are the rows that differ, by edge in that order, and then by time.
	Changes []Change
}

// EdgeDifference counts the rows of one edge.
type EdgeDifference struct {
	Edge               string
	Same, OnlyA, OnlyB int64
	Changed            int64 // pairs among OnlyA and OnlyB that are one row with other values
	Why                string
}

// Change is a row that only one has, or that has other values.
type Change struct {
	Edge    string
	A, B    *Row     // nil: it is not there
	Key     string   // columns that say which row it is
	Columns []string // those that differ, where both have it
	Cause   Cause
}

// Cause is why a row differs.
type Cause struct {
	Edge    string // the first stage on the row's way whose rows differ
	Why     string
	Records []Record // from which these rows came
}

// Record is a record of a channel.
type Record struct {
	Channel   string
	Partition int
	Offset    int64
	Received  int64 // us since 1970
	Payload   []byte
	In        string // "A" or "B": who has a row of it that the other has not
}

// side is one of the two.
type side int

const (
	sideA side = iota
	sideB
)

func (s side) String() string { return [...]string{"A", "B"}[s] }

// matcher forgets rows that both have.
type matcher struct {
	rows [2]map[string]map[string][]Row // by side, edge and text
	left [2]map[string]int              // rows in there, by edge
	same map[string]int64
}

func newMatcher() *matcher {
	m := &matcher{same: map[string]int64{}}
	for s := range m.rows {
		m.rows[s], m.left[s] = map[string]map[string][]Row{}, map[string]int{}
	}
	return m
}

func (m *matcher) add(s side, row Row) error {
	key := string(row.Text)
	other := m.rows[1-s][row.Edge]
	if list := other[key]; len(list) > 0 {
		m.same[row.Edge]++
		m.left[1-s][row.Edge]--
		if len(list) == 1 {
			delete(other, key)
		} else {
			other[key] = list[1:]
		}
		return nil
	}
	mine := m.rows[s][row.Edge]
	if mine == nil {
		mine = map[string][]Row{}
		m.rows[s][row.Edge] = mine
	}
	mine[key] = append(mine[key], row)
	if m.left[s][row.Edge]++; m.left[s][row.Edge] > mostPending {
		return fmt.Errorf("%s: %w", row.Edge, ErrTooDifferent)
	}
	return nil
}

// Compare runs two replays of the same history side by side. Both were opened with Every, and the same bounds.
func Compare(ctx context.Context, a, b *Replay) (*Difference, error) {
	both, m := [2]*Replay{a, b}, newMatcher()
	for _, ended := range []bool{false, true} {
		if ended && !a.o.End {
			break
		}
		for _, r := range both {
			r.pace, r.at = 4, progress{}
			if ended {
				r.end()
			}
		}
		for settled := [2]bool{}; !settled[sideA] || !settled[sideB]; {
			for s, r := range both {
				if settled[s] {
					continue
				}
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				rows, done, err := r.turn()
				if err != nil {
					return nil, err
				}
				settled[s] = done
				for i := range rows {
					if err := m.add(side(s), rows[i]); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return both[0].differences(both[1], m)
}

// comparison is two replays and what they do not share.
type comparison struct {
	sides [2]*Replay
	edges []string
	nodes [2]map[string]*plan.Node
	above map[string][]string            // edges before an edge, the first first
	left  [2]map[string][]described      // by side and edge, in order of time
	byKey [2]map[string]map[string][]int // by side, edge and key: places in left
}

// described is a row with its columns.
type described struct {
	Row
	columns    map[string]json.RawMessage
	key        string // values of the columns that group rows
	windowFrom int64
	windowTo   int64 // 0: no window
}

func (r *Replay) differences(other *Replay, m *matcher) (*Difference, error) {
	c := &comparison{sides: [2]*Replay{r, other}, above: map[string][]string{}}
	for s, x := range c.sides {
		c.nodes[s] = map[string]*plan.Node{}
		for _, pl := range x.plan.Pipelines {
			for _, n := range pl.Nodes {
				if !n.IsSink() {
					c.nodes[s][n.Address] = n
				}
			}
		}
	}
	c.order()
	for s := range c.sides {
		c.left[s], c.byKey[s] = map[string][]described{}, map[string]map[string][]int{}
		for edge, texts := range m.rows[s] {
			if err := c.describe(side(s), edge, texts); err != nil {
				return nil, err
			}
		}
	}
	d := &Difference{}
	for _, edge := range c.edges {
		e := EdgeDifference{Edge: edge, Same: m.same[edge], OnlyA: int64(len(c.left[sideA][edge])), OnlyB: int64(len(c.left[sideB][edge])), Why: c.why(edge)}
		changes := c.pair(edge)
		for i := range changes {
			if changes[i].A != nil && changes[i].B != nil {
				e.Changed++
			}
		}
		d.Edges = append(d.Edges, e)
		d.Changes = append(d.Changes, changes...)
	}
	return d, nil
}

// order lists the edges of both, and what lies before each.
func (c *comparison) order() {
	at := map[string]int{}
	for _, r := range c.sides {
		for edge, n := range r.order() {
			if r.seen[edge] && !strings.HasSuffix(edge, ".rule."+ownRule) {
				at[edge] = max(at[edge], n)
			}
		}
	}
	for edge := range at {
		c.edges = append(c.edges, edge)
	}
	sort.Slice(c.edges, func(i, j int) bool {
		if at[c.edges[i]] != at[c.edges[j]] {
			return at[c.edges[i]] < at[c.edges[j]]
		}
		return c.edges[i] < c.edges[j]
	})
	for _, edge := range c.edges {
		before := map[string]bool{}
		for s := range c.sides {
			if n := c.nodes[s][edge]; n != nil {
				addAbove(n, before)
			} else if prefix, is := strings.CutSuffix(edge, ".rejects"); is {
				for name := range c.nodes[s] {
					before[name] = before[name] || strings.HasPrefix(name, prefix+".")
				}
			}
		}
		for _, e := range c.edges {
			if before[e] && e != edge {
				c.above[edge] = append(c.above[edge], e)
			}
		}
	}
}

func addAbove(n *plan.Node, before map[string]bool) {
	for _, in := range n.In {
		var feeders []*plan.Node
		if in.Node != nil {
			feeders = []*plan.Node{in.Node}
		} else if in.Channel.Fed {
			feeders = in.Channel.Feeders
		}
		for _, f := range feeders {
			if !before[f.Address] {
				before[f.Address] = true
				addAbove(f, before)
			}
		}
	}
}

// describe takes the rows of an edge apart that the other side has not.
func (c *comparison) describe(s side, edge string, texts map[string][]Row) error {
	group := c.groupOf(s, edge)
	var list []described
	for _, rows := range texts {
		for _, row := range rows {
			d := described{Row: row}
			if err := json.Unmarshal(row.Text, &d.columns); err != nil {
				return fmt.Errorf("%s: a row that is no JSON: %w", edge, err)
			}
			for _, name := range group {
				d.key += string(d.columns[name]) + " "
			}
			d.windowFrom, d.windowTo = timeOf(d.columns["window_start"]), timeOf(d.columns["window_end"])
			list = append(list, d)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i].Row, &list[j].Row
		switch {
		case a.Time != b.Time:
			return a.Time < b.Time
		case a.Partition != b.Partition:
			return a.Partition < b.Partition
		case a.Offset != b.Offset:
			return a.Offset < b.Offset
		case a.Index != b.Index:
			return a.Index < b.Index
		}
		return slices.Compare(a.Text, b.Text) < 0
	})
	byKey := map[string][]int{}
	for i := range list {
		byKey[list[i].key] = append(byKey[list[i].key], i)
	}
	c.left[s][edge], c.byKey[s][edge] = list, byKey
	return nil
}

// groupOf names the columns by which an edge's rows are grouped.
func (c *comparison) groupOf(s side, edge string) []string {
	n := c.nodes[s][edge]
	if n == nil {
		return nil
	}
	if n.Bound.Key != "" {
		return []string{n.Bound.Key}
	}
	return n.Bound.By
}
