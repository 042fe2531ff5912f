package sim

import (
	"context"
	"errors"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// farSink is a server outside of the simulated machine: it outlives crashes,
// fails at times, and may be told a row twice. It stands for every sink that
// reads a spool.
type farSink struct {
	seen map[string]int
	// fails returns the row of a batch at which the server stops answering; -1: it takes them all.
	fails func(rows int) int
}

type farArgs struct{ site *farSite }

// farSite is where the server stands: plans outlive machines, and each machine has a server of its own.
type farSite struct{ sink *farSink }

func (f *farSite) spec() stage.Spec {
	return stage.Spec{Kind: "sink", Type: "far", Help: "A server of the test.", Args: func() stage.Args { return &farArgs{f} }}
}

func (a *farArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{Delivery: stage.Idempotent, OpenSink: func(stage.Opening) (stage.Sink, error) { return a.site.sink, nil }}, nil
}

func (f *farSink) Write(_ context.Context, _ int, rows arrow.RecordBatch) error {
	if f.seen == nil {
		f.seen = map[string]int{}
	}
	e := flow.NewJSONEncoder(rows.Schema(), false)
	fails := f.fails(int(rows.NumRows()))
	for i := range int(rows.NumRows()) {
		if i == fails {
			return errors.New("the server does not answer")
		}
		f.seen[string(e.AppendRow(nil, rows, i))]++
	}
	return nil
}

func (f *farSink) Prepare(context.Context, uint64) ([]byte, error) { return nil, nil }
func (f *farSink) Commit(context.Context, []byte) error            { return nil }
func (f *farSink) Recover(context.Context, []byte) error           { return nil }
func (f *farSink) Close() error                                    { return nil }

// rows lists what the server knows, each row once, sorted.
func (f *farSink) rows() []string {
	var out []string
	for row := range f.seen {
		out = append(out, stripPlace(row))
	}
	sort.Strings(out)
	return out
}
