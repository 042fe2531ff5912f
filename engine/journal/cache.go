package journal

import "sort"

// cache holds the latest durable blocks for readers at the tail.
type cache struct {
	lists []cached // by partition
	order []int    // partition of each entry, oldest first
	from  int      // where order starts
	bytes int
}

// cached is the run of a partition's blocks in the cache, in offset order.
type cached struct {
	blocks []*Block
	after  []placeAfter
	from   int
}

// placeAfter is where a reader goes on that leaves the cache after a block.
type placeAfter struct {
	segment *segment
	at      int64
	bytes   int
}

// add takes over the reference to a block that has become durable.
func (c *cache) add(m *memory) {
	after := placeAfter{m.segment, m.at + m.head.size(), cap(m.buf) + 12*m.block.Count}
	if m.block.Kind == Records {
		c.append(m.block.Partition, &m.block, after)
		return
	}
	after.bytes = len(m.block.Control) + 256
	for p := range c.lists {
		c.append(p, m.view(p), after)
	}
	m.block.Release()
}

func (c *cache) append(p int, b *Block, after placeAfter) {
	list := &c.lists[p]
	list.blocks = append(list.blocks, b)
	list.after = append(list.after, after)
	c.order = append(c.order, p)
	c.bytes += after.bytes
}

// drop forgets the oldest blocks until at most limit bytes are held.
func (c *cache) drop(limit int) {
	for c.bytes > limit {
		list := &c.lists[c.order[c.from]]
		c.from++
		c.bytes -= list.after[list.from].bytes
		list.blocks[list.from].Release()
		list.blocks[list.from] = nil
		list.from++
		if list.from > 64 && list.from > len(list.blocks)/2 {
			n := copy(list.blocks, list.blocks[list.from:])
			clear(list.blocks[n:])
			copy(list.after, list.after[list.from:])
			list.blocks, list.after, list.from = list.blocks[:n], list.after[:n], 0
		}
	}
	if c.from > 256 && c.from > len(c.order)/2 {
		c.order = c.order[:copy(c.order, c.order[c.from:])]
		c.from = 0
	}
}

// find returns the block of a partition that holds an offset, with a reference
// for the caller, or nil.
func (c *cache) find(p int, offset uint64) (*Block, placeAfter) {
	list := &c.lists[p]
	blocks := list.blocks[list.from:]
	i := sort.Search(len(blocks), func(i int) bool { return blocks[i].First+uint64(blocks[i].Count) > offset })
	if i == len(blocks) || blocks[i].First > offset {
		return nil, placeAfter{}
	}
	blocks[i].Retain()
	return blocks[i], list.after[list.from+i]
}
