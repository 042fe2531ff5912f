package flow

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
)

// Kind says what an Item is.
type Kind uint8

const (
	// Rows carries a batch.
	Rows Kind = iota
	// Progress carries watermarks, a clock tick, or both.
	Progress
	// Barrier separates what belongs to checkpoint Epoch from what comes after.
	Barrier
	// End says that nothing more will come on this edge in this run.
	End
)

// NoMark is the watermark of a key of which nothing has been seen.
const NoMark = math.MinInt64

// EndMark is the watermark of every key after the end of a bounded input.
const EndMark = math.MaxInt64

// Item is one thing on an edge. Items of an edge arrive in the order in which
// they were sent; nothing overtakes a Barrier.
type Item struct {
	Kind  Kind
	Rows  arrow.RecordBatch // with Rows; the receiver releases it
	Marks Watermarks        // with Progress; with a Barrier Tick and Ended, as of then
	Epoch uint64            // with Barrier
}

// KeyMark says that the watermark of one key has moved.
type KeyMark struct {
	Slot uint32 // dense number of the key in its partition
	Time int64  // the key's watermark, us: no row of this key with an earlier time is expected
}

// Watermarks is event-time progress and journal time. It is borrowed: a stage
// that wants to keep any of it copies.
type Watermarks struct {
	// Keys lists keys whose watermark moved since the last Watermarks on this
	// edge, each once, in the order of the rows that first moved them. Keys
	// whose every row reached the stage may be left out: their rows said it.
	Keys []KeyMark
	// Tick is the journal time of the latest clock tick, us; 0 before the first.
	// Ticked says that this item is that tick: exactly one item per tick has it.
	Tick   int64
	Ticked bool
	// Ended says that the input is complete: every key's watermark is EndMark
	// although Keys does not list them.
	Ended bool
}

// Emitter takes what a stage sends downstream. Emit takes ownership of rows
// and must be called on the goroutine of the stage, in Process or Advance only.
// A batch without rows is released and not sent.
type Emitter interface {
	Emit(rows arrow.RecordBatch)
}
