package backtest

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/stages/anomaly"
)

// Past says where a configuration's history is.
type Past struct {
	Env     *env.Env
	Data    string // data folder of its engine, whose journal is replayed; where there is none, its files are read
	Scratch string // an empty folder
}

// Watched is what came to an anomaly stage.
type Watched struct {
	Address string
	By, On  []string
	Config  detect.Config // the stage's own
	Series  []*Series     // a key each, sorted by it
	Kept    []Argument    // what a proposal takes over from the stage
}

// History runs a configuration over what is recorded, without its sinks, and returns what came to
// each of its anomaly stages, sorted by address. Diagnostics are the author's mistakes.
func History(ctx context.Context, c *config.Config, o Past) ([]*Watched, hcl.Diagnostics, error) {
	h := &history{Past: o, ends: map[string]*watching{}}
	own, found := h.rewrite(c)
	if !found {
		return nil, nil, fmt.Errorf("there is no history: no journal in %s, and no ingest \"file\" that is enabled", o.Data)
	}
	p, diags := plan.Build(own, h.specs(), nil)
	if diags.HasErrors() {
		return nil, diags, nil
	}
	e, err := run.Open(p, run.Options{Env: o.Env, Data: o.Scratch, Specs: h.specs(), StopAtEnd: true, Once: true})
	if err != nil {
		return nil, nil, err
	}
	err = e.Run(ctx)
	if more := e.Close(); err == nil {
		err = more
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, err
	}
	all := h.watched()
	for _, w := range all {
		w.Kept = kept(c, w.Address)
	}
	return all, nil, nil
}

// history gathers what stages see; each stage has its own place, since partitions run beside one another.
type history struct {
	Past
	lock sync.Mutex
	ends map[string]*watching // by address and partition
}

// watching is one stage in one partition.
type watching struct {
	anomaly.Watch
	series []*Series // by slot; nil where none was seen
}

// ownType is the ingest that replays a journal.
const ownType = "backtest"

func (h *history) specs() []stage.Spec {
	specs := slices.DeleteFunc(stages.Builtin(), func(s stage.Spec) bool { return s.Kind == "anomaly" })
	specs = append(specs, anomaly.Watched(h.open)...)
	return append(specs, stage.Spec{Kind: "ingest", Type: ownType, Help: "Replays a journal.", Args: func() stage.Args { return &replayArgs{h} }})
}

// rewrite returns the configuration without sinks, and with a replay for every
// channel that has a journal. found tells whether there is anything to read.
func (h *history) rewrite(c *config.Config) (own *config.Config, found bool) {
	mine := *c
	mine.Engine.Checkpoint, mine.Engine.Admin = 24*time.Hour, ""
	mine.Ingests, mine.Pipelines = nil, nil
	replayed := map[string]bool{}
	for _, ch := range c.Channels {
		if entries, err := h.Env.FS.ReadDir(h.journal(ch.Name)); err != nil || len(entries) == 0 {
			continue
		}
		replayed[ch.Name] = true
		mine.Engine.Tick = 24 * time.Hour // ticks come from the journal
	}
	for _, b := range c.Ingests {
		in := *b
		if !b.Enabled || b.Type != "file" && !replayed[b.To.Name] {
			in.Enabled = false
		} else if replayed[b.To.Name] {
			in.Enabled = false
		} else {
			found = true
		}
		mine.Ingests = append(mine.Ingests, &in)
	}
	for _, ch := range c.Channels {
		if replayed[ch.Name] {
			found = true
			mine.Ingests = append(mine.Ingests, &config.Block{Kind: "ingest", Type: ownType, Name: ownType + "_" + ch.Name,
				To: config.Ref{Kind: "channel", Name: ch.Name}, Enabled: true, Body: &hclsyntax.Body{}, Range: ch.Range})
		}
	}
	for _, p := range c.Pipelines {
		one := *p
		one.Rejects = nil
		one.Stages = slices.DeleteFunc(slices.Clone(p.Stages), func(b *config.Block) bool { return b.Kind == "sink" && b.To.Name == "" })
		mine.Pipelines = append(mine.Pipelines, &one)
	}
	return &mine, found
}

func (h *history) journal(channel string) string { return path.Join(h.Data, "journal", channel) }

// open begins to watch a stage. Where a learned schema binds it anew, it goes on.
func (h *history) open(w anomaly.Watch) anomaly.Seen {
	h.lock.Lock()
	defer h.lock.Unlock()
	id := fmt.Sprintf("%s %06d", w.Address, w.Partition)
	at := h.ends[id]
	if at == nil {
		at = &watching{}
		h.ends[id] = at
	}
	at.Watch = w
	return at.see
}

func (w *watching) see(slot uint32, at int64, x []float64, v *detect.Verdict) {
	for int(slot) >= len(w.series) {
		w.series = append(w.series, nil)
	}
	s := w.series[slot]
	if s == nil {
		key, name := w.Key(slot)
		s = &Series{Key: name, Seed: seedOf(key, w.Seed)}
		w.series[slot] = s
	}
	s.Times = append(s.Times, at)
	s.Values = append(s.Values, slices.Clone(x))
	s.Live = append(s.Live, v.Score)
}

func (h *history) watched() []*Watched {
	by := map[string]*Watched{}
	for _, w := range h.ends {
		one := by[w.Address]
		if one == nil {
			one = &Watched{Address: w.Address, By: w.By, On: w.On, Config: w.Config}
			by[w.Address] = one
		}
		for _, s := range w.series {
			if s != nil {
				one.Series = append(one.Series, s)
			}
		}
	}
	var out []*Watched
	for _, one := range by {
		slices.SortFunc(one.Series, func(a, b *Series) int { return strings.Compare(a.Key, b.Key) })
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b *Watched) int { return cmp.Compare(a.Address, b.Address) })
	return out
}
