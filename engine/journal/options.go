package journal

import (
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// Options are the settings of a channel on disk. Zero values take the defaults.
type Options struct {
	Partitions   int           // fixed when the channel is made; default: what it was made with, or 4
	BlockBytes   int           // a block is sealed at this many payload bytes; default 256 KiB
	SegmentBytes int64         // a new segment starts past this size; default 128 MiB
	PendingBytes int           // Append returns ErrBusy past this; default 16 MiB
	CacheBytes   int           // sealed blocks kept in memory for readers at the tail; default 16 MiB
	RetainFor    time.Duration // 0: for ever
	RetainBytes  int64         // 0: no limit
	// Floor is, by partition, the least offset that new records may get: what a
	// checkpoint has already covered, though a damaged tail may have lost it.
	Floor []uint64
	// Report hears of damage found while opening or reading. May be nil.
	Report func(Damage)
}

// Damage is something unreadable in a segment, found by its checksum.
type Damage struct {
	File   string
	Offset int64 // where in the file it starts, bytes
	Bytes  int64 // how much is unreadable
	// Tail says that nothing readable follows: a torn write, never acknowledged,
	// unless the medium lost what it had confirmed.
	Tail   bool
	Reason string
}

// Open opens the channel in folder dir, makes it if it is new, and recovers:
// every block of the last segment is found by its own header and checked;
// those of older segments are checked when they are read. It never truncates
// or deletes: a torn tail stays, and a new segment goes on.
// The error names the file and position of what it cannot live with.
func Open(e *env.Env, dir string, o Options) (Log, error) { return openDisk(e, dir, o) }
