package run

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
)

// tail is what a spool has been given lately, still as rows: a deliverer that keeps up takes it
// from here, and reads the disk only after a start, or when it has fallen far behind.
//
//	offset   ... 7 | 8 9 10 |  11 12 13  | 14 15 ...
//	          disk |  tail  | disk alone | tail
//
// What finds no room when it is appended is on disk alone. Safe for one who adds and one who takes.
type tail struct {
	mu    sync.Mutex
	queue []spooled
	head  int
	bytes int
	cold  bool // the sink fails: nothing is kept
}

// spooled is a record of a spool as it was before it was one.
type spooled struct {
	offset   uint64
	in, from int
	rows     arrow.RecordBatch // nil: a mark
	mark     spoolMark
	bytes    int
}

// tailBytes is how much memory a spool's tail may hold: the rows of about a checkpoint interval
// at 200,000 a second.
const tailBytes = 64 << 20

// add keeps a record if there is room.
func (t *tail) add(r spooled) {
	if r.rows != nil {
		r.bytes = memoryOf(r.rows)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cold || t.bytes+r.bytes > tailBytes || len(t.queue)-t.head >= tailRecords {
		return
	}
	if r.rows != nil {
		r.rows.Retain()
	}
	t.bytes += r.bytes
	if t.head > 64 && t.head > len(t.queue)/2 {
		n := copy(t.queue, t.queue[t.head:])
		clear(t.queue[n:])
		t.queue, t.head = t.queue[:n], 0
	}
	t.queue = append(t.queue, r)
}

// tailRecords is how many records a tail may hold.
const tailRecords = 1 << 16

// find returns the record at an offset, and lets go of those before it. What is found belongs to
// the tail; it stays until the next call.
func (t *tail) find(offset uint64) (spooled, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.head < len(t.queue) && t.queue[t.head].offset < offset {
		t.pop()
	}
	if t.head == len(t.queue) || t.queue[t.head].offset != offset {
		return spooled{}, false
	}
	return t.queue[t.head], true
}

func (t *tail) pop() {
	r := &t.queue[t.head]
	t.bytes -= r.bytes
	if r.rows != nil {
		r.rows.Release()
	}
	*r = spooled{}
	t.head++
}

// cool says whether the sink fails. While it does, what it has not taken is on disk alone.
func (t *tail) cool(fails bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cold = fails
	for fails && t.head < len(t.queue) {
		t.pop()
	}
}

// memoryOf is the memory that a batch keeps, bytes.
func memoryOf(rows arrow.RecordBatch) int {
	n := 0
	for _, c := range rows.Columns() {
		n += dataBytes(c.Data())
	}
	return n
}

func dataBytes(d arrow.ArrayData) int {
	n := 0
	for _, b := range d.Buffers() {
		if b != nil {
			n += b.Cap()
		}
	}
	for _, c := range d.Children() {
		n += dataBytes(c)
	}
	return n
}
