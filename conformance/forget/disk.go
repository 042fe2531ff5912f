package forget

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// sector is what a disk writes whole or not at all, bytes.
const sector = 512

// Disk is the content of a file system. Safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	root  *node
	ids   uint64
	stats Stats
	// failSyncs counts down to the sync that fails; 0: none does.
	failSyncs int
	dead      bool // the power is off
}

// Stats counts what programs did and what cuts took.
type Stats struct {
	Writes, Syncs, DirSyncs, Cuts int
	// LostBytes and LostNames were written or changed, not synced, and are gone.
	LostBytes, LostNames int
}

// node is a file, a folder or a socket.
type node struct {
	id   uint64
	mode uint32 // type and permissions

	data    []byte
	durable []byte
	dirty   []span // written since the last sync, in order
	cut     int    // least size since the last sync

	names   map[string]*node
	kept    map[string]*node // names that a cut cannot take
	pending []change         // in order
}

type span struct{ lo, hi int }

// change sets names of a folder, all or none; nil takes a name away.
type change map[string]*node

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	d := &Disk{}
	d.root = d.newNode(syscall.S_IFDIR | 0o755)
	return d
}

func (d *Disk) newNode(mode uint32) *node {
	d.ids++
	n := &node{id: d.ids, mode: mode}
	if n.isDir() {
		n.names, n.kept = map[string]*node{}, map[string]*node{}
	}
	return n
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// Stats returns the counts so far.
func (d *Disk) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// FailSync makes the n-th sync of a file from now fail with EIO. As on Linux
// the data stays readable until the power is cut, and no later sync writes it.
func (d *Disk) FailSync(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failSyncs = n
}

// apply changes what processes see of a folder and remembers that the medium does not know.
func (n *node) apply(c change) {
	n.pending = append(n.pending, c)
	set(n.names, c)
}

func set(names map[string]*node, c change) {
	for name, child := range c {
		if child == nil {
			delete(names, name)
		} else {
			names[name] = child
		}
	}
}

func (n *node) write(p []byte, off int) {
	n.touch(min(off, len(n.data)), off+len(p))
	n.data = grow(n.data, off+len(p))
	copy(n.data[off:], p)
}

func (n *node) touch(lo, hi int) {
	if k := len(n.dirty); k > 0 && n.dirty[k-1].hi == lo {
		n.dirty[k-1].hi = hi
		return
	}
	n.dirty = append(n.dirty, span{lo, hi})
}

func (n *node) truncate(size int) {
	if size > len(n.data) {
		n.touch(len(n.data), size)
	}
	n.data = grow(n.data, size)[:size]
	n.cut = min(n.cut, size)
}

// grow extends b with zeros to size bytes.
func grow(b []byte, size int) []byte {
	if size <= len(b) {
		return b
	}
	return append(b, make([]byte, size-len(b))...)
}

// sync makes the medium know what processes see.
func (d *Disk) sync(n *node) syscall.Errno {
	if n.isDir() {
		d.stats.DirSyncs++
		n.pending = nil
		n.kept = maps.Clone(n.names)
		return 0
	}
	d.stats.Syncs++
	if d.failSyncs > 0 {
		if d.failSyncs--; d.failSyncs == 0 {
			n.dirty, n.cut = nil, len(n.data)
			return syscall.EIO
		}
	}
	n.keep()
	return 0
}

// keep copies to the medium what is dirty, and nothing else: after a failed
// sync there is more that it does not have.
func (n *node) keep() {
	n.durable = n.durable[:min(len(n.durable), n.cut)]
	n.durable = grow(n.durable, len(n.data))
	for _, s := range n.dirty {
		if hi := min(s.hi, len(n.data)); s.lo < hi {
			copy(n.durable[s.lo:hi], n.data[s.lo:hi])
		}
	}
	n.dirty, n.cut = nil, len(n.data)
}

// Cut takes the power away and gives it back. With seed 0 everything that was
// not synced is gone. Any other seed decides, of each file and folder, whether
// of that nothing survives, or all, or the first part, or any pieces: 512-byte
// sectors of files, with zeros between, and single changes of folders.
// The disk must not be mounted.
func (d *Disk) Cut(seed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Cuts++
	rng := rand.New(rand.NewPCG(seed, 0xc07))
	d.cutDir(d.root, rng, seed != 0)
	d.dead = false
}

// What survives of that which was not synced.
const (
	nothing = iota
	everything
	first
	pieces
	modes
)

func (d *Disk) cutDir(n *node, rng *rand.Rand, lucky bool) {
	mode, upTo := nothing, 0
	if lucky {
		mode, upTo = rng.IntN(modes), rng.IntN(len(n.pending)+1)
	}
	for i, c := range n.pending {
		if mode == everything || mode == first && i < upTo || mode == pieces && rng.IntN(2) == 0 {
			set(n.kept, c)
		} else {
			d.stats.LostNames++
		}
	}
	n.pending = nil
	n.names = maps.Clone(n.kept)
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		if child := n.names[name]; child.isDir() {
			d.cutDir(child, rng, lucky)
		} else {
			d.cutFile(child, rng, lucky)
		}
	}
}

func (d *Disk) cutFile(n *node, rng *rand.Rand, lucky bool) {
	mode := nothing
	if lucky {
		mode = rng.IntN(modes)
	}
	was := 0
	for _, s := range n.dirty {
		was += s.hi - s.lo
	}
	switch {
	case mode == everything:
		n.keep()
	case mode == first && was > 0:
		n.keepFirst(rng.IntN(was + 1))
	case mode == pieces:
		n.keepPieces(rng)
	}
	if mode != everything {
		d.stats.LostBytes += was
	}
	n.data = bytes.Clone(n.durable)
	n.dirty, n.cut = nil, len(n.data)
}

// keepFirst lets the first bytes that were written survive.
func (n *node) keepFirst(left int) {
	for _, s := range n.dirty {
		hi := min(s.hi, len(n.data), s.lo+left)
		if hi <= s.lo {
			continue
		}
		left -= hi - s.lo
		n.durable = grow(n.durable, hi)
		copy(n.durable[s.lo:hi], n.data[s.lo:hi])
	}
}

// keepPieces lets sectors survive; the file may have its new size all the same.
func (n *node) keepPieces(rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		n.durable = grow(n.durable[:min(len(n.durable), n.cut)], len(n.data))
	}
	for _, s := range n.dirty {
		for lo := s.lo; lo < min(s.hi, len(n.data)); {
			hi := min(lo-lo%sector+sector, s.hi, len(n.data))
			if rng.IntN(2) == 0 {
				n.durable = grow(n.durable, hi)
				copy(n.durable[lo:hi], n.data[lo:hi])
			}
			lo = hi
		}
	}
}
