package run

import "sync/atomic"

// writer makes checkpoints durable, beside everything else that moves. What it writes is nobody else's any more: snapshots are
// copies, and a coordinator that has given it a checkpoint looks at nothing but how far it is:
//
//	coordinator ── give ──▶ beingWritten ──▶ durable ──▶ cleanedUp ──▶ coordinator
//	                            │                │ settle: sinks commit, the journal may forget
//	                            └─▶ notWritten ──┴─ once more, later
type writer struct {
	engine *Engine
	job    atomic.Pointer[writing] // nil: nothing is to be written. Only the coordinator sets it
	buf    []byte                  // what the last checkpoint was put together in; Step's
}

// bufferKept is how large a buffer waits for the next checkpoint, bytes: memory that is new each time is zeros first,
// and a page that the system has to find.
const bufferKept = 4 << 20

// writing is a checkpoint at the writer.
type writing struct {
	draft
	before  *checkpoint
	state   atomic.Int32 // a written
	err     error        // why it was not written, or old files could not be removed
	settled bool         // the coordinator's
}

// written tells how far the writer is with a checkpoint.
type written int32

const (
	beingWritten written = iota
	durable              // and old files are still to be removed
	notWritten
	cleanedUp
)

func (j *writing) how() written { return written(j.state.Load()) }

func (w *writer) Name() string { return "writer" }

// give has a checkpoint written, of which the one before it is the latest that is durable.
func (w *writer) give(next, before *checkpoint, place uint64) {
	j := &writing{draft: w.engine.store.draft(next, place, w.engine.pieceBytes()), before: before}
	j.begin()
	if !w.job.CompareAndSwap(nil, j) {
		panic("BUG: two checkpoints are written at once")
	}
	w.engine.writeBell.ring()
}

// Step writes a piece of a checkpoint. Nothing is removed before the checkpoint is durable.
func (w *writer) Step() (bool, error) {
	j := w.job.Load()
	if j == nil {
		return false, nil
	}
	switch how := j.how(); {
	case how == durable:
		j.err = w.engine.store.forget(j.checkpoint, j.before)
		w.say(j, cleanedUp)
	case how != beingWritten:
		return false, nil
	default:
		w.write(j)
	}
	return true, nil
}

// write takes a checkpoint a step further.
func (w *writer) write(j *writing) {
	if j.buf == nil {
		j.buf, w.buf = w.buf, nil
	}
	j.err = j.next()
	if j.err == nil && j.next != nil {
		return
	}
	if cap(j.buf) <= bufferKept {
		w.buf = j.buf[:0]
	}
	j.buf = nil
	if j.err != nil {
		j.abandon()
		w.say(j, notWritten)
	} else {
		w.say(j, durable)
	}
}

func (w *writer) say(j *writing, how written) {
	j.state.Store(int32(how))
	w.engine.coordBell.ring()
}

// close lets go of what is half written.
func (w *writer) close() {
	if j := w.job.Load(); j != nil {
		_ = j.close() // nobody will look at it
	}
}
