package journal

import "sort"

// cache holds the latest durable blocks for readers at the tail.
type cache struct {
	lists []cached // by partition
	order []int    // partition of each entry, oldest first
	from  int      // where order starts
	gone  int      // entries of order whose blocks are no longer here: for each partition its first ones
	bytes int
}

// cached is the run of a partition's blocks in the cache, in offset order.
type cached struct {
	blocks []*Block
	after  []placeAfter
	from   int
	gone   int // entries of cache.order for blocks that are no longer here
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
		if list.gone > 0 {
			list.gone--
			c.gone--
			continue
		}
		c.first(list).Release()
	}
	if n := c.from + c.gone; n > 256 && n > len(c.order)/2 {
		kept := c.order[:0]
		for _, p := range c.order[c.from:] {
			if list := &c.lists[p]; list.gone > 0 {
				list.gone--
				continue
			}
			kept = append(kept, p)
		}
		c.order, c.from, c.gone = kept, 0, 0
	}
}

// first takes the oldest block out of a list, with the cache's reference.
func (c *cache) first(list *cached) *Block {
	b := list.blocks[list.from]
	c.bytes -= list.after[list.from].bytes
	list.blocks[list.from] = nil
	list.from++
	if list.from > 64 && list.from > len(list.blocks)/2 {
		n := copy(list.blocks, list.blocks[list.from:])
		clear(list.blocks[n:])
		copy(list.after, list.after[list.from:])
		list.blocks, list.after, list.from = list.blocks[:n], list.after[:n], 0
	}
	return b
}

// pass forgets a partition's blocks up to the one that holds an offset: its only reader has that one now, and goes on. So
// their memory is filled again while it is still in the processor's cache.
func (c *cache) pass(p int, offset uint64) {
	list := &c.lists[p]
	for list.from < len(list.blocks) && list.blocks[list.from].First <= offset {
		c.first(list).Release()
		list.gone++
		c.gone++
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
