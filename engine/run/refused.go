package run

import (
	"strings"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// What a sink behind a spool rejects goes to the rejects of its pipeline by a
// lane of its own, the last one of the sink that takes them:
//
//	task ──────lane──▶ sinker of the rejects:  | rows ... | barrier e | rows ...
//	deliverer ─lane──▶                         | rejects of what is done | barrier e | ...
//
// A checkpoint must hold a reject exactly if it holds that the row is
// delivered. So rejects are kept until what they belong to is settled, and go
// on the lane in the moment in which it is done; the coordinator puts the
// barrier there and notes who has done what, and nothing comes between
// (Engine.refusing).

// maxHeldRejects is how many rejects a deliverer keeps at most before it settles.
const maxHeldRejects = 10_000

// outlet is where the rejects of a deliverer go.
type outlet struct {
	lane *lane
	in   int
	tap  *tapPoint
}

// outletOf returns where what a sink of this address rejects goes; nil when it takes its
// pipeline's rejects itself.
func (e *Engine) outletOf(address string) *outlet {
	for _, pl := range e.plan.Pipelines {
		if !strings.HasPrefix(address, "pipeline."+pl.Config.Name+".") || pl.Rejects == nil || pl.Rejects.Address == address {
			continue
		}
		return &outlet{lane: e.rejectsLane(pl), in: len(pl.Rejects.In), tap: e.tapOf(rejectsEdge(pl.Config.Name))}
	}
	return nil
}

// rejectsLane is the lane by which deliverers reach the rejects of a pipeline.
func (e *Engine) rejectsLane(pl *plan.Pipeline) *lane {
	lanes := e.sinks[pl.Rejects.Address].lanes
	return lanes[len(lanes)-1]
}

// refuse takes a reject of the sink.
func (d *deliverer) refuse(r stage.Reject) {
	address := d.node.Address
	if r.Rows == nil || d.engine.outletOf(address) == nil {
		d.engine.sinkRejects(address, r)
		return
	}
	row := rejectRow{
		stage: address, reason: r.Reason, field: r.Field, channel: d.channel, partition: -1,
		offset: flow.Offsets(r.Rows)[r.Row], index: flow.Indexes(r.Rows)[r.Row], received: flow.Received(r.Rows)[r.Row],
		row: flow.NewJSONEncoder(r.Rows.Schema(), false).AppendRow(nil, r.Rows, r.Row),
	}
	d.rejects = append(d.rejects, row)
	d.engine.count(address+" "+rejectsPrefix+"row", 1)
	if !d.told {
		d.told = true
		d.engine.report(address + ": a row is rejected: " + r.Reason + "; it goes to the rejects, and so will others, which only the counter tells of")
	}
}

// holdsBack tells that what is delivered must not be called done yet: there are rejects, and
// the lane they go by is full, or stands before a swap.
func (d *deliverer) holdsBack() bool {
	if len(d.rejects) == 0 {
		return false
	}
	req := d.engine.request.Load()
	if req != nil && req.pause && !d.engine.coord.stopping.Load() {
		return true
	}
	o := d.engine.outletOf(d.node.Address)
	return o != nil && o.lane.full()
}

// letGo calls done what the sink has let go of, and sends its rejects on their way.
func (d *deliverer) letGo() {
	e := d.engine
	e.refusing.Lock()
	defer e.refusing.Unlock()
	if len(d.rejects) > 0 {
		if o := e.outletOf(d.node.Address); o != nil {
			rows := rejectBatch(d.rejects, e.alloc)
			o.tap.show(-1, rows)
			o.lane.push(parcel{flow.Item{Kind: flow.Rows, Rows: rows}, o.in})
		}
		d.rejects = d.rejects[:0]
	}
	d.done.Store(d.kept())
}

// markDelivered puts the barrier of an epoch on the lanes of deliverers' rejects, and notes
// what is done before it.
func (e *Engine) markDelivered(epoch uint64) {
	e.refusing.Lock()
	defer e.refusing.Unlock()
	for _, d := range e.delivers {
		d.marked.Store(d.done.Load())
	}
	for _, pl := range e.plan.Pipelines {
		if pl.Rejects != nil {
			e.rejectsLane(pl).push(parcel{item: flow.Item{Kind: flow.Barrier, Epoch: epoch}})
		}
	}
}

// ending tells that no more rows will come: a run is bounded, and its ingests have ended, or
// it has been told to stop.
func (e *Engine) ending() bool {
	if e.coord.stopping.Load() {
		return true
	}
	if !e.o.StopAtEnd {
		return false
	}
	for _, s := range e.sources {
		if !s.ended.Load() {
			return false
		}
	}
	return true
}
