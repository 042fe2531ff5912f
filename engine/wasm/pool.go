package wasm

import (
	"errors"
	"fmt"
	"sync"
)

// Pool shares plugins among the partitions that run them: a module with the
// same limits is compiled once. It is safe for concurrent use.
type Pool struct {
	host *Host
	mu   sync.Mutex
	held map[string]*heldPlugin
	idle []string // keys that nobody holds, the longest idle first
}

// heldPlugin is a plugin, or one that is being compiled.
type heldPlugin struct {
	once    sync.Once
	plugin  *Plugin
	err     error
	holders int
}

// maxIdle is how many plugins stay compiled that nobody runs, since a graph is often closed
// just before it is opened anew.
const maxIdle = 8

// NewPool makes a pool over a host.
func NewPool(h *Host) *Pool { return &Pool{host: h, held: map[string]*heldPlugin{}} }

// Get returns the plugin of a module, compiled if need be. The caller calls release once,
// after its runners are closed.
func (p *Pool) Get(module []byte, l Limits) (plugin *Plugin, release func() error, err error) {
	return p.GetKnown(Digest(module), module, l)
}

// GetKnown is Get for a caller that knows the module's digest: that takes milliseconds for a large one.
func (p *Pool) GetKnown(digest string, module []byte, l Limits) (plugin *Plugin, release func() error, err error) {
	if digest == "" {
		panic("BUG: a module without its digest")
	}
	key := fmt.Sprint(digest, l)
	p.mu.Lock()
	h := p.held[key]
	var oldest *heldPlugin
	if h == nil {
		h = &heldPlugin{}
		p.held[key] = h
		oldest = p.evict()
	}
	h.holders++
	for i, k := range p.idle {
		if k == key {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	if oldest != nil {
		err = oldest.plugin.Close()
	}
	h.once.Do(func() { h.plugin, h.err = p.host.Load(module, l) })
	if err = errors.Join(err, h.err); err != nil {
		return nil, nil, errors.Join(err, p.release(key))
	}
	return h.plugin, func() error { return p.release(key) }, nil
}

// release lets go of a plugin. One that could not be loaded is forgotten, others stay for a while.
func (p *Pool) release(key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[key]
	if h.holders--; h.holders > 0 {
		return nil
	}
	if h.plugin == nil {
		delete(p.held, key)
		return nil
	}
	p.idle = append(p.idle, key)
	return nil
}

// evict forgets the plugin that is idle the longest, when there are more than are kept. That is done when another
// is about to be compiled and not when one is let go of: rows wait then, and freeing code takes milliseconds.
func (p *Pool) evict() *heldPlugin {
	if len(p.idle) < maxIdle {
		return nil
	}
	oldest := p.held[p.idle[0]]
	delete(p.held, p.idle[0])
	p.idle = p.idle[1:]
	return oldest
}
