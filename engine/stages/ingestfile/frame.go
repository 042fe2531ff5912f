package ingestfile

import (
	"bytes"
	"fmt"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/journal"
)

// maxRecord is the most bytes that a record may have: the journal's limit.
const maxRecord = 64 << 20

// piece is a stretch of a file, decompressed.
type piece struct {
	buf  []byte
	base int64 // where in the file buf starts
	eof  bool  // nothing follows
	// overlong says that buf holds no complete record and will not get longer:
	// the framer takes all of it, and passes over the rest of that record.
	overlong bool
}

// framer finds records in a file. It is one file's, and keeps what it knows of
// a record that is not complete.
type framer interface {
	// frame adds the complete records of p to out and returns how many bytes of
	// p need not be shown again. With eof it takes all.
	frame(p piece, out *batch) (used int)
}

// batch gathers records for one append.
type batch struct {
	lines     []journal.Line
	records   []journal.Record // instead of lines, where records have topics
	encoded   bool             // they have
	partition func([]byte) int
	topics    *topicKeys
	received  int64
	limit     int // of len(lines)
	// pos is the boundary after the last record that was added or passed over.
	pos int64
	// reached is journal.Position's: records up to there are in the journal
	// already. Past farthest no record can be.
	reached  []uint64
	farthest int64
	text     []byte // arena of payloads that were made rather than found
	empty    int64  // lines without anything
	rejected int64  // pieces of text in place of a record
}

// maxBatch limits the records of one append: short ones would make slices of hundreds of thousands.
const maxBatch = 32 << 10

func (b *batch) full() bool { return b.count() >= b.limit }

func (b *batch) count() int { return len(b.lines) + len(b.records) }

// add takes a record that ends at pos.
func (b *batch) add(payload []byte, pos int64) {
	if b.encoded {
		b.addRecord("", payload, pos)
		return
	}
	if pos <= b.pos {
		return // an array is read from its start again
	}
	b.pos = pos
	p := b.partition(payload)
	if pos <= b.farthest && uint64(pos) <= b.reached[p] {
		return
	}
	b.lines = append(b.lines, journal.Line{Partition: p, Payload: payload, Pos: uint64(pos)})
}

// pass takes note that everything before pos is dealt with.
func (b *batch) pass(pos int64) { b.pos = max(b.pos, pos) }

// refuse adds a line of text in place of what is no record; the decoder takes it for the reason.
func (b *batch) refuse(pos int64, format string, args ...any) {
	if pos > b.pos {
		b.rejected++
	}
	b.add(b.keep(fmt.Appendf([]byte(decode.NoRecord), format, args...)), pos)
}

// keep copies made text to the arena, where it stays until reset.
func (b *batch) keep(text []byte) []byte {
	if cap(b.text)-len(b.text) < len(text) {
		b.text = make([]byte, 0, max(1<<16, 2*cap(b.text), len(text))) // payloads hold on to the old one
	}
	start := len(b.text)
	b.text = append(b.text, text...)
	return b.text[start:len(b.text):len(b.text)]
}

func (b *batch) reset(received int64) {
	b.lines, b.records, b.text, b.received = b.lines[:0], b.records[:0], b.text[:0], received
}

// lines is NDJSON: a record a line.
type lines struct {
	scanned  int   // bytes at the start of the next piece that hold no line end
	skipping bool  // inside an overlong line
	from     int64 // where that line starts
	// take makes a record of a line; nil: the line is one.
	take func(line []byte, pos int64, out *batch)
}

func (l *lines) frame(p piece, out *batch) int {
	at := 0
	for !out.full() {
		end := bytes.IndexByte(p.buf[at+l.scanned:], '\n')
		if end < 0 {
			break
		}
		end += at + l.scanned
		l.scanned = 0
		l.line(p.buf[at:end], p.base+int64(end)+1, out)
		at = end + 1
	}
	if out.full() {
		return at
	}
	rest := p.buf[at:]
	switch {
	case p.eof:
		if len(rest) > 0 || l.skipping {
			l.line(rest, p.base+int64(len(p.buf)), out)
		}
		l.scanned = 0
		return len(p.buf)
	case p.overlong, l.skipping:
		if !l.skipping {
			l.skipping, l.from = true, p.base+int64(at)
		}
		l.scanned = 0
		return len(p.buf)
	}
	l.scanned = len(rest)
	return at
}

func (l *lines) line(line []byte, pos int64, out *batch) {
	if l.skipping || len(line) > maxRecord {
		if !l.skipping {
			l.from = pos - int64(len(line)) - 1
		}
		l.skipping = false
		out.refuse(pos, "line of %d bytes from byte %d: a record has at most %d", pos-l.from, l.from, maxRecord)
		return
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		out.empty++
		out.pass(pos)
		return
	}
	if l.take != nil {
		l.take(line, pos, out)
		return
	}
	out.add(line, pos)
}
