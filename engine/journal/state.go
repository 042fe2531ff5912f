package journal

import (
	"encoding/binary"
	"maps"
	"slices"
)

// standing is how a channel stands at one place in its log.
type standing struct {
	next    []uint64             // next offset, by partition
	sources map[string]*position // by name
	seq     uint64               // of the last block
	group   uint64               // of the last block
	newest  int64                // newest block time since the last Head, us
	voids   []uint64             // with a Head: blocks before it that do not count
	gaps    []gap                // likewise: offsets before it that hold nothing and never did
}

// gap is offsets of a partition, from inclusive, that were given to blocks which a crash took
// before anybody was told that they are safe.
type gap struct {
	partition int
	from, to  uint64
}

// position is how far a source's records have come.
type position struct {
	committed uint64
	reached   []uint64 // by partition; nil: zeros
}

func newStanding(partitions int) *standing {
	return &standing{next: make([]uint64, partitions), sources: map[string]*position{}}
}

func (s *standing) clone() *standing {
	c := *s
	c.next = slices.Clone(s.next)
	c.voids, c.gaps = slices.Clone(s.voids), slices.Clone(s.gaps)
	c.sources = make(map[string]*position, len(s.sources))
	for name, p := range s.sources {
		c.sources[name] = &position{p.committed, slices.Clone(p.reached)}
	}
	return &c
}

func (s *standing) source(name string) *position {
	p := s.sources[name]
	if p == nil {
		p = &position{}
		s.sources[name] = p
	}
	return p
}

// reach notes that a source's records up to pos are in partition.
func (s *standing) reach(name string, partition int, pos uint64) {
	if name != "" {
		p := s.source(name)
		if p.reached == nil {
			p.reached = make([]uint64, len(s.next))
		}
		p.reached[partition] = max(p.reached[partition], pos)
	}
}

func (s *standing) commit(name string, pos uint64) {
	p := s.source(name)
	p.committed = max(p.committed, pos)
}

// encodeHead returns the metadata of a Head.
func (s *standing) encodeHead() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(s.next)))
	b = putU64s(b, s.next)
	b = le.AppendUint64(b, uint64(s.newest))
	b = le.AppendUint32(b, uint32(len(s.voids)))
	b = putU64s(b, s.voids)
	b = le.AppendUint32(b, uint32(len(s.sources)))
	for _, name := range slices.Sorted(maps.Keys(s.sources)) {
		p := s.sources[name]
		b = le.AppendUint64(putText(b, name), p.committed)
		if p.reached == nil || slices.Max(p.reached) <= p.committed {
			b = append(b, 0)
			continue
		}
		b = putU64s(append(b, 1), p.reached)
	}
	if len(s.gaps) == 0 {
		return b
	}
	b = le.AppendUint32(b, uint32(len(s.gaps)))
	for _, g := range s.gaps {
		b = putU64s(le.AppendUint32(b, uint32(g.partition)), []uint64{g.from, g.to})
	}
	return b
}

// decodeHead reads the metadata of a Head.
func decodeHead(meta []byte, h *header) (*standing, error) {
	c := cursor{b: meta}
	n := c.list(8)
	if n == 0 || n >= allPartitions {
		return nil, errMeta
	}
	s := &standing{seq: h.seq, group: h.group, next: c.u64s(n), newest: int64(c.u64())}
	s.voids = c.u64s(c.list(8))
	count := c.list(11)
	s.sources = make(map[string]*position, min(count, 1024))
	for range count {
		name := c.text()
		p := &position{committed: c.u64()}
		if c.u8() != 0 {
			p.reached = c.u64s(n)
		}
		s.sources[name] = p
	}
	if len(c.b) > 0 { // a Head without gaps says nothing of them
		for range c.list(20) {
			s.gaps = append(s.gaps, gap{partition: int(c.u32()), from: c.u64(), to: c.u64()})
		}
	}
	if c.bad || len(c.b) != 0 {
		return nil, errMeta
	}
	return s, nil
}

// encodeMarks returns the metadata of a Marks block.
func encodeMarks(marks map[string]uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(marks)))
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		b = binary.LittleEndian.AppendUint64(putText(b, name), marks[name])
	}
	return b
}

// decodeMarks reads the metadata of a Marks block.
func decodeMarks(meta []byte) (map[string]uint64, error) {
	c := cursor{b: meta}
	n := c.list(10)
	marks := make(map[string]uint64, min(n, 1024))
	for range n {
		name := c.text()
		marks[name] = c.u64()
	}
	if c.bad || len(c.b) != 0 {
		return nil, errMeta
	}
	return marks, nil
}
