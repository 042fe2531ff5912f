package wasm

import (
	"sync"

	"github.com/tetratelabs/wazero/experimental"
)

var _ experimental.MemoryAllocator = (*memoryPool)(nil)

// memoryPool keeps linear memories that instances have left, cleared, so that a
// plugin that traps often does not make garbage of megabytes each time.
type memoryPool struct {
	mu   sync.Mutex
	free []*linearMemory
}

// maxPooled is how many memories are kept for later.
const maxPooled = 4

// Allocate gives a memory that never moves: it has room for the maximum.
func (p *memoryPool) Allocate(_, most uint64) experimental.LinearMemory {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.free) - 1; i >= 0; i-- {
		if m := p.free[i]; uint64(cap(m.b)) == most {
			p.free = append(p.free[:i], p.free[i+1:]...)
			return m
		}
	}
	return &linearMemory{pool: p, b: make([]byte, 0, most)}
}

// linearMemory is a memory, as long as the instance sees it.
type linearMemory struct {
	pool *memoryPool
	b    []byte
}

// Reallocate makes the memory longer; nil when it cannot be so long.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.b)) {
		return nil
	}
	m.b = m.b[:size]
	return m.b
}

// Free gives the memory back to the pool.
func (m *linearMemory) Free() {
	clear(m.b)
	m.b = m.b[:0]
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if len(m.pool.free) < maxPooled {
		m.pool.free = append(m.pool.free, m)
	}
}
