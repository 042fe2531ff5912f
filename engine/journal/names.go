package journal

import (
	"strings"

	"github.com/tidemill/tidemill/engine/flow"
)

// dictionary numbers the different strings of a block in order of appearance.
type dictionary struct {
	names  []string
	hashes []uint32 // of names, once there are two
	cells  []uint32 // open addressing: the low bits are a name's number + 1, the others of its hash
	of     []uint16 // by record, once there are two names
	last   string
	lastID uint16
	bytes  int              // of all names
	piece  *strings.Builder // that the next names stand in
}

// again notes that one more record has the name of the last.
func (d *dictionary) again() {
	if len(d.names) > 1 {
		d.of = append(d.of, d.lastID)
	}
}

// add notes the name of the n-th record.
func (d *dictionary) add(name string, n int) {
	if n > 0 && name == d.last {
		d.again()
		return
	}
	if len(d.names) == 0 {
		d.enter(name)
	} else {
		if len(d.names) == 1 {
			d.second(n)
		}
		d.look(name)
	}
	if len(d.names) > 1 {
		d.of = append(d.of, d.lastID)
	}
}

// enter gives a new name the next number.
func (d *dictionary) enter(name string) {
	d.last, d.lastID = d.keep(name), uint16(len(d.names))
	d.names = append(d.names, d.last)
	d.bytes += len(name)
}

// pieceBytes is how much memory names have in common. Who keeps one of them keeps them all.
const pieceBytes = 1 << 10

// keep copies a name. Names stand in pieces of memory, since where all are new to each block they are as many as records; nothing is
// written over them, since those who have read a block may keep them.
func (d *dictionary) keep(name string) string {
	if d.piece == nil || d.piece.Cap()-d.piece.Len() < len(name) {
		if len(name) > pieceBytes/4 {
			return strings.Clone(name)
		}
		d.piece = new(strings.Builder)
		d.piece.Grow(pieceBytes)
	}
	at := d.piece.Len()
	d.piece.WriteString(name)
	return d.piece.String()[at:]
}

// numberBits are those of a cell that hold a number: there are at most 65,536.
const numberBits = 1<<17 - 1

// look finds a name, or enters it. Devices that take turns all have topics of their own, so that most
// names of a block are new ones: a table of numbers costs a third of a map of strings.
func (d *dictionary) look(name string) {
	h := nameHash(name)
	mask := uint32(len(d.cells) - 1)
	for p := h & mask; ; p = (p + 1) & mask {
		switch c := d.cells[p]; {
		case c == 0:
			d.enter(name)
			d.put(h)
			return
		case (c^h)&^numberBits == 0 && d.names[c&numberBits-1] == name:
			d.lastID = uint16(c&numberBits - 1)
			d.last = d.names[d.lastID]
			return
		}
	}
}

// put notes the hash of the latest name.
func (d *dictionary) put(h uint32) {
	d.hashes = append(d.hashes, h)
	if 2*len(d.names) > len(d.cells) {
		d.cells = make([]uint32, 4*len(d.cells))
		for i := range d.hashes {
			d.place(i)
		}
		return
	}
	d.place(len(d.names) - 1)
}

func (d *dictionary) place(number int) {
	mask := uint32(len(d.cells) - 1)
	h := d.hashes[number]
	p := h & mask
	for d.cells[p] != 0 {
		p = (p + 1) & mask
	}
	d.cells[p] = h&^numberBits | uint32(number+1)
}

// nameHash is never stored.
func nameHash(name string) uint32 {
	h := flow.HashText(name)
	return uint32(h>>32) ^ uint32(h)
}

// second is called when the first n records all had the first name, and another comes.
func (d *dictionary) second(n int) {
	if d.cells == nil {
		d.cells = make([]uint32, 64)
	}
	d.put(nameHash(d.names[0]))
	for range n {
		d.of = append(d.of, 0)
	}
}

func (d *dictionary) reset() {
	clear(d.names)
	if len(d.hashes) > 0 {
		clear(d.cells)
	}
	d.names, d.hashes, d.of, d.last, d.lastID, d.bytes = d.names[:0], d.hashes[:0], d.of[:0], "", 0, 0
}

// indexes returns the names' numbers by record, or nil when there is one name.
func (d *dictionary) indexes() []uint16 {
	if len(d.names) > 1 {
		return d.of
	}
	return nil
}
