package replay

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

// Options say what is replayed.
type Options struct {
	Env  *env.Env
	Dir  string            // folder of the configuration
	Data string            // folder of the engine's data: history
	Vars map[string]string // values of variables
	// Than is the folder of the configuration that this one stands in for, or is compared with; "": there is none. What ran then runs
	// again, but for plugins that have another module here than there: of these the one that stands here is tried, on all devices.
	Than     string
	ThanVars map[string]string
	// Channel is the one whose records are replayed, with the pipelines that depend on it; "": all.
	Channel string
	// From and To bound the receive times of records, From inclusive; a zero time is no bound. Blocks of
	// the journal are not cut: records that were written together come together.
	From, To time.Time
	// Warm is how long before From the state begins. What comes of records before From is not shown.
	Warm   time.Duration
	Device string // "" or the only value of the channel's key
	// Edges are the stages whose rows are shown, or "rejects"; none: those that sinks read, and rejects.
	Edges []string
	Every bool     // all edges
	Write []string // sinks that write
	// Beside is a replay that this one will be compared with: of channels that both have it reads the very records of that one, also when
	// an engine goes on writing them. It must be closed after this one. nil: none.
	Beside *Replay
	End    bool // after the last record the input is at its end: windows close
	// Together calls functions, at the same time where that helps, and returns when all
	// have. nil: one after the other.
	Together func([]func())
	Report   func(line string) // trouble, a line each; may be nil
}

// Row is a row that passed an edge.
type Row struct {
	Edge      string // such as "pipeline.cold_chain.window.five_min"
	Partition int
	// Offset and Index say which record of the partition made the row come: for a window, the one
	// that closed it.
	Offset         int64
	Index          int32
	Received, Time int64  // us since 1970; Time is the row's event time
	Text           []byte // columns as JSON
}

// Replay is one configuration over a piece of history.
type Replay struct {
	o       Options
	machine *env.Sim
	plan    *plan.Plan
	engine  *run.Engine
	past    map[string]journal.Log
	pieces  map[string]*history
	shown   map[string][]uint64 // by channel: the first offsets that are shown
	seen    map[string]bool     // edges
	feeds   int                 // channels that pipelines feed
	pace    int                 // blocks that a task takes in a row
	quiet   int                 // turns without progress since all was read
	at      progress            // as of the last turn
	since   uint64              // the checkpoint before the last progress
	mine    bool                // a record of the device has passed, and Steps has not looked yet

	mu       sync.Mutex
	rows     map[place][]Row // since the last flush
	encoders map[place]*encoder
}

// progress is how far the channels have been read, those that pipelines feed among them.
type progress struct {
	records int64
	waiting uint64
}

type place struct {
	edge      string
	partition int
}

type encoder struct {
	schema *arrow.Schema
	json   *flow.JSONEncoder
}

// Open loads the configuration, and opens history and an engine over it. Diagnostics are mistakes
// of the configuration; files serve to print them. The caller closes what it gets.
func Open(o Options) (*Replay, hcl.Diagnostics, map[string]*hcl.File, error) {
	r := &Replay{o: o, machine: env.NewSim(1), past: map[string]journal.Log{}, pieces: map[string]*history{}, shown: map[string][]uint64{},
		seen: map[string]bool{}, rows: map[place][]Row{}, encoders: map[place]*encoder{}, pace: 64}
	store := modules.Open(o.Env, o.Data)
	c, diags := config.Load(o.Env, o.Dir, config.Options{Vars: o.Vars, Modules: store.Get, Signatures: store.Signatures})
	if diags.HasErrors() {
		return nil, diags, c.Files, nil
	}
	own, more := r.narrowed(c)
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, diags, c.Files, nil
	}
	if err := r.openPast(own); err != nil {
		return nil, diags, c.Files, errors.Join(err, r.Close())
	}
	all := append(stages.Builtin(), specs()...)
	p, more := plan.Build(own, all, nil)
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, config.Sort(diags), c.Files, r.Close()
	}
	r.plan = p
	for _, ch := range p.Channels {
		if ch.Fed {
			r.feeds++
		}
	}
	err := errors.Join(r.silence(p), r.openTables(p))
	if err == nil {
		r.skipPartitions()
		r.engine, err = run.Open(p, run.Options{Env: r.world(), Data: dataDir, Specs: all, Report: o.Report, SegmentBytes: 4 << 20,
			OpenLog: func(channel string, _ journal.Options) (journal.Log, error) { return r.pieces[channel], nil },
			Watch:   r.watch, Modules: store, Own: r.tried(c)})
	}
	if err != nil {
		return nil, diags, c.Files, errors.Join(err, r.Close())
	}
	return r, diags, c.Files, nil
}

// tried lists the plugins whose module is another one than that of the configuration which this one stands in for.
func (r *Replay) tried(c *config.Config) (names []string) {
	if r.o.Than == "" {
		return nil
	}
	store := modules.Open(r.o.Env, r.o.Data)
	than, _ := config.Load(r.o.Env, r.o.Than, config.Options{Vars: r.o.ThanVars, Modules: store.Get, Signatures: store.Signatures})
	if than == nil {
		return nil
	}
	for _, p := range c.Plugins {
		if slices.ContainsFunc(than.Plugins, func(q *config.Plugin) bool { return q.Name == p.Name && q.Digest != p.Digest }) {
			names = append(names, p.Name)
		}
	}
	return names
}

// openPast opens the journals of the channels that ingests feed.
func (r *Replay) openPast(c *config.Config) error {
	for _, ch := range c.Channels {
		if fedBy(c, ch.Name) {
			continue
		}
		if b := r.o.Beside; b != nil && b.past[ch.Name] != nil {
			h := b.pieces[ch.Name]
			ch.Partitions, r.past[ch.Name], r.shown[ch.Name] = h.Partitions(), b.past[ch.Name], b.shown[ch.Name]
			r.pieces[ch.Name] = newHistory(b.past[ch.Name], h.from, h.to)
			continue
		}
		past, err := journal.OpenPast(r.o.Env, path.Join(r.o.Data, "journal", ch.Name), journal.Options{
			Report: func(d journal.Damage) {
				if r.o.Report != nil && !d.Tail {
					r.o.Report(fmt.Sprintf("channel.%s: %s is damaged: %d bytes from byte %d: %s", ch.Name, d.File, d.Bytes, d.Offset, d.Reason))
				}
			}})
		if err != nil {
			return fmt.Errorf("channel.%s has no history in %s: %w", ch.Name, r.o.Data, err)
		}
		r.past[ch.Name] = past
		n := past.Partitions()
		ch.Partitions = n
		from, to, shown := make([]uint64, n), make([]uint64, n), make([]uint64, n)
		for p := range n {
			from[p], to[p] = past.Bounds(p)
			shown[p] = from[p]
			if !r.o.From.IsZero() {
				from[p], shown[p] = past.Seek(p, r.o.From.Add(-r.o.Warm).UnixMicro()), past.Seek(p, r.o.From.UnixMicro())
			}
			if !r.o.To.IsZero() {
				to[p] = max(from[p], past.Seek(p, r.o.To.UnixMicro()))
			}
		}
		r.pieces[ch.Name], r.shown[ch.Name] = newHistory(past, from, to), shown
	}
	return nil
}

// fedBy tells whether a pipeline feeds the channel.
func fedBy(c *config.Config, channel string) bool {
	for _, p := range c.Pipelines {
		for _, s := range p.Stages {
			if s.Kind == "sink" && s.Enabled && s.To.Kind == "channel" && s.To.Name == channel {
				return true
			}
		}
	}
	return false
}

// skipPartitions leaves out partitions that the device is not in.
func (r *Replay) skipPartitions() {
	h := r.pieces[r.o.Channel]
	if r.o.Device == "" || h == nil {
		return
	}
	ch := r.plan.Channel(r.o.Channel)
	at := slices.IndexFunc(ch.Fields, func(f decode.Field) bool { return f.Name == ch.Config.Key })
	if at >= 0 && ch.Fields[at].Type != nil && ch.Fields[at].Type.ID() == arrow.STRING {
		h.only = flow.PartitionOf(flow.Hash([]byte(r.o.Device)), h.Partitions())
	}
}

// watch notes the rows of edges that are looked at. Tasks may call it at the same time.
func (r *Replay) watch(edge string, partition int, rows arrow.RecordBatch) {
	if !r.seen[edge] {
		return
	}
	at := place{edge, partition}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.encoders[at]
	if e == nil || !e.schema.Equal(rows.Schema()) {
		e = &encoder{rows.Schema(), flow.NewJSONEncoder(rows.Schema(), false)}
		r.encoders[at] = e
	}
	offsets, indexes, received, times := flow.Offsets(rows), flow.Indexes(rows), flow.Received(rows), flow.Times(rows)
	for i := range int(rows.NumRows()) {
		row := Row{Edge: edge, Partition: partition, Offset: offsets[i], Index: indexes[i], Received: int64(received[i]), Time: int64(times[i])}
		if r.o.Warm > 0 && row.Received < r.o.From.UnixMicro() {
			continue
		}
		row.Text = e.json.AppendRow(nil, rows, i)
		r.rows[at] = append(r.rows[at], row)
	}
}

// take returns the rows that were noted, by edge in the order of the graph and partition.
func (r *Replay) take() []Row {
	var places []place
	for at := range r.rows {
		places = append(places, at)
	}
	order := r.order()
	sort.Slice(places, func(i, j int) bool {
		a, b := places[i], places[j]
		if order[a.edge] != order[b.edge] {
			return order[a.edge] < order[b.edge]
		}
		return a.partition < b.partition
	})
	var out []Row
	for _, at := range places {
		if strings.HasSuffix(at.edge, ".rule."+ownRule) {
			r.mine = r.mine || len(r.rows[at]) > 0 // whoever looks on did not write that rule
		} else {
			out = append(out, r.rows[at]...)
		}
		r.rows[at] = r.rows[at][:0]
	}
	return out
}

// order numbers the edges: channels, then stages after those they read.
func (r *Replay) order() map[string]int {
	out := map[string]int{}
	for _, ch := range r.plan.Channels {
		out["channel."+ch.Config.Name] = len(out)
	}
	for _, pl := range r.plan.Pipelines {
		for _, n := range pl.Nodes {
			out[n.Address] = len(out)
		}
		out["pipeline."+pl.Config.Name+".rejects"] = len(out)
	}
	return out
}

// round lets everything move that can.
func (r *Replay) round() (moved bool, err error) {
	actors := r.engine.Actors()
	did, errs := make([]bool, len(actors)), make([]error, len(actors))
	turns := make([]func(), 0, len(actors))
	for i, a := range actors {
		turn := func() {
			for range r.pace {
				m, err := a.Step()
				did[i], errs[i] = did[i] || m, err
				if !m || err != nil {
					return
				}
			}
		}
		if strings.HasPrefix(a.Name(), "task ") && r.o.Together != nil {
			turns = append(turns, turn)
			continue
		}
		r.together(&turns)
		turn()
	}
	r.together(&turns)
	return slices.Contains(did, true), errors.Join(errs...)
}

func (r *Replay) together(turns *[]func()) {
	if len(*turns) > 0 {
		r.o.Together(*turns)
	}
	*turns = (*turns)[:0]
}

// turn lets the engine move once and returns the rows that came of it. settled tells that nothing more will come.
// Channels that pipelines feed are read when a checkpoint has been taken, and so the clock goes on.
func (r *Replay) turn() (rows []Row, settled bool, err error) {
	moved, err := r.round()
	if err != nil {
		return nil, false, err
	}
	rows = r.take()
	if r.feeds > 0 || !moved {
		r.machine.Advance(2 * time.Second)
	}
	if r.feeds == 0 {
		return rows, len(rows) == 0 && (!moved || r.caughtUp()), nil
	}
	return rows, r.passed(len(rows) > 0), nil
}

// passed tells whether all that was fed has come through: by two checkpoints for each channel that it passes, since a
// checkpoint waits for all that stands in a sink's queue before it, and the one after the last progress may have begun before that.
func (r *Replay) passed(rows bool) bool {
	const patience = 100_000 // turns: a sink that fails may keep checkpoints from being taken
	s := r.engine.Status()
	at := progress{}
	for _, ch := range s.Channels {
		for _, p := range ch.Partitions {
			at.records, at.waiting = at.records+p.Records, at.waiting+p.Lag
		}
	}
	r.quiet++
	if rows || at != r.at || !r.caughtUp() {
		r.at, r.since, r.quiet = at, s.Checkpoint.Epoch, 0
	}
	return s.Checkpoint.Epoch > r.since+2*uint64(r.feeds)+1 || r.quiet > patience
}

// settle lets the engine move until nothing does any more.
func (r *Replay) settle(ctx context.Context, show func([]Row) error) error {
	r.at = progress{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, settled, err := r.turn()
		if err != nil {
			return err
		}
		if err := show(rows); err != nil || settled {
			return err
		}
	}
}

// caughtUp tells whether all of history has been read.
func (r *Replay) caughtUp() bool {
	for _, ch := range r.engine.Status().Channels {
		for _, p := range ch.Partitions {
			if _, piece := r.pieces[ch.Name]; piece && p.Lag > 0 {
				return false
			}
		}
	}
	return true
}

// Run replays everything, and gives the rows of the edges to show, in an order that does not
// depend on Together.
func (r *Replay) Run(ctx context.Context, show func([]Row) error) error {
	if err := r.settle(ctx, show); err != nil {
		return err
	}
	if r.o.End {
		r.end()
		if err := r.settle(ctx, show); err != nil {
			return err
		}
	}
	return r.commit(ctx)
}

func (r *Replay) end() {
	for _, h := range r.pieces {
		h.end()
	}
}

// commit gives sinks that write a last checkpoint, and the time to deliver.
func (r *Replay) commit(ctx context.Context) error {
	if len(r.o.Write) == 0 {
		return nil
	}
	for quiet := 0; quiet < 3; {
		moved, err := r.round()
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		quiet++
		for _, s := range r.engine.Status().Sinks {
			if s.Failing || s.Waiting > 0 {
				quiet = 0
			}
		}
		if err := wait(ctx, r.o.Env.Clock, quiet == 0); err != nil {
			return err
		}
		r.machine.Advance(time.Minute)
	}
	return nil
}

// wait gives the world outside a moment.
func wait(ctx context.Context, c env.Clock, really bool) error {
	if !really {
		return ctx.Err()
	}
	woken := make(chan struct{})
	stop := c.After(50*time.Millisecond, func() { close(woken) })
	defer stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-woken:
		return nil
	}
}

// Close releases everything.
func (r *Replay) Close() error {
	var errs []error
	if r.engine != nil {
		errs = append(errs, r.engine.Close())
	}
	for _, h := range r.pieces {
		if h.gate != nil && h.gate.passed != nil {
			h.gate.passed.Release()
			h.gate.passed = nil
		}
	}
	for name, l := range r.past {
		if b := r.o.Beside; b != nil && b.past[name] == l {
			continue
		}
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
