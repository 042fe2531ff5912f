package run

import (
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// progress is what a task is telling its stages, and how far it has come: a stage with much to say
// says it in pieces (stage.Paced), and the task goes on with the next when its lanes have room again. Until all
// have been told, the task takes no block and answers no request for a checkpoint, as in the middle of a block.
type progress struct {
	on       bool
	marks    flow.Watermarks
	pipe     int
	node, in int
	more     stage.Paced // has not said all; nil: none
	then     func()      // what comes when all have been told
}

// advance tells all pipelines of progress, and passes on what they have rejected, as far as there is room; then
// is called when that is done, at the latest by a later goOn.
func (t *task) advance(marks flow.Watermarks, then func()) {
	if t.progress.on {
		panic("BUG: progress was told while earlier progress was being told")
	}
	if t.plugin != nil && marks.Ticked {
		if err := t.plugin.stage.Advance(0, flow.Watermarks{Tick: marks.Tick, Ticked: true}, t.plugin); err != nil {
			t.fail(&t.plugin.node, err)
		}
	}
	t.progress = progress{on: true, marks: marks, then: then}
	t.goOn()
}

// goOn goes on with telling until all is told, or a lane is full.
func (t *task) goOn() {
	w := &t.progress
	for ; w.pipe < len(t.pipes); w.pipe++ {
		p := t.pipes[w.pipe]
		if len(w.marks.Keys) > 0 || w.marks.Ticked || w.marks.Ended || p.gathers {
			if !t.advancePipe(p) {
				return
			}
		}
		p.flushRejects(t)
		w.node, w.in = 0, 0
	}
	if w.marks.Ticked || w.marks.Ended {
		t.measure()
	}
	then := w.then
	t.progress = progress{}
	then()
}

// advancePipe tells the stages of a pipeline, each after those it reads from; false when there is no room for all that they say.
func (t *task) advancePipe(p *pipe) bool {
	w := &t.progress
	for ; w.node < len(p.nodes); w.node++ {
		n := p.nodes[w.node]
		if w.more == nil && w.in == 0 {
			p.noteLagging(n, w.marks.Keys)
		}
		told, hears := p.toldTo(n, w.marks)
		for ; hears && w.in < len(n.plan.In); w.in++ {
			if w.more == nil {
				if err := n.stage.Advance(w.in, told, n); err != nil {
					t.fail(n, err)
				}
				w.more, _ = n.stage.(stage.Paced)
			}
			for w.more != nil && t.err == nil {
				if !t.room() {
					return false
				}
				more, err := w.more.More(n)
				if err != nil {
					t.fail(n, err)
				}
				if !more {
					w.more = nil
				}
			}
			w.more = nil
		}
		w.in = 0
	}
	return true
}

// noteLagging notes what a stage behind one that holds rows back is told of keys.
func (p *pipe) noteLagging(n *node, keys []flow.KeyMark) {
	if n.plan.Lag == 0 {
		return
	}
	p.lagging = p.lagging[:0]
	for _, k := range keys {
		if k.Time > flow.NoMark+n.plan.Lag {
			p.lagging = append(p.lagging, flow.KeyMark{Slot: k.Slot, Time: k.Time - n.plan.Lag})
		}
	}
}

// toldTo is what a stage is told; hears is false for one that does not want to know.
func (p *pipe) toldTo(n *node, marks flow.Watermarks) (told flow.Watermarks, hears bool) {
	switch {
	case !n.plan.Marks:
		marks.Keys = nil
		return marks, marks.Ticked || marks.Ended
	case n.plan.Lag > 0:
		marks.Keys = p.lagging
	}
	return marks, true
}
