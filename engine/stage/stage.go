package stage

import (
	"context"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/state"
)

// Spec describes a kind of stage to the engine, to documentation and to messages.
type Spec struct {
	Kind string // block type: "rule", "window", "alarm", "sink", "ingest"
	Type string // second label, such as "tumbling"; "" for kinds that have none
	Help string // one sentence
	// Args returns a new argument struct with its defaults filled in. Its fields
	// carry hcl tags, and a `help:"..."` tag each.
	Args func() Args
	// Counts are the names under which the stage counts (Opening.Count), so that a name that is
	// asked for and is none of them can be told from one of which there was nothing to count.
	Counts []string
}

// Args are a block's decoded arguments.
type Args interface {
	// Bind checks the arguments against the schemas of the inputs, in the order
	// of `from` (none for an ingest), and says what the stage will be. It has no
	// effects, can be called any number of times, never panics, and reports all
	// mistakes with positions inside the block. When there are errors, the
	// Bound should still carry the best guess at Out, or a nil Out.
	Bind(in []*arrow.Schema, at At) (Bound, hcl.Diagnostics)
}

// At is where a block stands and what it may refer to.
type At struct {
	Address string    // such as "pipeline.cold_chain.rule.plausible"
	Range   hcl.Range // of the block's header
	Dir     string    // folder of the configuration; relative paths start here
	Inputs  []string  // what each input is called, such as "rule.plausible"
	Eval    *hcl.EvalContext
	// Channel is the channel that the pipeline reads, or that the ingest feeds.
	Channel *config.Channel
	// Keys[i] is the column that holds the channel's key at input i; "" where
	// the channel has none or a stage before dropped it.
	Keys []string
	// By[i] lists the columns by which a stage before input i has grouped rows (Bound.By).
	By [][]string
	// Revised[i] says how rows of input i that revise earlier ones are told from others; nil: there are none such.
	Revised []*Revised
	// Together says that the rows of all inputs come from one partition of one channel and keep its
	// _offset, so that they have one order although Process gets those of each input apart. Advance
	// comes after every block then, whether or not a watermark has moved.
	Together bool
	// Ingests are the configuration's, those that are switched off left out.
	Ingests []*config.Block
	// Plugins are the modules that the configuration names.
	Plugins []*config.Plugin
	// Scope gives names their meaning at input i; see expr.Compile.
	Scope func(i int) *expr.Scope
	// Regroup, where it is not nil, asks for the rows of the input by other columns than the
	// channel's key, none for all rows in one partition: the block is bound again behind a channel that has
	// them so. See CheckBy.
	Regroup func(by []string)
	// Parts says that the rows that come are those that Bound.First of the same block makes. All else that
	// is said of the input is of what First reads; Channel and Keys are those of where the rows stand now.
	Parts bool
}

// Delivery is how a sink keeps the promise that nothing is lost or doubled.
type Delivery uint8

const (
	// NotSink is the Delivery of everything that is not a sink.
	NotSink Delivery = iota
	// Transactional sinks commit with the checkpoint: what was written after the
	// last one is taken back on recovery. They are fed without a spool.
	Transactional
	// Idempotent sinks may see a row twice and end up right; they read a spool.
	Idempotent
	// AtLeastOnce sinks may show a row twice after a crash; they read a spool.
	AtLeastOnce
)

func (d Delivery) String() string {
	return [...]string{"", "transactional", "idempotent", "at least once"}[d]
}

// Revisions is what a stage does with rows that revise earlier ones.
type Revisions uint8

const (
	// TakesAll: revised rows are rows.
	TakesAll Revisions = iota
	// TakesFirst: only rows of revision 0 are let in; the engine filters.
	TakesFirst
	// Refuses: plan fails when an input can revise.
	Refuses
	// TakesLatest: a revised row takes the place of the one that it revises, as At.Revised says.
	TakesLatest
)

// Revised says of rows, some of which revise earlier ones, which belong together. Revisions of one row
// come in the order in which they were made, and the latest counts.
type Revised struct {
	// By names the columns in which all revisions of a row are equal and any two rows differ. nil: nothing
	// tells revisions from rows, and Why says why not, as a sentence without its end.
	By  []string
	Why string
	// Fixed lists the columns that no revision changes: By and what follows from it. _time is another.
	Fixed []string
	// Every is how far apart, us, rows are at least that differ in their times alone; 0: nobody knows.
	Every int64
	// Keep is how far the key's watermark is behind _time at most, us, when a revision is made.
	Keep int64
}

// RevisedAt is Revised[i]; nil where At says nothing of it.
func (at *At) RevisedAt(i int) *Revised {
	if i >= len(at.Revised) {
		return nil
	}
	return at.Revised[i]
}

// Bound is a block that fits where it stands. Exactly one Open is set, and it
// is called at most once: the engine binds anew for every partition, so that
// what Bind compiled may belong to the goroutine of the stage.
type Bound struct {
	// Out is the schema of the rows that the stage emits, metadata columns first
	// (flow.NewSchema); nil for a sink.
	Out *arrow.Schema
	// Key names the column of Out that holds the channel's key; "" when it is gone.
	Key string
	// By names the columns that say, beside Key, what a row is about: a window's or an alarm's
	// `by`. Stages behind that say nothing of their own pass it on.
	By []string
	// Filters says that rows of the input may have no row in the output, so that
	// stages behind need to be told of watermarks that such rows moved.
	Filters bool
	// Lag is by how much, us, rows may be held back: stages behind are told of watermarks that
	// are so much earlier, so that rows that come later are not late for them.
	Lag int64
	// Reads lists the columns of the inputs that the stage looks at itself; nil
	// means all. PassesAll says that other columns of the input travel on in Out.
	// Together they tell the decoder what need not be decoded.
	Reads     []string
	PassesAll bool
	// Meet lists, of a stage with several inputs, the columns of each by whose first one its rows must be
	// spread over the partitions, as many for every input: rows of all inputs with the same
	// value meet in one stage. Where the inputs stand otherwise, the engine puts a channel
	// before the stage in which they do, and binds it again: At.Keys holds the first of the columns then.
	//
	// A row of input i has in _mark the watermark that its key has in that input; stages behind this one are
	// told the lowest of all inputs, none before each had a row of the key. Process and Advance get i as in. In one partition, rows of all inputs come in one order, tick interval
	// by tick interval, which is the same whenever the same records come again.
	Meet  [][]string
	State []state.Decl
	// Reach is how far back State looks, us of event time before the watermark of a key: nothing in it follows
	// from earlier rows, but for those whose clock was further ahead than the channel allows. 0: from all there were.
	// State that means something else after a change is made again from the journal, from there on.
	Reach    int64
	Delivery Delivery
	// Identity names what a transactional sink's tokens belong to, such as a
	// file's path and format: a sink whose other arguments change goes on from its
	// token. "": any change of an argument makes it another sink.
	Identity string
	// Moves says, of a sink behind a spool, that the spool is its own whatever its Identity becomes: what it
	// has not let go of goes to where it leads then.
	Moves     bool
	Revisions Revisions
	Revises   bool // Out can hold revised rows (it has a revision column)
	// Revised says of Out's rows what makes them revisions of one; nil: the stage does not know.
	Revised *Revised
	// Plugin is the plugin block that the stage runs; "" when it runs none. Try tells whether it could
	// run this module in its place, for devices of that selector, and gets it ready, which may take
	// seconds; safe for concurrent use. nil: the stage is no Decider. Fits and Selects tell beforehand, without any
	// effect, what is wrong with the module and with the selector.
	Plugin  string
	Try     func(o Opening, module []byte, where string) error
	Fits    func(module []byte) error
	Selects func(where hclsyntax.Expression) hcl.Diagnostics
	// Asks is the server that the stage asks for a table; nil if it asks none.
	Asks *Asks
	// File is the file on this machine that the stage reads a table from; "" if it reads none.
	File string
	// Table is, of a sink, the table of the lake that it writes; nil if it writes none.
	Table *Table
	// Topics are, of an ingest, how the topics of its records look; their names
	// are columns of the channel (decode.Field.Topic).
	Topics []decode.TopicTemplate
	// Properties are, of an ingest, the properties of envelopes that are columns of the
	// channel (decode.Field.Property).
	Properties []string
	// Push says that a source cannot make its senders wait: the journal takes what comes
	// however far the tasks are behind.
	Push bool
	// Repeats says that an ingest may hand a record over twice, with nothing to know it by.
	Repeats bool

	// First is, of a stage that has asked for At.Regroup, the first of two phases: a stage that reads the same
	// input where its rows stand, and makes fewer rows of them. They are what is regrouped then, and the
	// block is bound again with At.Parts. Whole says instead why the rows must be regrouped as they are; "": it is not known.
	First *Bound
	Whole string

	OpenSource func(Opening, SourceEnv) (Source, error)
	OpenStage  func(Opening) (Stage, error)
	OpenSink   func(Opening) (Sink, error)
}

// Table is where a table of the lake is.
type Table struct {
	Name  string
	Place objects.Config // a place that begins with data:// is below the engine's data folder
}

// Sized is a stage that tells how many bytes it holds beside its tables, about.
type Sized interface{ MemoryBytes() int64 }

// Opening is what every Open gets.
type Opening struct {
	Env       *env.Env
	DataDir   string // the engine's data folder; a sink's path "data://x" is x in there
	Alloc     memory.Allocator
	Address   string
	Partition int            // -1 for a sink or a source
	Tables    []*state.Table // as declared in Bound.State, in that order, restored
	// Reject takes a row that could not be processed; never nil. Called on the stage's goroutine.
	Reject func(Reject)
	// Hub leads to the MQTT servers of the engine's ingests, by their addresses; nil in tests.
	Hub *mqtt.Hub
	// Read says whether anybody reads a column of Bound.Out just now: a stage, a sink, or somebody who looks on.
	// What nobody reads a stage may leave null. State and other columns must not depend on it. nil: all are read.
	Read func(column string) bool
	// Count adds to a counter of this stage, such as "late_dropped"; never nil.
	Count func(name string, n int64)
	// Report tells whoever watches of something that is no error, as one line; nil in tests.
	Report func(line string)
	// Origin tells a sink what has made its rows that come from records received from one time to another, us
	// since 1970. Safe for concurrent use; nil in tests.
	Origin func(from, to int64) Origin
	// Modules finds a plugin's module by its digest, and Trials are the meters of modules on trial; both
	// nil in tests.
	Modules func(digest string) ([]byte, error)
	Trials  *rollout.Meters
	// Own are plugins of which the module of their block runs, on all devices, whatever the book says.
	Own []string
	// Ask, where it is not nil, answers in place of the server of Bound.Asks (answer.go).
	Ask func(address string, at int64) Answer
}

// Origin is what has made rows.
type Origin struct {
	Plan string // digest of the plan that runs
	// Plugins are the digests of the modules that were assigned, sorted: those that ran, and, of a change within
	// seconds of the records, both that before it and that after it.
	Plugins []string
}

// Reject is a row, or a value of one, that a stage could not process.
type Reject struct {
	Rows   arrow.RecordBatch // the batch it is in, borrowed; nil when Payload says it all
	Row    int
	Field  string // "" for the whole row
	Reason string // for a person
	Text   []byte // the row as JSON, where Rows holds something in its place; nil: it is in Rows
}

// Stage processes rows of one partition. All calls come from one goroutine, in
// stream order. No clock, no randomness, no goroutine, no lock. What a stage
// emits must not depend on where batches were cut.
//
// An error from Process or Advance means a bug or a limit that was passed
// and stops the pipeline with that error; a bad row is a Reject, not an error.
type Stage interface {
	// Process takes rows of input in. rows is borrowed: Retain what is kept.
	Process(in int, rows arrow.RecordBatch, out flow.Emitter) error
	// Advance tells of progress that no row of this input carried: watermarks of
	// filtered rows, clock ticks, the end. Called after Process of the batch
	// concerned. Downstream stages get the same Watermarks after it returns.
	Advance(in int, marks flow.Watermarks, out flow.Emitter) error
	// Close releases memory. Not called twice.
	Close() error
}

// Paced is a Stage that may have more to say at once than memory should hold: all windows of a million keys that
// close with one tick. It says that in pieces, and those behind it take each before the next. Optional.
type Paced interface {
	// More emits the next piece of what the last Advance began, some thousand rows, and tells whether there may be
	// another. It is called after every Advance until there is none, and nothing else but Close meanwhile. What
	// comes out, and its order, does not depend on when.
	More(out flow.Emitter) (more bool, err error)
}

// AdvanceWhole is Advance with all its pieces, for those who have room for them.
func AdvanceWhole(s Stage, in int, marks flow.Watermarks, out flow.Emitter) error {
	err := s.Advance(in, marks, out)
	if p, ok := s.(Paced); ok {
		for more := true; more && err == nil; {
			more, err = p.More(out)
		}
	}
	return err
}

// Decider is a Stage that runs what the journal's control records say. Optional.
type Decider interface {
	// Decide says what is assigned from the next row on, and what is known of devices, nil: nothing. It is
	// called after every such record, and before the first row when the partition has met one before. Both
	// are the caller's; devices changes between calls only.
	Decide(b *rollout.Book, devices *device.Table) error
}

// Labelled is a Stage that takes a person's judgement of what it has said. Optional.
type Labelled interface {
	// Label says whether a key, a text for each column of its `by`, lately had a fault or was as
	// usual. Called where that stands in the journal. known tells whether the stage has such a key.
	Label(key []string, fault bool) (known bool)
	// Near is the key that it has and that is most like this one, its columns with commas; "" where none is.
	Near(key []string) string
}

// Status is how a source's Step went.
type Status uint8

const (
	// Busy: there is more; call again at once.
	Busy Status = iota
	// Idle: nothing to do now; call again soon.
	Idle
	// Ended: the input is exhausted for good in this run.
	Ended
)

// SourceEnv is where a source delivers.
type SourceEnv struct {
	Channel   *config.Channel
	Journal   journal.Appender
	Partition func(payload []byte) int // by the channel's key; not safe for concurrent use
	// NewPartition makes another such function, for a source with goroutines of its own.
	NewPartition func() func(payload []byte) int
	// Past is what the channel holds, for a source that has to know what it sent
	// before. nil where there is none, as in tests.
	Past Past
	// Once asks the source to end where it would otherwise wait for more.
	Once bool
}

// Past is the part of journal.Log that looks back.
type Past interface {
	Partitions() int
	Read(partition int, from uint64) (journal.Reader, error)
	Bounds(partition int) (earliest, end uint64)
	Seek(partition int, timeUS int64) uint64
}

// Source brings records into a channel. It acknowledges upstream only in
// journal.Batch.Done.
type Source interface {
	// Step does a bounded piece of work and does not wait. Called by one
	// goroutine. A source that meets networks has goroutines of its own, started by Open, and
	// returns Idle. An error stops the source, not the engine: it is shown and
	// Step is tried again later with growing pauses.
	Step() (Status, error)
	Close() error
}

// ErrBroken is wrapped by a sink's error when trying again cannot help: what it
// wrote may be gone, and only Recover, from the last checkpoint, puts it right.
// The engine stops, and the next start recovers.
var ErrBroken = errors.New("the engine has to start again")

// Sink takes rows out of the engine. All calls come from one goroutine; unlike
// a stage it may wait on the world, within ctx.
type Sink interface {
	// Write takes rows, borrowed. in is the index of the input in `from`.
	// An error is retried with growing pauses, with the same rows.
	Write(ctx context.Context, in int, rows arrow.RecordBatch) error
	// Prepare makes everything written so far durable, though perhaps not yet
	// visible, and returns what Recover needs to come back to this point.
	Prepare(ctx context.Context, epoch uint64) (token []byte, err error)
	// Commit makes visible what the token stands for. Again after a crash: idempotent.
	Commit(ctx context.Context, token []byte) error
	// Recover comes before the first Write of a run: it takes back whatever was
	// written after the token. A nil token means that nothing was ever committed.
	Recover(ctx context.Context, token []byte) error
	Close() error
}

// Placed is a Sink that wants to know where the rows of the next Write stand:
// place is the same whenever these rows come again, after an error or a crash,
// and another for all other rows of the sink. Optional; for sinks that read a spool.
type Placed interface{ Place(place uint64) }

// Keeper is a Sink that keeps rows over many writes, until they make a file. It reads a spool,
// which gives it again after a crash what it had not let go of. Optional.
type Keeper interface {
	// From tells which partition of the channel the rows of the next Write come from.
	From(partition int)
	// Tick tells between writes how late it is by the journal's clock, us. ended: there are no more
	// rows for now, so that nothing should be kept. Ticks stand in the spool like rows do: they come again
	// at the same places. An error is retried.
	Tick(ctx context.Context, tick int64, ended bool) error
	// Kept returns the place of the first write that the sink needs again after a crash;
	// next, that of the next write, when it needs none.
	Kept(next uint64) uint64
}

// Gatherer is a Sink that sends what it has taken when there is enough of it, or when it has
// waited long enough. Optional; for sinks that read a spool.
type Gatherer interface {
	// Due is until when Prepare may be put off, so that more rows come together; in the past when
	// nothing waits. Prepare comes earlier when a run ends.
	Due() time.Time
}

// Later is an error of a sink behind a spool that knows when another try makes sense; the engine
// does not come back before.
type Later struct {
	Until time.Time
	Err   error
}

func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns what went wrong.
func (l *Later) Unwrap() error { return l.Err }
