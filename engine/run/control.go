package run

import (
	"fmt"

	registry "github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// control is what a task knows from the control records of its partition. Both tables come into being with
// the first record.
type control struct {
	table   *state.Table // the newest book; nil: none was met
	book    *rollout.Book
	devices *registry.Table // nil: nothing was said of any
}

const bookKey = "book"

// bookDecl declares the table that holds the newest book, and where it was met.
func bookDecl() state.Decl {
	return state.Decl{
		Name: "rollouts", Digest: "1", MaxKeys: 16, KeysPlanned: 1,
		Columns: []state.Column{{Name: "offset", Type: state.I64}, {Name: "book", Type: state.Bytes}},
	}
}

// tables are the task's tables of control records.
func (c *control) tables() (out []*state.Table) {
	if c.table != nil {
		out = append(out, c.table)
	}
	if c.devices != nil {
		out = append(out, c.devices.T)
	}
	return out
}

// openControl takes tables over that there are.
func (t *task) openControl(have map[string]*state.Table) error {
	was := t.control
	t.control = control{}
	if d := bookDecl(); have[tableKey("", d)] != nil {
		t.control.table = table(have, "", d)
		if slot, ok := t.control.table.Find([]byte(bookKey)); ok {
			b, err := rollout.Parse(t.control.table.Bytes(1, slot))
			if err != nil {
				return fmt.Errorf("%s: %w", t.Name(), err)
			}
			t.control.book = b
		}
	}
	if d := registry.Decl(); have[tableKey("", d)] != nil {
		if held := table(have, "", d); was.devices != nil && was.devices.T == held {
			t.control.devices = was.devices
		} else {
			t.control.devices = registry.NewTable(held)
		}
	}
	t.meet()
	return nil
}

// meet tells those who write the journal what the partition has met.
func (t *task) meet() {
	met := rollout.Met{}
	if c := &t.control; c.book != nil {
		slot, _ := c.table.Find([]byte(bookKey))
		met.Seq, met.Offset = c.book.Seq, uint64(c.table.I64(0)[slot])
	}
	if t.control.devices != nil {
		met.Devices = t.control.devices.Version
	}
	t.engine.rollouts.meters.Meet(rollout.Place{Channel: t.name, Partition: t.part}, met)
}

// note takes a control record in. What is older than what the partition knows changes nothing.
func (t *task) note(b *journal.Block) error {
	switch {
	case rollout.IsBook(b.Control):
		book, err := rollout.Parse(b.Control)
		if err != nil {
			return err
		}
		if t.control.book != nil && book.Seq <= t.control.book.Seq {
			return nil
		}
		if t.control.table == nil {
			t.control.table = state.New(bookDecl())
		}
		slot, _, err := t.control.table.Slot([]byte(bookKey))
		if err != nil {
			return err
		}
		t.control.table.I64(0)[slot] = int64(b.First)
		t.control.table.SetBytes(1, slot, b.Control)
		t.control.book = book
	case registry.IsChange(b.Control):
		change, err := registry.ParseChange(b.Control)
		if err != nil {
			return err
		}
		if t.control.devices == nil {
			t.control.devices = registry.NewTable(state.New(registry.Decl()))
		}
		t.control.devices.Apply(change)
	case isFeedback(b.Control):
		return t.feedback(b.Control)
	default:
		return fmt.Errorf("%s: the control record at offset %d is of a kind that this version does not know", t.Name(), b.First)
	}
	t.meet()
	if t.plugin != nil {
		if err := t.decide(t.plugin.plan, t.plugin.stage); err != nil {
			return err
		}
	}
	for _, p := range t.pipes {
		for _, n := range p.nodes {
			if err := t.decide(n.plan, n.stage); err != nil {
				return err
			}
		}
	}
	return nil
}

// decide tells a stage what is assigned.
func (t *task) decide(n *plan.Node, s stage.Stage) error {
	d, ok := s.(stage.Decider)
	if !ok || t.control.book == nil {
		return nil
	}
	if err := d.Decide(t.control.book, t.control.devices); err != nil {
		return fmt.Errorf("%s: %w", n.Address, err)
	}
	return nil
}
