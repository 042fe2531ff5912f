package plan

import (
	"strings"

	"github.com/tidemill/tidemill/engine/stage"
)

// Promise is what becomes of a record in the worst case, and why.
type Promise struct {
	Summary string   `json:"summary"` // "exactly once", "effectively once", "at least once"
	Why     []string `json:"why"`     // sentences
}

// sinkPromise is what a sink promises of every row, and why.
func sinkPromise(d stage.Delivery) (promise, why string) {
	switch d {
	case stage.Transactional:
		return "exactly once", "commits with the checkpoint; what it wrote since is taken back after a crash"
	case stage.Idempotent:
		return "effectively once", "reads a spool; a row may come twice after a crash, with the same key, and the second changes nothing"
	case stage.AtLeastOnce:
		return "at least once", "reads a spool; rows of the last moments before a crash may come twice"
	}
	panic("BUG: a sink without a delivery")
}

// promise is what the whole plan promises: no more than its weakest sink, and than an ingest whose records may come twice.
func (p *Plan) promise() Promise {
	out := Promise{Summary: "exactly once"}
	out.say("A record that an ingest has handed over is in the journal, on disk; it is read again from there after a crash.")
	out.say("State and offsets are in one checkpoint, so every record counts once in every window and alarm.")
	weak := map[stage.Delivery][]string{}
	revises := []string{}
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.IsSink() {
				weak[n.Bound.Delivery] = append(weak[n.Bound.Delivery], n.Name())
			}
			if n.Revised() {
				revises = append(revises, n.Name())
			}
		}
	}
	if names := weak[stage.Transactional]; len(names) > 0 {
		out.say("Exactly once: " + strings.Join(names, ", ") + ". They commit with the checkpoint.")
	}
	if names := weak[stage.Idempotent]; len(names) > 0 {
		out.Summary = "effectively once"
		out.say("Effectively once: " + strings.Join(names, ", ") + ". A row that comes twice changes nothing.")
	}
	if names := weak[stage.AtLeastOnce]; len(names) > 0 {
		out.Summary = "at least once, because of " + strings.Join(names, ", ")
		out.say("At least once: " + strings.Join(names, ", ") + ". Rows may come twice after a crash; none is left out.")
	}
	if repeats := p.repeats(); len(repeats) > 0 {
		if len(weak[stage.AtLeastOnce]) == 0 {
			out.Summary = "at least once, because of " + strings.Join(repeats, ", ")
		}
		out.say("Records may come twice by " + strings.Join(repeats, ", ") + ": what was not acknowledged is sent again, and a file is read from its beginning with each start. The channel's dedupe counts them once.")
	}
	if len(revises) > 0 {
		out.say("Late rows revise: " + strings.Join(revises, ", ") + " may emit a row again with a higher revision; the highest counts.")
	}
	out.say("A row that cannot be processed goes to the rejects of its pipeline, with the reason.")
	return out
}

// repeats lists the ingests whose records may come twice and count twice.
func (p *Plan) repeats() []string {
	var out []string
	for _, n := range p.Ingests {
		if n.Bound.Repeats && n.Block.Enabled && p.Channel(n.Block.To.Name).Config.Dedupe == nil {
			out = append(out, n.Address)
		}
	}
	return out
}

func (p *Promise) say(sentence string) { p.Why = append(p.Why, sentence) }
