package mqtt

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// subscription is one filter of one session. Immutable.
type subscription struct {
	session *session
	filter  string // as subscribed, with its share prefix
	options Filter // without the name
	id      uint32 // subscription identifier; 0: none
}

// group is the members of a shared subscription.
type group struct {
	name    string
	members []*subscription
	turn    atomic.Uint32
}

// tree finds the subscriptions that match a topic, level by level.
//
//	root ── dt ── + ── telemetry      subs: of dt/+/telemetry
//	         └─── #                   subs: of dt/#
type tree struct {
	mu    sync.RWMutex
	root  branch
	count atomic.Int64
	// change numbers the changes, so that what was found can be kept until the next.
	change atomic.Uint64
}

type branch struct {
	next   map[string]*branch
	subs   []*subscription
	groups []*group
}

// hit is one subscription, or one group of which a member gets the message.
type hit struct {
	sub   *subscription
	group *group
}

func (t *tree) add(s *subscription) {
	name, filter := splitShare(s.filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &t.root
	for level := range strings.SplitSeq(filter, "/") {
		next := b.next[level]
		if next == nil {
			next = &branch{}
			if b.next == nil {
				b.next = map[string]*branch{}
			}
			b.next[level] = next
		}
		b = next
	}
	t.count.Add(1)
	t.change.Add(1)
	if name == "" {
		b.subs = append(b.subs, s)
		return
	}
	for _, g := range b.groups {
		if g.name == name {
			g.members = append(g.members, s)
			return
		}
	}
	b.groups = append(b.groups, &group{name: name, members: []*subscription{s}})
}

func (t *tree) remove(s *subscription) {
	name, filter := splitShare(s.filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	if removeFrom(&t.root, strings.Split(filter, "/"), name, s) {
		t.count.Add(-1)
		t.change.Add(1)
	}
}

// removeFrom takes s, and branches that then are empty, away.
func removeFrom(b *branch, path []string, name string, s *subscription) bool {
	if len(path) > 0 {
		next := b.next[path[0]]
		if next == nil || !removeFrom(next, path[1:], name, s) {
			return false
		}
		if len(next.next) == 0 && len(next.subs) == 0 && len(next.groups) == 0 {
			delete(b.next, path[0])
		}
		return true
	}
	if name == "" {
		i := slices.Index(b.subs, s)
		if i < 0 {
			return false
		}
		b.subs = slices.Delete(slices.Clone(b.subs), i, i+1)
		return true
	}
	for i, g := range b.groups {
		if at := slices.Index(g.members, s); g.name == name && at >= 0 {
			g.members = slices.Delete(slices.Clone(g.members), at, at+1)
			if len(g.members) == 0 {
				b.groups = slices.Delete(b.groups, i, i+1)
			}
			return true
		}
	}
	return false
}

// match appends what a topic hits, and returns the number of the change that this is as of.
func (t *tree) match(topic string, hits []hit) ([]hit, uint64) {
	if t.count.Load() == 0 {
		return hits, t.change.Load()
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return walk(&t.root, topic, true, hits), t.change.Load()
}

func walk(b *branch, topic string, first bool, hits []hit) []hit {
	if len(b.next) == 0 {
		return hits
	}
	level, rest, more := strings.Cut(topic, "/")
	wild := !first || level == "" || level[0] != '$'
	if wild {
		if all := b.next["#"]; all != nil {
			hits = all.take(hits)
		}
	}
	for _, name := range [2]string{level, "+"} {
		next := b.next[name]
		if next == nil || name == "+" && !wild {
			continue
		}
		if more {
			hits = walk(next, rest, false, hits)
			continue
		}
		hits = next.take(hits)
		if all := next.next["#"]; all != nil {
			hits = all.take(hits)
		}
	}
	return hits
}

func (b *branch) take(hits []hit) []hit {
	for _, s := range b.subs {
		hits = append(hits, hit{sub: s})
	}
	for _, g := range b.groups {
		hits = append(hits, hit{group: g})
	}
	return hits
}

// pick chooses the member of a shared subscription that gets the next
// message: in turn, members that are connected before others.
func (t *tree) pick(g *group) *subscription {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := uint32(len(g.members))
	if n == 0 {
		return nil
	}
	turn := g.turn.Add(1)
	for i := range n {
		if s := g.members[(turn+i)%n]; s.session.online.Load() {
			return s
		}
	}
	return g.members[turn%n]
}
