package mqtt

import (
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// Restore brings back from a folder what the server before has written there, and
// writes down what becomes of it from here on: sessions that outlive their connection with their
// subscriptions and messages, retained messages, and wills. Without it a server forgets. Before Listen.
func (s *Server) Restore(dir string) error {
	m := newSaved()
	l, err := openLog(s.o.Env, dir, m, s.quit, s.o.Report, s.o.Count)
	if err != nil {
		return err
	}
	now := s.o.Env.Clock.Now()
	for _, message := range m.retained {
		if message.expired(now.UnixMicro()) {
			continue
		}
		if _, ok := s.retained.set(message, now.UnixMicro()); !ok {
			s.o.Count("retained_over_limit", 1)
		}
	}
	s.log.Store(l)
	for _, saved := range m.sessions {
		s.revive(saved, now)
	}
	return nil
}

// revive makes a session of what was written down. That its connection ended was not told where the
// process died; then it ends now.
func (s *Server) revive(saved *savedSession, now time.Time) {
	sess := &session{id: saved.id, principal: saved.principal, number: saved.number, noted: true, durable: saved.expiry > 0,
		expiry: time.Duration(saved.expiry) * time.Microsecond, will: saved.will, willDelay: time.Duration(saved.willDelay) * time.Microsecond,
		subs: map[string]*subscription{}}
	away := time.Duration(0)
	if saved.away != 0 {
		away = max(now.Sub(time.UnixMicro(saved.away)), 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[sess.id] = sess
	for _, sub := range saved.subs {
		sub.session = sess
		sess.subs[sub.filter] = &sub
		s.tree.add(&sub)
	}
	for i := range saved.queue {
		sess.requeue(&saved.queue[i])
		s.hold(sess, saved.queue[i].message.size())
	}
	sess.released, sess.manyUntil = saved.released, now.Add(manyFor).UnixMicro()
	s.fallBehind(sess, saved.behind)
	left := max(sess.expiry-away, 0)
	number := sess.timer
	sess.stop = s.o.Env.Clock.After(left, func() { s.expire(sess, number) })
	if w, delay := sess.will, max(sess.willDelay-away, 0); w != nil && delay < left {
		s.o.Env.Clock.After(delay, func() { s.publishLate(sess, w) })
	}
}

// fallBehind makes again the lists of what is retained that subscriptions were getting: what is retained now, after the topics that were noted last.
func (s *Server) fallBehind(sess *session, behind map[string]string) {
	for _, filter := range slices.Sorted(maps.Keys(behind)) {
		u := catchUp{sub: sess.subs[filter], topics: s.retained.topics(filter), noted: true}
		slices.Sort(u.topics)
		at, found := slices.BinarySearch(u.topics, behind[filter])
		if found {
			at++
		}
		u.topics = u.topics[at:]
		for _, topic := range u.topics {
			u.bytes += int64(len(topic)) + 16
		}
		if s.backlog.Load()+u.bytes > int64(s.o.MaxBacklog) {
			s.o.Count("dropped_backlog_full", int64(len(u.topics)))
			u.topics, u.bytes = nil, 0
		}
		s.backlog.Add(u.bytes)
		sess.behind = append(sess.behind, u)
	}
}

func (sess *session) requeue(q *savedMessage) {
	o := outbound{message: q.message, ids: q.ids, id: q.id, qos: q.qos, retain: q.retain, released: q.released, seq: q.seq}
	sess.seq = max(sess.seq, q.seq)
	if o.id == 0 {
		sess.queue = append(sess.queue, o)
		return
	}
	sess.inflight = append(sess.inflight, o)
	sess.nextID = o.id
}

// newNumber is the number of a new session, which no other has.
func newNumber() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// remember notes that a session has a connection, with this will, and writes that down if something of
// it is to outlive the process. wait: the client must not hear of the session before that is durable.
func (s *Server) remember(c *conn, w *Message, delay time.Duration) (wait bool) {
	sess, l := c.sess, s.log.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.mu.Lock()
	defer sess.mu.Unlock()
	had := sess.will != nil
	sess.will, sess.willDelay = w, delay
	keep := sess.expiry > 0
	if l == nil || !sess.noted && !keep && w == nil {
		return false
	}
	wait = !sess.noted && keep
	sess.noted, sess.durable = true, keep
	note := savedSession{number: sess.number, id: sess.id, principal: sess.principal, expiry: sess.expiry.Microseconds()}
	l.add(func(b []byte) []byte { return putSession(b, &note) })
	if w != nil || had {
		l.add(func(b []byte) []byte { return putWill(b, sess.number, w, delay.Microseconds()) })
	}
	return wait
}

// noteSub writes down that a session has a subscription, or has it no more. sess.mu is held.
func (s *Server) noteSub(sess *session, sub *subscription, gone bool) {
	l := s.log.Load()
	switch {
	case l == nil || !sess.durable:
	case gone:
		l.add(func(b []byte) []byte { return putBytes(entryOf(b, entryUnsub, sess.number), sub.filter) })
	default:
		l.add(func(b []byte) []byte { return putSub(b, sess.number, sub) })
	}
}

// noteBehind writes down that a subscription with a QoS above 0 is to get what is retained of topics after one; over: that one, which may have
// QoS 0 by now, has all. It says whether it did.
func (s *Server) noteBehind(sess *session, sub *subscription, after string, over bool) bool {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	l := s.log.Load()
	switch {
	case l == nil || !sess.durable || sub.options.QoS == 0 && !over:
		return false
	case over:
		l.add(func(b []byte) []byte { return putBytes(entryOf(b, entryCaught, sess.number), sub.filter) })
	default:
		l.add(func(b []byte) []byte { return putBehind(b, sess.number, sub.filter, after) })
	}
	return true
}

// noteQueued writes down that a message is on its way to a session, and says whether it did. sess.mu is held.
func (s *Server) noteQueued(sess *session, o *outbound) bool {
	l := s.log.Load()
	if l == nil || !sess.durable {
		return false
	}
	sess.seq++
	o.seq = sess.seq
	q := savedMessage{seq: o.seq, qos: o.qos, retain: o.retain, ids: o.ids, message: o.message}
	l.add(func(b []byte) []byte { return putQueued(b, sess.number, &q) })
	return true
}

// noteMessage writes down what has become of a message to a session. sess.mu is held.
func (s *Server) noteMessage(sess *session, kind byte, numbers ...uint64) {
	if l := s.log.Load(); l != nil && sess.durable && numbers[0] != 0 {
		l.add(func(b []byte) []byte { return entryOf(b, kind, sess.number, numbers...) })
	}
}

// noteReleased notes that the client has released an identifier, of so many that were in use, and answers when that is durable.
func (s *Server) noteReleased(c *conn, id uint16, inUse int, r Reason) {
	sess := c.sess
	sess.mu.Lock()
	if sess.released == nil {
		sess.released = &released{}
	}
	n := sess.released.next(id, inUse)
	most := sess.released.most
	l, durable := s.log.Load(), sess.durable
	if l != nil && durable {
		l.add(func(b []byte) []byte { return putRelease(b, sess.number, n, most) })
	}
	sess.mu.Unlock()
	if l == nil || !durable {
		c.sendAck(Pubcomp, id, r)
		return
	}
	l.after(func(err error) {
		if err == nil {
			c.sendAck(Pubcomp, id, r)
		}
	})
}

// uses tells by a number since which release an identifier of QoS 2 is in use.
func (sess *session) uses(id uint16) uint32 {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	return sess.released.of(id)
}

// noteAway writes down that a session has no connection. s.mu is held.
func (s *Server) noteAway(sess *session) {
	if l := s.log.Load(); l != nil && sess.noted {
		since := s.o.Env.Clock.Now().UnixMicro()
		expiry := sess.expiry.Microseconds()
		l.add(func(b []byte) []byte { return entryOf(b, entryAway, sess.number, uint64(since), uint64(expiry)) })
	}
}

// noteWill writes down that a session's will is no more: its client took it back, or it is published.
func (s *Server) noteWill(sess *session) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	l := s.log.Load()
	switch {
	case l == nil || !sess.noted:
	case sess.ended:
		l.add(func(b []byte) []byte { return entryOf(b, entryEnd, sess.number) })
	case sess.will == nil:
		l.add(func(b []byte) []byte { return putWill(b, sess.number, nil, 0) })
	}
}

// noteRetained writes down what is retained of a topic.
func (s *Server) noteRetained(m *Message) {
	s.log.Load().add(func(b []byte) []byte { return putRetained(b, m) })
}

// publishLate publishes a will whose delay has passed, unless the server stops: then the next one does.
func (s *Server) publishLate(sess *session, w *Message) {
	if !s.stopped() {
		s.publishWill(sess, sess.takeWill(w))
	}
}
