package run

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// node is a stage of a pipeline at work on one partition. It is the emitter of
// its own stage: what the stage emits goes straight on to whoever reads it.
type node struct {
	task      *task
	plan      *plan.Node
	stage     stage.Stage
	tables    []*state.Table
	consumers []consumer
	rows      *Counter // emitted
	tap       *tapPoint
}

// consumer is where rows go: into another node, or onto a sink's lane.
type consumer struct {
	node  *node
	lane  *lane
	in    int
	first bool // takes revision 0 only
}

// Emit passes rows on. It takes ownership.
func (n *node) Emit(rows arrow.RecordBatch) {
	n.rows.Add(rows.NumRows())
	n.tap.show(n.task.part, rows)
	n.task.pass(rows, n.consumers)
}

// pass gives rows to every consumer and releases them.
func (t *task) pass(rows arrow.RecordBatch, to []consumer) {
	if rows.NumRows() > 0 {
		for i := range to {
			t.give(rows, &to[i])
		}
	}
	rows.Release()
}

func (t *task) give(rows arrow.RecordBatch, c *consumer) {
	if c.first {
		rows = t.firstOnly(rows)
		defer rows.Release()
		if rows.NumRows() == 0 {
			return
		}
	}
	if c.lane != nil {
		rows.Retain()
		c.lane.push(parcel{flow.Item{Kind: flow.Rows, Rows: rows}, c.in})
		return
	}
	if err := c.node.stage.Process(c.in, rows, c.node); err != nil {
		t.fail(c.node, err)
	}
}

// firstOnly returns the rows whose revision is 0; the caller releases them.
func (t *task) firstOnly(rows arrow.RecordBatch) arrow.RecordBatch {
	at := rows.Schema().FieldIndices("revision")
	if len(at) == 0 {
		rows.Retain()
		return rows
	}
	return takeZero(rows, at[0], t.alloc)
}

func (t *task) fail(n *node, err error) {
	if t.err == nil {
		t.err = fmt.Errorf("%s, partition %d: %w", n.plan.Address, t.part, err)
	}
}
