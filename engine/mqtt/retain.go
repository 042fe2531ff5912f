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
	swept    int64 // when expired messages were last looked for, us since 1970
}

type leaf struct {
	next    map[string]*leaf
	message *Message
}

// sweepAgain is how long after a look for expired messages another one pays, us.
const sweepAgain = 1_000_000

// set keeps m as the retained message of its topic; an empty payload removes
// what is there. changed: something is different now; not ok: the limits leave no room.
func (r *retained) set(m *Message, nowUS int64) (changed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := strings.Split(m.Topic, "/")
	if len(m.Payload) == 0 {
		before := r.count
		r.drop(&r.root, path)
		return r.count != before, true
	}
	count, bytes := r.with(m)
	if (count > r.maxCount || bytes > r.maxBytes) && nowUS-r.swept >= sweepAgain {
		r.swept = nowUS
		r.expire(&r.root, nowUS)
		count, bytes = r.with(m)
	}
	if count > r.maxCount || bytes > r.maxBytes {
		return false, false
	}
	r.count, r.bytes = count, bytes
	at := &r.root
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

// with is how many messages there are, and of how many bytes, once m is one of them.
func (r *retained) with(m *Message) (count, bytes int) {
	count, bytes = r.count+1, r.bytes+m.size()
	if before := r.at(m.Topic); before != nil && before.message != nil {
		count, bytes = count-1, bytes-before.message.size()
	}
	return count, bytes
}

// at returns the leaf of a topic; nil: there is none.
func (r *retained) at(topic string) *leaf {
	at := &r.root
	for level := range strings.SplitSeq(topic, "/") {
		if at = at.next[level]; at == nil {
			return nil
		}
	}
	return at
}

// expire removes messages that nobody gets any more.
func (r *retained) expire(l *leaf, nowUS int64) {
	if l.message != nil && l.message.expired(nowUS) {
		r.count, r.bytes = r.count-1, r.bytes-l.message.size()
		l.message = nil
	}
	for level, next := range l.next {
		r.expire(next, nowUS)
		if next.message == nil && len(next.next) == 0 {
			delete(l.next, level)
		}
	}
}

// get returns the retained message of a topic; nil: there is none.
func (r *retained) get(topic string) *Message {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if at := r.at(topic); at != nil {
		return at.message
	}
	return nil
}

// topics returns those with a retained message that a filter matches, in no particular order.
func (r *retained) topics(filter string) (topics []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	find(&r.root, filter, true, func(m *Message) { topics = append(topics, m.Topic) })
	return topics
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
