package journal

import (
	"errors"
	"unsafe"

	"github.com/tidemill/tidemill/engine/env"
)

// A large group goes to the disk around the page cache, in whole pages. It ends with a padding, and so does each
// large block of it where the group begins at a page: then the disk takes that block from where
// it lies. What is small is gathered first; what begins within a page, because small groups came before, is
// gathered whole, and its first page, shared with them, is written as ever. So sparse traffic pays for no padding.
//
//	page    |           |           |           |           |           |
//	group   [ large block          0][ large block   0][ small ][ marks 0]
//	written |  from where it lies   |  likewise        |  gathered       |
//
//	group   ..before][ this group ..................................... 0]
//	written | cached |     gathered, direct                              |

// leastDirect is the size, bytes, from which a group is written so: below it a padding, or a second
// request to the disk, costs more than it saves.
const leastDirect = 128 << 10

// ownPages is the size, bytes, from which a block is written from where it lies; its memory begins at a page.
const ownPages = 64 << 10

// directBytes is how much is gathered for one direct write, bytes.
const directBytes = 2 << 20

// direct gathers bytes of a group in memory that lies as they will on disk: a byte's
// address and its position in the file are alike modulo the page.
type direct struct {
	file   env.DirectWriter
	mem    []byte // begins at a page
	from   int    // mem[from:to] is gathered
	to     int
	at     int64 // position in the file of mem[from]
	pieces [][]byte
}

// pages returns n bytes that begin at a page. The collector does not move them.
func pages(n int) []byte {
	b := make([]byte, n+env.DirectPage)
	skip := -address(b) & (env.DirectPage - 1)
	return b[skip : skip+n : skip+n]
}

func address(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// directFile is the segment as what takes direct writes; nil where nothing does.
func (l *disk) directFile() env.DirectWriter {
	file, ok := l.active.file.(env.DirectWriter)
	if !ok || l.buffered {
		return nil
	}
	return file
}

// padding tells which blocks of a group that is not encoded yet end with a padding.
func (l *disk) padding(g *group) func(i int) bool {
	size := int64(0)
	for _, m := range g.extents {
		size += int64(len(m.buf))
	}
	if size < l.least || l.directFile() == nil {
		return func(int) bool { return false }
	}
	last := len(g.extents) - 1
	aligned := l.active.size&(env.DirectPage-1) == 0
	large := make([]bool, len(g.extents))
	for i, m := range g.extents {
		large[i] = aligned && len(m.buf) >= l.pool.own
	}
	return func(i int) bool { return i == last || large[i] || large[i+1] }
}

// writeDirect is writeBlocks for a large group; done is false when it is not for this group or file.
func (l *disk) writeDirect(g *group) (done bool, err error) {
	d := &l.direct
	if d.file = l.directFile(); d.file == nil || g.size < l.least {
		return false, nil
	}
	if d.mem == nil {
		d.mem = pages(directBytes + env.DirectPage)
	}
	if done, err = l.writePieces(g); done || err != nil {
		return l.directed(err)
	}
	d.at = l.active.size
	d.from = int(d.at & (env.DirectPage - 1))
	d.to = d.from
	for _, m := range g.extents {
		for b := m.buf; len(b) > 0; {
			n := copy(d.mem[d.to:], b)
			b, d.to = b[n:], d.to+n
			if d.to == len(d.mem) {
				if err := l.writePages(d); err != nil {
					return l.directed(err)
				}
			}
		}
	}
	if err := l.writePages(d); err != nil {
		return l.directed(err)
	}
	return true, l.writeAt(d.mem[d.from:d.to], d.at)
}

// directed tells what becomes of a group that was written directly, or of which that has failed.
func (l *disk) directed(err error) (done bool, _ error) {
	if errors.Is(err, errors.ErrUnsupported) {
		l.buffered = true // what was written of the group so far is written once more, the same
		return false, nil
	}
	return true, err
}

// writePieces writes a group whose large blocks are whole pages at whole pages, with one request. What is between them
// is gathered. It returns false when the group is not such a one, and has written nothing then.
func (l *disk) writePieces(g *group) (done bool, err error) {
	const page = env.DirectPage - 1
	d := &l.direct
	if l.active.size&page != 0 || g.size&page != 0 {
		return false, nil
	}
	d.pieces, d.from, d.to = d.pieces[:0], 0, 0
	defer func() { clear(d.pieces) }()
	gathered := func() bool {
		if d.to > d.from {
			d.pieces = append(d.pieces, d.mem[d.from:d.to:d.to])
		}
		d.from = d.to
		return d.to&page == 0
	}
	for _, m := range g.extents {
		if len(m.buf)&page == 0 && address(m.buf)&page == 0 && d.to&page == 0 {
			gathered()
			d.pieces = append(d.pieces, m.buf)
			continue
		}
		if len(m.buf) > len(d.mem)-d.to {
			return false, nil
		}
		d.to += copy(d.mem[d.to:], m.buf)
	}
	if !gathered() {
		return false, nil
	}
	return true, l.direction(d.file.WriteDirect(d.pieces, l.active.size))
}

// direction makes of an error of a direct write what the log does about it.
func (l *disk) direction(err error) error {
	if err == nil || isFull(err) || errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return &fatal{err}
}

// writePages writes what is gathered, all but the part of a page at its end, which it moves to the front.
func (l *disk) writePages(d *direct) error {
	const page = env.DirectPage
	if d.from > 0 && d.to >= page { // the page shared with what is on disk already
		if err := l.writeAt(d.mem[d.from:page], d.at); err != nil {
			return err
		}
		d.at += int64(page - d.from)
		d.from = page
	}
	end := d.to &^ (page - 1)
	if end > d.from {
		d.pieces = append(d.pieces[:0], d.mem[d.from:end])
		if err := l.direction(d.file.WriteDirect(d.pieces, d.at)); err != nil {
			return err
		}
		d.at += int64(end - d.from)
		d.to = copy(d.mem, d.mem[end:d.to])
		d.from = 0
	}
	return nil
}
