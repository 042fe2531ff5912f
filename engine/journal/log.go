package journal

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a block holds.
type Kind uint8

const (
	// Records holds records of one partition.
	Records Kind = iota + 1
	// Tick is a numbered clock tick; Block.Time is its time. To every partition.
	Tick
	// End says that the bounded inputs of the channel are exhausted. To every partition.
	End
	// Note is a control record of a higher layer; Block.Control is its body. To every partition.
	Note
	// Lost stands where a block was damaged: Block.Count records from
	// Block.First are gone (Count 0 when the header too is unreadable and the
	// next block tells where the log goes on), Block.Err says what and where.
	Lost
	// Void stands where Block.Count records from Block.First would be that were written, but
	// not acknowledged, when the machine went down: nothing is missing, since their senders have to send them again.
	Void
)

// MaxRecord is how many bytes a payload may have: Append refuses more.
const MaxRecord = 64 << 20

// MaxName is how many bytes a topic, a principal, an envelope or the name of a source may have.
const MaxName = 1<<16 - 1

// MaxNote is how many bytes the body of a control block may have.
const MaxNote = 1 << 20

// Record is one message to append.
type Record struct {
	Partition int
	Payload   []byte // copied by Append
	Topic     string // "" where the source has none
	Principal string // "" where the source has none
	Received  int64  // us since 1970, UTC
	// Envelope is what came with the record beside these, opaque here: see
	// decode.Envelope. Copied by Append; at most MaxName bytes, mostly none.
	Envelope []byte
	// Pos is the source's position just after this record, such as a byte
	// offset; it rises strictly within a source. Used when Batch.Source is set.
	Pos uint64
}

// Line is a record that has no topic, principal or envelope.
type Line struct {
	Payload   []byte // copied by Append
	Pos       uint64 // as Record's
	Partition int
}

// Batch is what one Append takes: all of it becomes durable in one group.
type Batch struct {
	Records []Record
	// Lines are further records, after Records, all of them received at
	// LinesReceived, us since 1970: a file's million records need no more said of each.
	Lines         []Line
	LinesReceived int64
	// Source names a source that can be asked again for what the journal does
	// not have, and Pos is its position after the whole batch, also when the
	// batch holds no records. See Log.Position.
	Source string
	Pos    uint64
	// Done is called once, by Flush, when the batch is durable (nil) or is known
	// not to be (the error). It must not block. May be nil.
	Done func(error)
}

// Position is where a source stands according to the journal. A source goes
// on reading at Committed and drops every record that it would send to
// partition p with a position <= Reached[p]: those are in the journal already.
type Position struct {
	Committed uint64
	Reached   []uint64 // by partition
}

// ErrBusy refuses an append while too much is waiting for Flush; try again.
var ErrBusy = errors.New("journal: too many bytes are waiting to be written")

// ErrFenced refuses the append of a writer that a newer owner has displaced.
var ErrFenced = errors.New("journal: another process owns this channel now")

// ErrFull refuses appends while the disk, or the channel's byte limit, has no
// room. Appends work again, without a restart, once there is room.
type ErrFull struct{ Reason string }

func (e *ErrFull) Error() string { return "journal: " + e.Reason }

// ErrOutOfRange refuses to read from where the log no longer, or does not yet, reach.
type ErrOutOfRange struct{ Partition, Want, Earliest, End uint64 }

func (e *ErrOutOfRange) Error() string {
	return fmt.Sprintf("journal: partition %d holds offsets %d to %d, not %d", e.Partition, e.Earliest, e.End, e.Want)
}

// Appender is the writing side of a channel. Safe for concurrent use.
//
// Nothing here starts a goroutine. Append only fills open blocks in memory;
// Flush seals, writes and syncs everything appended before it, makes it
// readable and calls the Done functions, in order of append. Whoever runs
// the engine decides when to call Flush: adaptively under goroutines, by seed
// in a simulation. One Flush runs at a time; Append may run meanwhile.
type Appender interface {
	// Append takes b or refuses it whole (ErrBusy, *ErrFull, ErrFenced, or
	// the error of a failed sync, after which the log takes nothing more until it
	// is opened again). It returns ErrBusy when Options.PendingBytes would be
	// passed; a batch larger than that is taken when nothing else waits. A payload
	// over MaxRecord or a name over MaxName is the caller's to reject: no retry helps.
	Append(b Batch) error
	// Control appends a block of kind Tick, End or Note to every partition,
	// after what was appended before. timeUS is its time, us.
	Control(kind Kind, timeUS int64, body []byte) error
	// Flush: see above. It returns nil when there was nothing to do.
	// After *ErrFull the same bytes are tried again by the next Flush.
	Flush() error
	// Pending returns how many bytes wait for Flush.
	Pending() int
	// Position tells where the named source stands, counting only what is durable.
	Position(source string) Position
}

// Log is the reading and keeping side of a channel. Safe for concurrent use.
type Log interface {
	Appender() Appender
	Partitions() int
	// Read opens a reader of one partition at offset from, which lies between
	// Earliest and End of Bounds inclusive, or *ErrOutOfRange. Reading starts
	// with the first block that ends after from; the block may begin before it.
	Read(partition int, from uint64) (Reader, error)
	// Bounds returns the earliest offset kept and the durable end (the offset
	// that the next durable record will have) of a partition.
	Bounds(partition int) (earliest, end uint64)
	Keeper
}

// Keeper is what retention needs.
type Keeper interface {
	// Hold says that the named reader still needs what lies at or after
	// offsets[p] of each partition; nil lets go. Retention spares what is held,
	// up to Options.RetainBytes, past which appends are refused (*ErrFull)
	// rather than unread records dropped.
	Hold(name string, offsets []uint64)
	// Seek returns the first offset of a partition whose block's time is at or after timeUS.
	Seek(partition int, timeUS int64) uint64
	// Retain changes Options.RetainFor, RetainBytes and SegmentBytes from here on; 0 as there.
	Retain(age time.Duration, bytes, segment int64)
	// Trim drops whole segments that nobody holds and that are older than
	// Options.RetainFor or over Options.RetainBytes at nowUS. It reports how many bytes it freed.
	Trim(nowUS int64) (freed int64, err error)
	// Close releases files. It does not flush.
	Close() error
}

// Reader reads one partition in offset order. Used by one goroutine.
type Reader interface {
	// Next returns the next durable block, or nil, nil at the durable end. The
	// caller must Release it. Blocks that were appended lately come from memory.
	Next() (*Block, error)
	Close() error
}
