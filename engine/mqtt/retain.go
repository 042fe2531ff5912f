package mqtt

import (
	"strings"
	"sync"
)

// retained holds the retained message of each topic, level by level like the
// subscriptions, so that a subscription costs what it finds.
type retained struct {
	mu       sync.RWMutex
	root     leaf
	count    int
	bytes    int
	maxCount int
	maxBytes int
}

type leaf struct {
	next    map[string]*leaf
	message *Message
}

// set keeps m as the retained message of its topic; an empty payload removes
// what is there. changed: something is different now; not ok: the limits leave no room.
func (r *retained) set(m *Message) (changed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := strings.Split(m.Topic, "/")
	if len(m.Payload) == 0 {
		before := r.count
		r.drop(&r.root, path)
		return r.count != before, true
	}
	at := &r.root
	for _, level := range path {
		if at = at.next[level]; at == nil {
			break
		}
	}
	count, bytes := r.count+1, r.bytes+m.size()
	if at != nil && at.message != nil {
		count, bytes = count-1, bytes-at.message.size()
	}
	if count > r.maxCount || bytes > r.maxBytes {
		return false, false
	}
	r.count, r.bytes = count, bytes
	at = &r.root
	for _, level := range path {
		if at.next == nil {
			at.next = map[string]*leaf{}
		}
		if at.next[level] == nil {
			at.next[level] = &leaf{}
		}
		at = at.next[level]
	}
	at.message = m
	return true, true
}

func (r *retained) drop(l *leaf, path []string) {
	if len(path) == 0 {
		if l.message != nil {
			r.count, r.bytes = r.count-1, r.bytes-l.message.size()
			l.message = nil
		}
		return
	}
	next := l.next[path[0]]
	if next == nil {
		return
	}
	r.drop(next, path[1:])
	if next.message == nil && len(next.next) == 0 {
		delete(l.next, path[0])
	}
}

// find calls f for each retained message that a filter matches, in no
// particular order.
func (r *retained) find(filter string, f func(*Message)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	find(&r.root, filter, true, f)
}

func find(l *leaf, filter string, first bool, f func(*Message)) {
	level, rest, more := strings.Cut(filter, "/")
	switch level {
	case "#":
		if !first {
			l.give(f)
		}
		for name, next := range l.next {
			if !first || name == "" || name[0] != '$' {
				find(next, "#", false, f)
			}
		}
	case "+":
		for name, next := range l.next {
			if !first || name == "" || name[0] != '$' {
				found(next, rest, more, f)
			}
		}
	default:
		if next := l.next[level]; next != nil {
			found(next, rest, more, f)
		}
	}
}

func found(l *leaf, rest string, more bool, f func(*Message)) {
	if more {
		find(l, rest, false, f)
	} else {
		l.give(f)
	}
}

func (l *leaf) give(f func(*Message)) {
	if l.message != nil {
		f(l.message)
	}
}
