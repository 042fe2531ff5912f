package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// Feedback is a person's judgement of what an anomaly stage has said of a key. It is a control
// record in the journal, so that a replay meets it where it happened:
//
//	"feedback " {"stage":"pipeline.machine.anomaly.odd","key":["t1"],"label":"normal"}
type Feedback struct {
	Stage string   `json:"stage"` // its address; the end is enough where it fits one
	Key   []string `json:"key"`   // a text for each column of the stage's by
	Label string   `json:"label"` // "normal" or "fault"
}

const feedbackMagic = "feedback "

// ErrFeedback is wrapped by errors of whoever gave feedback.
var ErrFeedback = errors.New("no such feedback")

func isFeedback(body []byte) bool { return bytes.HasPrefix(body, []byte(feedbackMagic)) }

// Feedback puts a label into the journal; when it returns, it is durable there. Any goroutine may call it.
func (e *Engine) Feedback(f Feedback) error {
	_, err := e.give(f, false)
	return err
}

// FeedbackTo is Feedback, and waits until the label has come to its key. A key that no partition has is an error, with the nearest
// one; the label then does nothing. came is false where ctx ended before that: the label waits behind the rows before it.
func (e *Engine) FeedbackTo(ctx context.Context, f Feedback) (came bool, err error) {
	q, err := e.give(f, true)
	if err != nil {
		return false, err
	}
	defer e.labels.leave(q)
	select {
	case <-q.done:
	case <-ctx.Done():
		return false, nil
	}
	if near := q.near; !q.known {
		if near != "" {
			near = fmt.Sprintf(" Did you mean %q?", near)
		}
		return true, fmt.Errorf("%w: %s has had no row of %.100q.%s", ErrFeedback, q.stage, strings.Join(f.Key, ","), near)
	}
	return true, nil
}

// give puts a label into the journal; q is who waits for it, nil where nobody does.
func (e *Engine) give(f Feedback, wait bool) (q *question, err error) {
	g := e.view.Load()
	if f.Label != "normal" && f.Label != "fault" {
		return nil, fmt.Errorf("%w: a label is \"normal\" or \"fault\", not %.100q", ErrFeedback, f.Label)
	}
	n, err := labelled(g.plan, f.Stage)
	if err != nil {
		return nil, err
	}
	switch by := keyColumns(n); {
	case len(by) == len(f.Key):
	case len(by) == 0:
		return nil, fmt.Errorf("%w: %s has one model for all rows, and takes no key", ErrFeedback, n.Address)
	default:
		return nil, fmt.Errorf("%w: %s has a model for each %s: a key is as many values, and this has %d", ErrFeedback, n.Address, strings.Join(by, ", "), len(f.Key))
	}
	log := g.logs[n.Home.Config.Name]
	if log == nil {
		return nil, fmt.Errorf("%w: %s reads rows that are spread anew or come from a pipeline, which labels do not reach", ErrFeedback, n.Address)
	}
	f.Stage = n.Address
	body, err := json.Marshal(f)
	if err != nil {
		panic("BUG: feedback is no JSON: " + err.Error())
	}
	if wait {
		waiting := e.labels.ask(string(body), n.Address, log.Partitions())
		defer func() {
			if q = waiting; err != nil {
				e.labels.leave(q)
			}
		}()
	}
	if err := log.Appender().Control(journal.Note, e.env.Clock.Now().UnixMicro(), append([]byte(feedbackMagic), body...)); err != nil {
		return nil, err
	}
	if err := log.Appender().Flush(); err != nil {
		return nil, err
	}
	e.taskBell.ring()
	return nil, nil
}

// keyColumns are the columns of an anomaly stage's by, as they are written, or the channel's key.
func keyColumns(n *plan.Node) (names []string) {
	content, _, _ := n.Block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "by"}}})
	if content == nil || content.Attributes["by"] == nil {
		if n.Bound.Key != "" {
			names = []string{n.Bound.Key}
		}
		return names
	}
	list, _ := hcl.ExprList(content.Attributes["by"].Expr) // it was bound, and so is one
	for _, x := range list {
		names = append(names, config.TraversalText(x.Variables()[0]))
	}
	return names
}

// labelled finds the anomaly stage that is meant.
func labelled(p *plan.Plan, name string) (*plan.Node, error) {
	var found []*plan.Node
	var names []string
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.Block.Kind != "anomaly" {
				continue
			}
			names = append(names, n.Address)
			if n.Address == name || strings.HasSuffix(n.Address, "."+name) {
				found = append(found, n)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: there is no anomaly stage %.100q.%s", ErrFeedback, name, config.DidYouMean(name, names))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%w: %.100q fits %s and %s", ErrFeedback, name, found[0].Address, found[1].Address)
}

// feedback takes a label to its stage. A stage that is gone, or that does not have the key in this
// partition, is none of it.
func (t *task) feedback(body []byte) error {
	var f Feedback
	if err := json.Unmarshal(body[len(feedbackMagic):], &f); err != nil {
		return fmt.Errorf("%s: a label in the journal cannot be read: %w", t.Name(), err)
	}
	for _, p := range t.pipes {
		for _, n := range p.nodes {
			l, ok := n.stage.(stage.Labelled)
			if !ok || n.plan.Address != f.Stage {
				continue
			}
			known := l.Label(f.Key, f.Label == "fault")
			if known {
				t.engine.count(n.plan.Address+" labels", 1)
			}
			t.engine.labels.answer(string(body[len(feedbackMagic):]), t.part, known, func() string { return l.Near(f.Key) })
		}
	}
	return nil
}
