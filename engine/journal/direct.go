package journal

import (
	"errors"
	"unsafe"

	"github.com/tidemill/tidemill/engine/env"
)

// A large group goes to the disk around the page cache: the whole pages that it fills do. Its
// first and last page are shared with the groups around it and are written as ever, and so is
// what is small, so that nothing is padded and sparse traffic pays nothing.
//
//	page       |               |               |               |
//	group  ..before][ this group ..................................][ next ...
//	written         [ cached   |     direct                    | c ]

// leastDirect is the size, bytes, from which a group is written so: below it the copy into aligned
// memory and a second request to the disk cost more than they save.
const leastDirect = 128 << 10

// directBytes is how much is gathered for one direct write, bytes.
const directBytes = 2 << 20

// direct gathers the bytes of a group in memory that lies as they will on disk: a byte's
// address and its position in the file are alike modulo the page.
type direct struct {
	file env.DirectWriter
	mem  []byte // begins at a page
	from int    // mem[from:to] is gathered
	to   int
	at   int64 // position in the file of mem[from]
}

// pages returns n bytes that begin at a page. The collector does not move them.
func pages(n int) []byte {
	b := make([]byte, n+env.DirectPage)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (env.DirectPage - 1)
	return b[skip : skip+n : skip+n]
}

// writeDirect is writeBlocks for a large group; done is false when it is not for this group or file.
func (l *disk) writeDirect(g *group) (done bool, err error) {
	file, ok := l.active.file.(env.DirectWriter)
	if !ok || l.buffered || g.size < leastDirect {
		return false, nil
	}
	d := &l.direct
	if d.mem == nil {
		d.mem = pages(directBytes + env.DirectPage)
	}
	d.file, d.at = file, l.active.size
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

// directed tells what becomes of a group whose direct write has failed.
func (l *disk) directed(err error) (done bool, _ error) {
	if errors.Is(err, errors.ErrUnsupported) {
		l.buffered = true // what was written of the group so far is written once more, the same
		return false, nil
	}
	return true, err
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
		if err := d.file.WriteDirect(d.mem[d.from:end], d.at); err != nil {
			if isFull(err) || errors.Is(err, errors.ErrUnsupported) {
				return err
			}
			return &fatal{err}
		}
		d.at += int64(end - d.from)
		d.to = copy(d.mem, d.mem[end:d.to])
		d.from = 0
	}
	return nil
}
