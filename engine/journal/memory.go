package journal

import "sync"

// memory is what a block is made of while it is filled, written and cached. It
// goes from hand to hand with its Block, and back to the pool with the last
// reference.
type memory struct {
	block  Block
	class  int    // which pool buf belongs to; classes: none
	buf    []byte // header, payloads, metadata; Slack more in capacity once encoded
	head   header
	pad    int    // bytes at the end of the metadata that say nothing; of a loaded block
	source string // "" when the records can not be asked for again
	pos    uint64 // the source's position after the last record
	room   int    // bytes that still go into an open block; less than 0: none
	sum    uint32 // checksum of the first summed bytes of the body
	summed int
	firsts []uint64

	topics, principals dictionary

	segment *segment // where it lies
	at      int64

	ends     []uint32 // kept for the next use
	received []int64

	envelopes    []byte
	envelopeEnds []uint32
}

// classes is how many sizes of buffers are pooled; each is four times the one
// before, and the largest is that of a full block.
const classes = 4

// pool keeps the memory of blocks for the next ones: up to limit bytes.
type pool struct {
	mu    sync.Mutex
	sizes [classes]int
	free  [classes][]*memory
	kept  int
	limit int
	own   int          // ownPages, or what a test sets
	put   func(*Block) // giveBack, bound once
}

func newPool(blockBytes, limit int) *pool {
	p := &pool{limit: limit, own: ownPages}
	full := headerSize + blockBytes + blockBytes/8 + Slack
	for i := range p.sizes {
		p.sizes[i] = max(1024, full>>(2*(classes-1-i)))
	}
	p.put = p.giveBack
	return p
}

// class returns the smallest class that holds n bytes, or classes if none does.
func (p *pool) class(n int) int {
	for i, size := range p.sizes {
		if n <= size {
			return i
		}
	}
	return classes
}

// get returns memory with room for n bytes and one reference.
func (p *pool) get(n int) *memory {
	m := p.reuse(p.class(n))
	if m == nil {
		m = &memory{class: p.class(n)}
		if m.class < classes {
			n = p.sizes[m.class]
		}
		if n < p.own {
			m.buf = make([]byte, 0, n)
		} else {
			m.buf = pages(n)[:0]
		}
	}
	m.block = Block{mem: m, free: p.put, Ends: m.ends[:0], Received: m.received[:0],
		Envelopes: m.envelopes[:0], EnvelopeEnds: m.envelopeEnds[:0]}
	m.block.refs.Store(1)
	return m
}

func (p *pool) reuse(class int) *memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	if class == classes || len(p.free[class]) == 0 {
		return nil
	}
	last := len(p.free[class]) - 1
	m := p.free[class][last]
	p.free[class] = p.free[class][:last]
	p.kept -= cap(m.buf)
	return m
}

// grow gives m room for n bytes in all, and some more to go on.
func (p *pool) grow(m *memory, n int) {
	if n > cap(m.buf) {
		p.move(m, max(n, min(2*cap(m.buf), p.sizes[classes-1])))
	}
}

// fit gives m room for n bytes in all, and not four times too much.
func (p *pool) fit(m *memory, n int) {
	if n > cap(m.buf) || p.class(n) < m.class {
		p.move(m, n)
	}
}

func (p *pool) move(m *memory, n int) {
	other := p.get(n)
	other.buf = append(other.buf[:0], m.buf...)
	m.buf, other.buf = other.buf, m.buf
	m.class, other.class = other.class, m.class
	other.block.Release()
}

func (p *pool) giveBack(b *Block) {
	m := b.mem
	if b != &m.block {
		panic("BUG: a view of a block was given to the pool")
	}
	m.ends, m.received = b.Ends[:0], b.Received[:0]
	m.envelopes, m.envelopeEnds = b.Envelopes[:0], b.EnvelopeEnds[:0]
	m.buf, m.source, m.pos, m.firsts, m.segment = m.buf[:0], "", 0, nil, nil
	m.sum, m.summed, m.pad = 0, 0, 0
	m.topics.reset()
	m.principals.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.class == classes || p.kept+cap(m.buf) > p.limit {
		return
	}
	p.kept += cap(m.buf)
	p.free[m.class] = append(p.free[m.class], m)
}
