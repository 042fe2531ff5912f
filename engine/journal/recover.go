package journal

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/engine/env"
)

// recovery finds out how a channel stands from what its segments hold. It
// starts from the latest Head that is whole, and goes on block by block.
type recovery struct {
	l        *disk
	segments []*segment
	at       *standing
	unsure   []bool  // by partition: where it starts is not known yet
	last     []entry // blocks of the last group seen, in order
	damage   []damaged
	blocks   int    // whole blocks seen
	base     uint64 // number of the segment whose Head is the latest whole one; 0: none
	past     bool   // look only: sync nothing (OpenPast)
	chosen   bool   // something readable in part was left out, which a later floor might let count
}

// entry is what recovery keeps of a block until its group is judged.
type entry struct {
	header
	source string
	pos    uint64
	firsts []uint64
	marks  map[string]uint64
	hole   bool // something before it is missing
	rotten bool // and some of that is of the group before
	bad    bool // only its header is readable
}

// damaged is damage found at Open; blocks tells whether anything whole follows.
type damaged struct {
	Damage
	seg    *segment
	blocks int
}

func (r *recovery) run() error {
	base, err := r.heads()
	if err != nil {
		return err
	}
	if err := r.partitions(base); err != nil {
		return err
	}
	for i := max(base, 0); i < len(r.segments); i++ {
		if err := r.scan(r.segments[i], i == base); err != nil {
			return err
		}
	}
	r.judge(r.proven())
	for p, floor := range r.l.o.Floor {
		if p < len(r.at.next) {
			r.at.next[p] = max(r.at.next[p], floor)
		}
	}
	for _, s := range r.segments[max(base, 0):] {
		s.voids, s.gaps = r.at.voids, r.at.gaps
		if s.first == nil {
			s.first = slices.Clone(r.at.next)
		}
	}
	for i := base - 1; i >= 0; i-- {
		if s := r.segments[i]; s.first == nil {
			if err := r.infer(s, r.segments[i+1]); err != nil {
				return err
			}
		}
	}
	for _, d := range r.damage {
		d.Tail = d.blocks == r.blocks
		r.l.damage(d.seg, d.Damage)
	}
	// What only the page cache held is durable before anybody builds on it: the data
	// since scan, the names from here.
	if r.past {
		return nil
	}
	return r.l.e.FS.SyncDir(r.l.dir)
}

// heads reads the Head of each segment and returns the index of the last that
// is whole, or -1.
func (r *recovery) heads() (base int, err error) {
	base = -1
	for i, s := range r.segments {
		st, err := r.head(s)
		if err != nil {
			return 0, err
		}
		if st == nil {
			continue
		}
		s.first = slices.Clone(st.next)
		for _, old := range r.segments[max(base, 0):i] {
			old.voids, old.gaps, old.newest = st.voids, st.gaps, st.newest
		}
		base, r.base, r.at, s.headed = i, s.id, st, true
	}
	return base, nil
}

// head returns what the Head of a segment says, or nil if it is not whole.
func (r *recovery) head(s *segment) (*standing, error) {
	if s.size < headerSize {
		return nil, nil
	}
	file, err := r.l.e.FS.Open(s.name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sc := newScanner(file, s, 0, s.size)
	b, err := sc.peek(0, headerSize)
	if err != nil {
		return nil, err
	}
	h, ok := decodeHeader(b, s.id, 0)
	if !ok || h.kind != kindHead {
		return nil, nil
	}
	if h.count > format {
		return nil, fmt.Errorf("journal: %s was written in format %d by a later version of tidemill, and this one reads formats up to %d: use that version; nothing was changed",
			s.name, h.count, format)
	}
	m, damaged, err := sc.load(&found{header: h, short: h.size() > s.size}, r.l.pool, 0)
	if damaged != nil || err != nil {
		return nil, err
	}
	defer m.block.Release()
	st, err := decodeHead(m.meta(), &h)
	if err != nil {
		return nil, fmt.Errorf("journal: %s at byte 0: %w", s.name, err)
	}
	return st, nil
}

// partitions settles how many there are and where reading starts.
func (r *recovery) partitions(base int) error {
	o := &r.l.o
	if base >= 0 {
		n := len(r.at.next)
		if o.Partitions != 0 && o.Partitions != n {
			return fmt.Errorf("journal: the channel in %s was made with %d partitions; it cannot be opened with %d", r.l.dir, n, o.Partitions)
		}
		o.Partitions = n
		r.at.voids, r.at.gaps = nil, nil
		r.unsure = make([]bool, n)
		return nil
	}
	if o.Partitions == 0 {
		o.Partitions = defaultPartitions
	}
	if o.Partitions < 0 || o.Partitions > maxPartitions {
		return fmt.Errorf("journal: a channel has 1 to %d partitions, not %d", maxPartitions, o.Partitions)
	}
	r.at = newStanding(o.Partitions)
	r.unsure = make([]bool, o.Partitions)
	if len(r.segments) > 0 && r.segments[0].id > 1 {
		for p := range r.unsure {
			r.unsure[p] = true // older segments were trimmed
		}
		r.segments[0].first = make([]uint64, o.Partitions)
	}
	return nil
}

// scan reads a segment through, and makes surely durable what it holds. Only the last group may not be: nothing is written
// behind one that was not synced.
func (r *recovery) scan(s *segment, headed bool) error {
	if s.size == 0 {
		return nil
	}
	flag := env.ReadWrite
	if r.past {
		flag = env.ReadOnly
	}
	file, err := r.l.e.FS.Open(s.name, flag)
	if err != nil {
		return err
	}
	defer file.Close()
	s.newest = 0
	sc := newScanner(file, s, 0, s.size)
	last, group := int64(0), uint64(0) // where the last group begins, with what cannot be read before it
	sc.seq = r.at.seq
	if headed {
		sc.seq--
	}
	for {
		before := sc.seq
		f, ok, err := sc.next()
		if err != nil {
			return err
		}
		if f.lostTo > f.lost {
			r.hurt(s, f.lost, f.lostTo, "no block begins here")
		}
		if !ok {
			break
		}
		if f.group != group {
			last, group = f.at, f.group
			if f.lostTo > f.lost {
				last = f.lost
			}
		}
		e := entry{header: f.header, hole: f.seq != before+1, rotten: before+1 < f.seq-uint64(f.nth)}
		if err := r.block(sc, &f, &e); err != nil {
			return err
		}
		r.enter(s, e)
	}
	if r.past {
		return nil
	}
	return env.Settle(file, last)
}

// block reads what recovery needs of a block's body.
func (r *recovery) block(sc *scanner, f *found, e *entry) error {
	if f.kind == Records && int(f.partition) >= len(r.at.next) {
		return fmt.Errorf("journal: %s at byte %d holds partition %d, and the channel has %d", sc.seg.name, f.at, f.partition, len(r.at.next))
	}
	m, damaged, err := sc.load(f, r.l.pool, len(r.at.next))
	if err != nil {
		return err
	}
	if damaged == nil && f.kind == kindMarks {
		e.marks, damaged = decodeMarks(m.meta())
	}
	if damaged != nil {
		e.bad = true
		r.hurt(sc.seg, f.at, sc.at, damaged.Error())
		return nil
	}
	e.source, e.pos, e.firsts = m.source, m.pos, slices.Clone(m.firsts)
	m.block.Release()
	r.blocks++
	return nil
}

func (r *recovery) hurt(s *segment, from, to int64, reason string) {
	if len(r.damage) < 4096 {
		r.damage = append(r.damage, damaged{Damage{File: s.name, Offset: from, Bytes: to - from, Reason: reason}, s, r.blocks})
	}
}

// enter adds a block to its group. A block of a later group of the same owner
// proves that the group before was synced: no group is written before that.
func (r *recovery) enter(s *segment, e entry) {
	if len(r.last) > 0 && e.group != r.last[0].group {
		r.judge(e.owner == r.last[0].owner || r.proven())
	}
	for _, before := range r.segments {
		if before.first == nil && before.id <= s.id && before.id > r.base {
			before.first = slices.Clone(r.at.next)
		}
	}
	r.last = append(r.last, e)
	s.newest = max(s.newest, e.time)
	r.at.newest = s.newest
	r.at.seq, r.at.group = max(r.at.seq, e.seq), max(r.at.group, e.group)
}

// proven says whether readers have seen the last group, which they can only
// have when it was synced.
func (r *recovery) proven() bool {
	for p, floor := range r.l.o.Floor {
		// What they have seen and is missing was in this group, unless the one before has rotted.
		if len(r.last) > 0 && p < len(r.at.next) && !r.unsure[p] && floor > r.at.next[p] && !r.rotten() {
			return true
		}
	}
	for i := range r.last {
		e := &r.last[i]
		for p, floor := range r.l.o.Floor {
			if e.kind == Records && int(e.partition) == p && e.first < floor || p < len(e.firsts) && e.firsts[p] < floor {
				return true
			}
		}
	}
	return false
}

// rotten tells whether something of the group before the last one is missing.
func (r *recovery) rotten() bool {
	return slices.ContainsFunc(r.last, func(e entry) bool { return e.rotten })
}

// judge decides what of the last group counts, and forgets it. Nothing is
// missing from a group that was synced but what has rotted since; of one
// that was not, any part may be missing, and was acknowledged to nobody. There, what a source can send again
// counts only up to the first hole in its partition, so that a position can tell it.
func (r *recovery) judge(synced bool) {
	voided := !synced && !r.rotten() // what is missing here is void, and else lost
	last := r.last
	r.last = nil
	doubt := false
	for i, e := range last {
		doubt = doubt || !synced && (e.hole || e.bad && i < len(last)-1)
		r.chosen = r.chosen || !synced && e.bad
	}
	holed := make([]bool, len(r.at.next))
	take := func(p int, first, end uint64) {
		if next := r.at.next[p]; voided && first > next {
			r.at.gaps = append(r.at.gaps, gap{p, next, first})
		}
		r.at.next[p] = max(r.at.next[p], end)
	}
	for i, e := range last {
		switch e.kind {
		case Records:
			p := int(e.partition)
			r.sight(p, e.first)
			holed[p] = holed[p] || e.first > r.at.next[p] || e.bad
			end := e.first + uint64(e.count)
			switch {
			case e.bad && !synced && i == len(last)-1, end <= r.at.next[p]:
			case doubt && holed[p] && e.source != "", e.bad && voided:
				r.at.voids = append(r.at.voids, e.seq)
			default:
				take(p, e.first, end)
				r.at.reach(e.source, p, e.pos)
			}
		case Tick, End, Note:
			for p, first := range e.firsts {
				r.sight(p, first)
				holed[p] = holed[p] || first > r.at.next[p]
				take(p, first, first+1)
			}
		case kindMarks:
			if !doubt {
				for name, pos := range e.marks {
					r.at.commit(name, pos)
				}
			}
		}
	}
}

// sight learns where a partition starts when the Heads that knew are gone.
func (r *recovery) sight(p int, first uint64) {
	if !r.unsure[p] {
		return
	}
	r.unsure[p] = false
	r.at.next[p] = first
	r.segments[0].first[p] = first
}

// infer finds out where an old segment starts whose Head is damaged: at what
// it holds of each partition, or where the next starts.
func (r *recovery) infer(s, next *segment) error {
	if s.id == 1 {
		s.first = make([]uint64, len(next.first))
		return nil
	}
	s.first = slices.Clone(next.first)
	file, err := r.l.e.FS.Open(s.name, env.ReadOnly)
	if err != nil {
		return err
	}
	defer file.Close()
	sc := newScanner(file, s, 0, s.size)
	for {
		f, ok, err := sc.next()
		if err != nil || !ok {
			return err
		}
		switch f.kind {
		case Records:
			if p := int(f.partition); p < len(s.first) {
				s.first[p] = min(s.first[p], f.first)
			}
		case Tick, End, Note:
			m, damaged, err := sc.load(&f, r.l.pool, len(s.first))
			if err != nil {
				return err
			}
			if damaged != nil {
				continue
			}
			for p, first := range m.firsts {
				s.first[p] = min(s.first[p], first)
			}
			m.block.Release()
		}
	}
}
