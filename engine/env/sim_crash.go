package env

import (
	"bytes"
	"math/rand/v2"
	"path"
	"slices"
	"sort"
)

// sector is what a disk writes whole or not at all, bytes.
const sector = 512

// Kill ends the process and leaves the machine up: files keep what was
// written, synced or not. Timers are dropped and open files are dead.
func (s *Sim) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endProcess()
}

// Crash cuts the power and starts the machine again. Of what was not synced,
// seed decides: of a file, nothing survives, or everything, or a prefix, or any
// of its 512-byte sectors, with zeros where the others were; of a folder's
// creations, renames and removals, each on its own does or does not.
func (s *Sim) Crash(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endProcess()
	rng := rand.New(rand.NewPCG(seed, 0x63726173680a))
	s.used = 0
	names := make([]string, 0, len(s.dirs))
	for name := range s.dirs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		s.crashDir(rng, s.dirs[path.Clean(name)])
	}
}

func (s *Sim) endProcess() {
	s.life++
	s.down = false
	s.timers = nil
}

// How much of what was not synced survives.
const (
	surviveNone = iota
	surviveAll
	surviveFirst // a prefix
	surviveSome
	surviveModes
)

func (s *Sim) crashDir(rng *rand.Rand, d *simDir) {
	mode := rng.IntN(surviveModes)
	first := rng.IntN(len(d.pending) + 1)
	for i, op := range d.pending {
		keep := mode == surviveAll || mode == surviveFirst && i < first || mode == surviveSome && rng.IntN(2) == 0
		if keep {
			apply(d.durable, op.sets)
		}
	}
	d.pending = nil
	d.now = make(map[string]*inode, len(d.durable))
	names := make([]string, 0, len(d.durable))
	for name, node := range d.durable {
		d.now[name] = node
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		node := d.now[name]
		node.crash(rng)
		node.gone = false
		s.used += int64(len(node.data))
	}
}

// crash makes the content what a seed lets survive.
func (n *inode) crash(rng *rand.Rand) {
	n.part()
	mode := rng.IntN(surviveModes)
	switch {
	case len(n.dirty) == 0 && n.cut >= len(n.durable) || mode == surviveNone:
	case mode == surviveAll:
		n.sync()
	case mode == surviveFirst:
		n.surviveFirst(rng)
	default:
		n.surviveSome(rng)
	}
	n.part() // it may have been synced
	n.data = slices.Clip(bytes.Clone(n.durable))
	n.durable, n.same, n.synced, n.forgot = nil, true, len(n.data), false
	n.dirty, n.cut = nil, len(n.data)
}

// surviveFirst keeps the first so many dirty bytes, in order of writing.
func (n *inode) surviveFirst(rng *rand.Rand) {
	total := 0
	for _, d := range n.dirty {
		total += max(0, min(d.hi, len(n.data))-d.lo)
	}
	left := rng.IntN(total + 1)
	for _, d := range n.dirty {
		hi := min(d.hi, len(n.data), d.lo+left)
		if hi <= d.lo {
			continue
		}
		left -= hi - d.lo
		n.durable = grow(n.durable, hi)
		copy(n.durable[d.lo:hi], n.data[d.lo:hi])
	}
}

// surviveSome keeps each dirty sector or not. The file may have got its new
// size although the data of its end did not survive: then there are zeros.
func (n *inode) surviveSome(rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		n.cutDurable()
		n.durable = grow(n.durable, len(n.data))
	}
	chance := 1 + rng.IntN(9) // of ten
	for _, d := range n.dirty {
		for lo := d.lo; lo < min(d.hi, len(n.data)); {
			hi := min(lo-lo%sector+sector, d.hi, len(n.data))
			if rng.IntN(10) < chance {
				n.durable = grow(n.durable, hi)
				copy(n.durable[lo:hi], n.data[lo:hi])
			}
			lo = hi
		}
	}
}

// syncSome is a sync that went wrong: some of what was dirty is on the medium.
// When it failed, the rest is forgotten, though processes still see it until a
// crash; when the process died in it, the rest is still to be written.
func (s *Sim) syncSome(n *inode, forget bool) {
	n.part()
	if s.rng.IntN(2) == 0 {
		n.surviveSome(s.rng)
	}
	if forget {
		n.forgot = true
		n.dirty, n.cut = n.dirty[:0], len(n.data)
	}
}
