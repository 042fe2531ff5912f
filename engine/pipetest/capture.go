package pipetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// capture keeps what a sink gets, over all lives of the engine.
type capture struct {
	address string
	keep    bool // rows, beside their number
	commits bool // transactional: rows count when the epoch commits
	batches []captured
	at      map[uint64]int // batches, by place
	fails   func() bool    // now
}

// captured is one Write.
type captured struct {
	in   int
	n    int64
	rows arrow.RecordBatch // nil when only the number is kept
}

// total is how many rows of an input came; -1 stands for all inputs.
func (c *capture) total(in int) (n int64) {
	for _, b := range c.batches {
		if in < 0 || b.in == in {
			n += b.n
		}
	}
	return n
}

// release gives the memory back.
func (c *capture) release() {
	for _, b := range c.batches {
		if b.rows != nil {
			b.rows.Release()
		}
	}
	c.batches = nil
}

// failable tells of fail blocks whose sink there is not: such a test would look at an engine to which nothing happens.
func (w *world) failable(p *plan.Plan) (diags hcl.Diagnostics) {
	for _, f := range w.test.fails {
		found, names := false, []string{}
		for _, pl := range p.Pipelines {
			for _, n := range pl.Nodes {
				if !n.IsSink() {
					continue
				}
				found = found || n.Address == f.sink || strings.HasSuffix(n.Address, "."+f.sink)
				if n.Block != nil && n.Block.Type != ownType {
					names = append(names, n.Block.Address())
				}
			}
			found = found || pl.Rejects != nil && (pl.Rejects.Address == f.sink || strings.HasSuffix(pl.Rejects.Address, "."+f.sink))
		}
		if slices.Sort(names); !found {
			diags = append(diags, config.Errorf(f.Sink.Range(), "Not a sink", "There is no %s that could fail.%s", f.sink, config.DidYouMean(f.sink, slices.Compact(names)))...)
		}
	}
	return diags
}

// writer is a capture as the sink of one life.
type writer struct {
	*capture
	place  uint64
	placed bool
}

var (
	errFails = errors.New("the test makes this sink fail")
	_        = stage.Placed((*writer)(nil))
)

// Place says where the next rows stand, so that rows that come again are known.
func (w *writer) Place(place uint64) { w.place, w.placed = place, true }

// Write keeps rows.
func (w *writer) Write(_ context.Context, in int, rows arrow.RecordBatch) error {
	if w.fails() {
		return errFails
	}
	b := captured{in: in, n: rows.NumRows()}
	if w.keep {
		rows.Retain()
		b.rows = rows
	}
	if !w.placed {
		w.batches = append(w.batches, b)
		return nil
	}
	if old, again := w.at[w.place]; again {
		if w.batches[old].rows != nil {
			w.batches[old].rows.Release()
		}
		w.batches[old] = b
		return nil
	}
	w.at[w.place] = len(w.batches)
	w.batches = append(w.batches, b)
	return nil
}

// Prepare returns how many Writes there were.
func (w *writer) Prepare(context.Context, uint64) ([]byte, error) {
	if w.fails() {
		return nil, errFails
	}
	return binary.AppendUvarint(nil, uint64(len(w.batches))), nil
}

// Commit has nothing to do.
func (w *writer) Commit(context.Context, []byte) error { return nil }

// Recover takes back what a transactional sink got after the token.
func (w *writer) Recover(_ context.Context, token []byte) error {
	if !w.commits {
		return nil
	}
	n, _ := binary.Uvarint(token)
	if n > uint64(len(w.batches)) {
		return fmt.Errorf("%s: the checkpoint knows %d batches, of which %d are there", w.address, n, len(w.batches))
	}
	for _, b := range w.batches[n:] {
		if b.rows != nil {
			b.rows.Release()
		}
	}
	w.batches = w.batches[:n]
	return nil
}

// Close keeps what came.
func (w *writer) Close() error { return nil }

var _ stage.Sink = (*writer)(nil)

// The names of the stages that a test adds to a configuration.
const ownType = "pipetest"

// nothing are the arguments of a stage that has none.
type nothing struct{ sink bool }

// Bind accepts whatever comes.
func (n *nothing) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	if n.sink {
		return stage.Bound{Delivery: stage.Transactional, OpenSink: func(stage.Opening) (stage.Sink, error) {
			panic("BUG: the sink of a test was opened as it was bound")
		}}, nil
	}
	return stage.Bound{OpenSource: func(stage.Opening, stage.SourceEnv) (stage.Source, error) { return ended{}, nil }}, nil
}

// specs are the stages that tests add.
func specs() []stage.Spec {
	return []stage.Spec{
		{Kind: "ingest", Type: ownType, Help: "Records of a test.", Args: func() stage.Args { return &nothing{} }},
		{Kind: "sink", Type: ownType, Help: "Keeps rows for a test.", Args: func() stage.Args { return &nothing{sink: true} }},
	}
}
