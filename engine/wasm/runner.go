package wasm

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/splitmix"
	"github.com/tidemill/tidemill/engine/state"
)

const (
	maxPiece    = 65_536
	logOverhead = 32 // what a line costs beside its text, so that empty ones end too
	firstPiece  = 64 // rows of the first call, before it is known what a row costs
)

// RunnerOptions are what a runner is made with.
type RunnerOptions struct {
	Alloc    memory.Allocator
	Settings map[string]Setting
	Tables   []*state.Table // as Manifest.Tables declares them
	// Seed tells partitions apart where randomness is granted.
	Seed uint64
	Log  func(level int, line string) // nil: lines are dropped
	// Quarantine is told of what a person should look at; nil: nobody is. It is called on the
	// runner's goroutine.
	Quarantine func(Evidence)
	Count      func(name string, n int64) // nil: nobody counts
}

// Evidence is why a plugin is, or should be, quarantined.
type Evidence struct {
	Plugin *Plugin
	Cause  string
	// ByClock says that the deadline has passed, or that too many refusals did not stand: the rows were processed
	// all the same, since a replay must agree, and only a record in the journal may act on it.
	ByClock bool
	Offset  int64 // of the last row concerned, in its partition
}

// Input is a batch for a plugin, borrowed.
type Input struct {
	Rows     int
	Columns  []arrow.Array     // as the manifest reads them; nil for one that is not there
	Keys     []uint32          // slots in the table of state; nil without state
	Offsets  []int64           // of the records
	Indexes  []int32           // within a record
	Received []arrow.Timestamp // us
}

// Output is what a plugin made of a batch.
type Output struct {
	Rows    int
	Columns []arrow.Array // as the manifest writes them; the caller releases them
	// From is the input row of each output row, rising; nil: each input row has one.
	From    []int32
	Rejects []Reject // in order of row
	Fuel    int64
}

// Reject is a row that was refused, or that failed.
type Reject struct {
	Row    int
	Reason string // with the plugin's name, version and digest
	Failed bool   // the guest failed at it; else the guest refused it
}

// Runner runs a plugin over the rows of one partition. One goroutine.
type Runner struct {
	plugin   *Plugin
	o        RunnerOptions
	instance *Instance // nil after a failure
	columns  []columnType
	schema   schemaImage
	digest   []byte // the key in the table of failures
	perRow   bool
	rowFuel  int64 // what a row costs, about
	logLeft  int   // bytes of log lines that are still kept

	trial   *Instance // rows are tried alone in it (alone.go); nil until the first is
	image   *image    // what the trial's instance was when it had come to life
	doubted []int     // rows that are to be tried, of pieces under way
	apart   bool      // the piece under way was cut out between refused rows, and tells little of what rows cost
	wrong   int       // refusals that did not stand

	in     Input
	out    Output
	parts  []output
	states stateBatch
	// Of the piece under way; kept, so that a batch costs no garbage.
	cols     []arrow.Array
	children []uint32
	taken    []column
}

// NewRunner makes a runner with a first instance.
func (p *Plugin) NewRunner(o RunnerOptions) (*Runner, error) {
	if want := len(p.Manifest.Tables("", 0)); len(o.Tables) != want {
		panic(fmt.Sprintf("BUG: plugin %s is given %d tables; it declares %d", p.Manifest.Name, len(o.Tables), want))
	}
	if o.Count == nil {
		o.Count = func(string, int64) {}
	}
	r := &Runner{plugin: p, o: o, perRow: len(p.granted()) > 0, logLeft: p.Limits.LogBytes, digest: []byte(p.Digest)}
	var schemas []childSchema
	for _, c := range p.Manifest.Reads {
		t, _ := typeOf(c.Type)
		r.columns = append(r.columns, t)
		schemas = append(schemas, childSchema{c.Name, t.format(), true})
	}
	r.schema, r.children = newSchemaImage(schemas), make([]uint32, len(schemas))
	for _, w := range p.Manifest.Writes {
		t, _ := typeOf(w.Type)
		r.parts = append(r.parts, output{typ: t, alloc: o.Alloc})
	}
	if p.Manifest.State != nil {
		r.states.table, r.states.decl = o.Tables[1], p.Manifest.State
	}
	return r, r.open()
}

// granted lists what the manifest wants of the grants that it has.
func (p *Plugin) granted() []string {
	var out []string
	for _, g := range p.Limits.Grants {
		if slices.Contains(p.Manifest.Grants, g) || slices.Contains(p.Manifest.Calls, g) {
			out = append(out, g)
		}
	}
	return out
}

// log takes a line while there is room for it, and counts it otherwise. The room is the
// runner's: a guest gets none by failing.
func (r *Runner) log(level int, line []byte) {
	text := clip(line, maxLogLine)
	cost := len(text) + logOverhead
	if r.logLeft < cost {
		r.o.Count("cost_log_dropped", 1)
		return
	}
	r.logLeft -= cost
	if r.o.Log != nil {
		r.o.Log(level, text)
	}
}

func (r *Runner) overdue(took time.Duration) {
	if r.o.Quarantine != nil {
		e := Evidence{Plugin: r.plugin, ByClock: true, Cause: fmt.Sprintf("a batch took %v and more; the deadline is %v", took.Round(time.Millisecond), r.plugin.Limits.Deadline)}
		if len(r.in.Offsets) > 0 {
			e.Offset = r.in.Offsets[len(r.in.Offsets)-1]
		}
		r.o.Quarantine(e)
	}
}

// Close ends the runner.
func (r *Runner) Close() {
	r.end()
	if r.trial != nil {
		r.trial.Close()
		r.trial = nil
	}
}

// end closes the instance.
func (r *Runner) end() {
	if r.instance != nil {
		r.instance.Close()
		r.instance = nil
	}
}

// Tick gives the guest room for log lines again. It is called with every tick of
// the journal's clock, about once a second.
func (r *Runner) Tick() { r.logLeft = r.plugin.Limits.LogBytes }

// Plugin is what the runner runs.
func (r *Runner) Plugin() *Plugin { return r.plugin }

// Run processes a batch. Whatever the guest does, every input row is
// in the output, dropped by a transform, or among the rejects.
func (r *Runner) Run(in Input) Output {
	r.in, r.out = in, Output{}
	for i := range r.parts {
		r.parts[i].begin()
	}
	for lo := 0; lo < in.Rows; {
		hi := min(lo+r.pieceRows(), in.Rows)
		r.piece(lo, hi)
		lo = hi
	}
	r.out.Columns = make([]arrow.Array, len(r.parts))
	for i := range r.parts {
		r.out.Columns[i] = r.parts[i].done()
	}
	if r.identity() {
		r.out.From = nil
	} else {
		r.mapRows()
	}
	r.in = Input{}
	r.o.Count("cost_fuel", r.out.Fuel)
	return r.out
}

// identity says whether each input row has one output row.
func (r *Runner) identity() bool {
	if r.out.Rows != r.in.Rows {
		return false
	}
	for i, f := range r.out.From {
		if int(f) != i {
			return false
		}
	}
	return true
}

// pieceRows is how many rows a call gets: so many that half of a row's limit should do for all.
func (r *Runner) pieceRows() int {
	switch {
	case r.perRow:
		return 1
	case r.rowFuel == 0:
		return firstPiece
	}
	return int(min(max(r.plugin.Limits.FuelPerRow/2/r.rowFuel, 1), maxPiece))
}

// piece processes rows lo to hi. When the guest fails, it is called with halves,
// the first before the second, until a row fails alone in a fresh instance.
func (r *Runner) piece(lo, hi int) {
	if r.barred(lo, hi) {
		return
	}
	known := len(r.doubted)
	err := r.try(lo, hi)
	switch {
	case err == nil:
		r.sank(int64(hi - lo))
	case errors.Is(err, errDoubt):
		r.takeApart(lo, hi, known)
	case hi-lo > 1:
		r.halve(lo, hi)
	default:
		r.lastTry(lo, err)
	}
}

func (r *Runner) halve(lo, hi int) {
	r.o.Count("cost_splits", 1)
	mid := lo + (hi-lo)/2
	r.piece(lo, mid)
	r.piece(mid, hi)
}

// lastTry gives a row that failed to a fresh instance, when it was not in one, and rejects it when it fails there.
func (r *Runner) lastTry(row int, err error) {
	if r.instance == nil || r.instance.Used > 1 {
		r.end()
		if err = r.try(row, row+1); err == nil {
			r.sank(1)
			return
		}
	}
	r.fails(row, err)
}

// fails rejects a row that failed alone in a fresh instance.
func (r *Runner) fails(row int, err error) {
	r.reject(row, err.Error(), true)
	r.o.Count("failed", 1)
	r.rose(row, err.Error())
}

func (r *Runner) reject(row int, reason string, failed bool) {
	r.out.Rejects = append(r.out.Rejects, Reject{row, "plugin " + r.plugin.String() + ": " + reason, failed})
}

// try gives rows lo to hi to the guest and takes what it made of them. After an
// error nothing has happened but that the instance may be gone.
func (r *Runner) try(lo, hi int) error {
	if r.instance == nil || r.instance.dead {
		if err := r.open(); err != nil {
			return err
		}
		r.o.Count("cost_instances", 1)
	}
	i := r.instance
	i.Used++
	i.begin(r.plugin.Limits.FuelPerRow)
	if r.perRow {
		i.now = int64(r.in.Received[lo])
		i.seed = splitmix.Source(r.o.Seed ^ uint64(r.in.Offsets[lo])*0x9e3779b97f4a7c15 ^ uint64(r.in.Indexes[lo])<<48)
	}
	err := r.call(i, lo, hi)
	if err != nil && !errors.Is(err, errNoRoom) && !errors.Is(err, errDoubt) {
		r.end()
	}
	r.releaseColumns(lo, hi)
	return err
}

var errNoRoom = errors.New("tidemill_alloc has no memory for the batch")

func (r *Runner) call(i *Instance, lo, hi int) error {
	r.takeColumns(lo, hi)
	n := hi - lo
	if err := r.states.begin(r.in.Keys, lo, hi); err != nil {
		return err
	}
	a, batch, err := r.layBatch(i, n)
	if err != nil {
		return err
	}
	if err := r.states.migrate(i, &a); err != nil {
		return err
	}
	at, err := i.call(i.run, batch)
	if err != nil {
		return err
	}
	if at == 0 {
		return &failure{"tidemill_run returned 0"}
	}
	g := guest{mem: i.view()}
	answer := g.answer(at, r.plugin.Manifest, n, r.taken)
	if r.taken = answer.columns; g.err != nil {
		return g.err
	}
	used := i.used()
	if !r.apart {
		r.rowFuel = max((3*r.rowFuel+used/int64(n))/4, used/int64(n), 1)
	}
	if (n > 1 || i.Used > 1) && !r.plugin.trusts && r.doubts(&answer, lo, n) {
		i.lookAtClock()
		return errDoubt
	}
	if err := r.states.end(g.mem); err != nil {
		return err
	}
	i.lookAtClock()
	r.out.Fuel += used
	r.accept(&answer, lo, hi)
	return nil
}

// takeColumns cuts the piece's rows out of the columns.
func (r *Runner) takeColumns(lo, hi int) {
	r.cols = r.cols[:0]
	for _, c := range r.in.Columns {
		if c != nil && (lo > 0 || hi < r.in.Rows) {
			c = array.NewSlice(c, int64(lo), int64(hi))
		}
		r.cols = append(r.cols, c)
	}
}

func (r *Runner) releaseColumns(lo, hi int) {
	for _, c := range r.cols {
		if c != nil && (lo > 0 || hi < r.in.Rows) {
			c.Release()
		}
	}
}

// layBatch lays a batch out in the guest's memory and returns where it is. The guest is asked for a
// larger region where it does not fit.
func (r *Runner) layBatch(i *Instance, n int) (a arena, batch uint32, err error) {
	for range 2 {
		a = arena{mem: i.view(), at: uint64(i.region), top: uint64(i.region) + uint64(i.room)}
		if batch = r.lay(&a, n); a.mem != nil {
			return a, batch, nil
		}
		ok, err := i.reserve(int(a.at-uint64(i.region)) + bufferAlign)
		if err == nil && !ok {
			err = errNoRoom
		}
		if err != nil {
			return a, 0, err
		}
	}
	panic("BUG: a batch is longer than what was counted")
}

// lay lays a batch out and returns where it is.
func (r *Runner) lay(a *arena, n int) uint32 {
	batch := a.take(batchBytes, bufferAlign)
	schema := r.schema.lay(a)
	for i, c := range r.cols {
		r.children[i] = a.column(c, r.columns[i], n)
	}
	a.put32(batch, schema)
	a.put32(batch+4, a.structArray(n, r.children))
	for at := uint32(8); at < batchBytes; at += 8 {
		a.put64(batch+at, 0)
	}
	r.states.lay(a, batch, n)
	return batch
}

// accept takes an answer: rows and refusals.
func (r *Runner) accept(a *answer, lo, hi int) {
	if a.rejects != nil {
		for row := range hi - lo {
			if a.rejects.valid(row) {
				r.reject(lo+row, clip(a.rejects.bytes(row), maxReason), false)
			}
		}
		r.o.Count("refused", int64(hi-lo-a.rejects.nulls))
	}
	many := r.plugin.Manifest.Kind == Transform || r.plugin.Manifest.Kind == Decode
	if !many && a.rejects == nil && r.out.From == nil && r.out.Rows == lo {
		r.add(a, 0, a.rows)
		return
	}
	r.mapRows()
	if many || a.rejects == nil {
		r.add(a, 0, a.rows)
		for row := range a.rows {
			from := row
			if many {
				from = int(a.row(row))
			}
			r.out.From = append(r.out.From, int32(lo+from))
		}
		return
	}
	for from := 0; from < a.rows; {
		to := from
		for to < a.rows && !a.rejects.valid(to) {
			r.out.From = append(r.out.From, int32(lo+to))
			to++
		}
		if to > from {
			r.add(a, from, to)
		}
		from = to + 1
	}
}

// mapRows writes From for the rows until now, each of which had one row.
func (r *Runner) mapRows() {
	if r.out.From == nil {
		r.out.From = make([]int32, 0, r.in.Rows)
	}
	for row := len(r.out.From); row < r.out.Rows; row++ {
		r.out.From = append(r.out.From, int32(row))
	}
}

// add copies rows of an answer to what goes out.
func (r *Runner) add(a *answer, from, to int) {
	for i := range r.parts {
		r.parts[i].add(&a.columns[i], from, to)
	}
	r.out.Rows += to - from
}
