package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/config"
)

// Limits of taps: so many at a time, and so many batches waiting in each. What
// comes while a tap is full is counted and not shown.
const (
	maxTaps  = 16
	tapQueue = 16
)

// tapPoint is an edge that can be looked at. While nobody does, a batch costs one atomic load.
type tapPoint struct {
	taps  atomic.Pointer[[]*Tap] // nil: nobody
	edge  string
	watch func(edge string, partition int, rows arrow.RecordBatch) // Options.Watch
}

// show shows rows, borrowed, to whoever looks.
func (p *tapPoint) show(partition int, rows arrow.RecordBatch) {
	if p.watch != nil && rows.NumRows() > 0 {
		p.watch(p.edge, partition, rows)
	}
	if taps := p.taps.Load(); taps != nil {
		for _, t := range *taps {
			t.offer(partition, rows)
		}
	}
}

// change exchanges the list of taps. Callers hold Engine.mu.
func (p *tapPoint) change(f func([]*Tap) []*Tap) {
	var now []*Tap
	if old := p.taps.Load(); old != nil {
		now = slices.Clone(*old)
	}
	if now = f(now); len(now) == 0 {
		p.taps.Store(nil)
		return
	}
	p.taps.Store(&now)
}

// Tapped is a batch that passed an edge; the receiver releases Rows.
type Tapped struct {
	Partition int
	Rows      arrow.RecordBatch
}

// Tap shows the rows that pass an edge as they come, whatever becomes of them
// later: after a crash the same rows may pass again. It never holds up the task.
type Tap struct {
	engine *Engine
	point  *tapPoint
	queue  chan Tapped
	missed atomic.Int64

	mu     sync.Mutex
	closed bool
}

func (t *Tap) offer(partition int, rows arrow.RecordBatch) {
	if rows.NumRows() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	rows.Retain()
	select {
	case t.queue <- Tapped{partition, rows}:
	default:
		rows.Release()
		t.missed.Add(rows.NumRows())
	}
}

// Rows gives the batches in order, by partition. It is never closed.
func (t *Tap) Rows() <-chan Tapped { return t.queue }

// Missed returns how many rows were not shown since the last call.
func (t *Tap) Missed() int64 { return t.missed.Swap(0) }

// Close ends the tap and releases what waits in it.
func (t *Tap) Close() {
	t.engine.mu.Lock()
	t.point.change(func(taps []*Tap) []*Tap {
		return slices.DeleteFunc(taps, func(x *Tap) bool {
			if x == t {
				t.engine.tapped--
			}
			return x == t
		})
	})
	t.engine.mu.Unlock()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for {
		select {
		case x := <-t.queue:
			x.Rows.Release()
		default:
			return
		}
	}
}

// tapOf returns the tap point of an edge, which lives as long as the engine.
func (e *Engine) tapOf(edge string) *tapPoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.tapPoints[edge]
	if p == nil {
		p = &tapPoint{edge: edge, watch: e.o.Watch}
		e.tapPoints[edge] = p
	}
	return p
}

// ErrNoEdge refuses a tap of what is not there; ErrTaps one too many.
var (
	ErrNoEdge = errors.New("there is no such edge")
	ErrTaps   = fmt.Errorf("%d taps are open already; close one first", maxTaps)
)

// Edges lists what can be tapped: channels, stages and the rejects of pipelines.
func (e *Engine) Edges() []string {
	var out []string
	v := e.view.Load()
	for _, ch := range v.plan.Channels {
		out = append(out, "channel."+ch.Config.Name)
	}
	for _, pl := range v.plan.Pipelines {
		for _, n := range pl.Nodes {
			if !n.IsSink() {
				out = append(out, n.Address)
			}
		}
		out = append(out, rejectsEdge(pl.Config.Name))
	}
	return out
}

func rejectsEdge(pipeline string) string { return "pipeline." + pipeline + ".rejects" }

// Tap opens a tap on an edge: an address such as "pipeline.p.rule.r", or the end of one
// that fits one edge only. The caller closes it before the engine.
func (e *Engine) Tap(edge string) (*Tap, error) {
	edges := e.Edges()
	var found []string
	for _, x := range edges {
		if x == edge {
			found = []string{x}
			break
		}
		if strings.HasSuffix(x, "."+edge) {
			found = append(found, x)
		}
	}
	switch {
	case len(found) > 1:
		return nil, fmt.Errorf("%w %q: it may be %s; write one of these", ErrNoEdge, edge, config.List(found))
	case len(found) == 0:
		return nil, fmt.Errorf("%w %q.%s", ErrNoEdge, edge, config.DidYouMean(edge, edges))
	}
	p := e.tapOf(found[0])
	t := &Tap{engine: e, point: p, queue: make(chan Tapped, tapQueue)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tapped >= maxTaps {
		return nil, ErrTaps
	}
	e.tapped++
	p.change(func(taps []*Tap) []*Tap { return append(taps, t) })
	return t, nil
}
