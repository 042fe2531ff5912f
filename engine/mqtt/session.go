package mqtt

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// session is what the server knows of a client identifier, connected or not,
// section 4.1. Locks are taken in the order Server.mu, session.mu, conn.mu.
type session struct {
	id        string
	principal string
	number    uint64 // of this session, and never of another
	online    atomic.Bool

	// Guarded by Server.mu.
	owner  *conn         // that is attached, or still cleaning up; nil: none
	expiry time.Duration // how long it is kept without a connection
	timer  int           // number of the expiry timer that counts
	stop   func()        // stops it

	mu        sync.Mutex
	live      *conn // where to deliver
	ended     bool
	subs      map[string]*subscription
	queue     []outbound // wait for room
	inflight  []outbound // sent and not acknowledged, in order
	held      int        // bytes of both
	nextID    uint16
	will      *Message
	willDelay time.Duration
	noted     bool   // it is written down
	durable   bool   // and so are its subscriptions and messages
	seq       uint64 // of the latest message written down
	released  *released

	// Of the owner's reading goroutine.
	received   ids                 // identifiers of QoS 2 that wait for PUBREL
	behind     []catchUp           // what new subscriptions have yet to get
	unanswered map[uint16]struct{} // identifiers of QoS 1 that were never answered, and not used since
	settled    int64               // as conn.settled, of connections before
	manyUntil  int64               // until then it may have many messages on their way, us since 1970
}

// deliver sends a message to the session's client, or keeps it for later. stored: it is being written down.
func (s *Server) deliver(sess *session, o outbound) (stored bool) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	c := sess.live
	switch {
	case sess.ended:
	case o.qos == 0 && c == nil:
		s.o.Count("offline_qos0", 1)
	case o.qos == 0:
		if !c.room() {
			s.o.Count("dropped_slow_reader", 1)
			return false
		}
		c.send(&o, false)
	case sess.held > 0 && sess.held+o.message.size() > s.o.MaxQueuedBytes:
		s.o.Count("dropped_queue_full", 1)
	case s.backlog.Load() > int64(s.o.MaxBacklog):
		s.o.Count("dropped_backlog_full", 1)
	case c != nil && len(sess.queue) == 0 && len(sess.inflight) < c.window && c.room():
		s.hold(sess, o.message.size())
		stored = s.noteQueued(sess, &o)
		s.launch(sess, c, o)
	case len(sess.queue) >= s.o.MaxQueued:
		s.o.Count("dropped_queue_full", 1)
	default:
		s.hold(sess, o.message.size())
		stored = s.noteQueued(sess, &o)
		sess.queue = append(sess.queue, o)
		if c != nil {
			c.behind.Store(true)
		}
	}
	return stored
}

// hold counts n more bytes that a session has queued or in flight. sess.mu is held.
func (s *Server) hold(sess *session, n int) {
	sess.held += n
	s.backlog.Add(int64(n))
}

// launch gives o, which is counted already, an identifier and sends it. sess.mu is held.
func (s *Server) launch(sess *session, c *conn, o outbound) {
	for {
		sess.nextID++
		used := slices.ContainsFunc(sess.inflight, func(f outbound) bool { return f.id == sess.nextID })
		if sess.nextID != 0 && !used {
			break
		}
	}
	o.id = sess.nextID
	if c.send(&o, false) {
		sess.inflight = append(sess.inflight, o)
		s.noteMessage(sess, entrySent, o.seq, uint64(o.id))
	} else {
		s.noteMessage(sess, entryDone, o.seq)
		s.hold(sess, -o.message.size())
	}
}

// pump sends what waits while there is room.
func (s *Server) pump(sess *session) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	c := sess.live
	if c == nil {
		return
	}
	nowUS, n := s.o.Env.Clock.Now().UnixMicro(), 0
	for n < len(sess.queue) && len(sess.inflight) < c.window && c.room() {
		o := sess.queue[n]
		n++
		if o.message.expired(nowUS) {
			s.hold(sess, -o.message.size())
			s.noteMessage(sess, entryDone, o.seq)
			s.o.Count("dropped_expired", 1)
			continue
		}
		s.launch(sess, c, o)
	}
	sess.queue = slices.Delete(sess.queue, 0, n)
	if len(sess.queue) == 0 {
		sess.queue = nil
	}
}

// acked takes a PUBACK, PUBREC or PUBCOMP of a message to the client. It
// returns what to answer: Pubrel, or 0 for nothing.
func (s *Server) acked(sess *session, t Type, id uint16, r Reason) (answer Type, found bool) {
	sess.mu.Lock()
	i := slices.IndexFunc(sess.inflight, func(o outbound) bool { return o.id == id })
	found = i >= 0 && (t == Puback) == (sess.inflight[i].qos == 1) && (t != Pubcomp || sess.inflight[i].released)
	switch {
	case !found && t == Pubrec:
		answer = Pubrel
	case found && t == Pubrec && !r.Failed():
		o := &sess.inflight[i]
		s.hold(sess, -o.message.size())
		o.released, o.message = true, &Message{} // it need not be sent again
		s.hold(sess, o.message.size())
		s.noteMessage(sess, entryReleased, o.seq)
		answer = Pubrel
	case found:
		s.noteMessage(sess, entryDone, sess.inflight[i].seq)
		s.hold(sess, -sess.inflight[i].message.size())
		sess.inflight = slices.Delete(sess.inflight, i, i+1)
	}
	waiting := len(sess.queue) > 0
	sess.mu.Unlock()
	if waiting {
		s.pump(sess)
	}
	return answer, found
}

// resume sends again what was in flight when the connection broke (MQTT-4.4.0-1),
// then what waited, and makes c the connection to deliver to.
func (s *Server) resume(sess *session, c *conn) {
	sess.mu.Lock()
	sess.live = c
	c.behind.Store(true)
	sess.online.Store(true)
	for i := range sess.inflight {
		o := &sess.inflight[i]
		if o.released {
			c.sendAck(Pubrel, o.id, Success)
		} else {
			c.send(o, true)
		}
	}
	sess.mu.Unlock()
	s.pump(sess)
}

// attach makes c the owner of the session of its client identifier. Another
// connection that has it is closed first, and everything that it published is waited for.
func (s *Server) attach(c *conn, clean bool, expiry time.Duration) (present bool, err *Error) {
	const patience = 5 * time.Second
	late := make(chan struct{})
	defer s.o.Env.Clock.After(patience, func() { close(late) })()
	for {
		s.mu.Lock()
		old := s.sessions[c.client.ID]
		switch {
		case s.closed:
			s.mu.Unlock()
			return false, &Error{Reason: ShuttingDown, Text: "the server stops"}
		case old == nil && len(s.sessions) >= s.o.MaxSessions:
			s.mu.Unlock()
			return false, &Error{Reason: QuotaExceeded, Text: "there are too many sessions"}
		case old != nil && old.principal != c.client.Principal:
			s.mu.Unlock()
			return false, &Error{Reason: ClientIDInvalid, Text: "another principal has a session with this client identifier"}
		case old != nil && old.owner != nil:
			other := old.owner
			s.mu.Unlock()
			s.o.Count("takeovers", 1)
			other.kick(&Error{Reason: TakenOver, Clause: "MQTT-3.1.4-3", Text: "the client has connected again"})
			select {
			case <-other.gone:
			case <-late:
				return false, &Error{Reason: ServerBusy, Text: "messages of the connection before are still being written"}
			}
			continue
		}
		s.claim(c, old, clean, expiry)
		s.mu.Unlock()
		if old == nil {
			return false, nil
		}
		if clean {
			s.end(old)
			return false, nil
		}
		s.recheck(old, c)
		return true, nil
	}
}

// claim gives c its session. s.mu is held.
func (s *Server) claim(c *conn, old *session, clean bool, expiry time.Duration) {
	sess := old
	if old != nil && old.stop != nil {
		old.stop()
		old.stop = nil
	}
	if old == nil || clean {
		sess = &session{id: c.client.ID, principal: c.client.Principal, number: newNumber(), subs: map[string]*subscription{}}
		s.sessions[sess.id] = sess
	}
	sess.timer++
	sess.owner, sess.expiry = c, expiry
	c.mu.Lock()
	c.sess = sess
	c.mu.Unlock()
}

// recheck removes the subscriptions of a session that its client may no longer have.
func (s *Server) recheck(sess *session, c *conn) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	for filter, sub := range sess.subs {
		if _, plain := splitShare(filter); !s.o.Access.Subscribe(&c.client, plain) {
			delete(sess.subs, filter)
			s.tree.remove(sub)
			s.noteSub(sess, sub, true)
			s.o.Count("subscriptions_revoked", 1)
		}
	}
	sess.queue = s.allowed(sess, c, sess.queue)
	sess.inflight = s.allowed(sess, c, sess.inflight)
}

// allowed leaves messages out that the client may no longer have. sess.mu is held.
func (s *Server) allowed(sess *session, c *conn, messages []outbound) []outbound {
	return slices.DeleteFunc(messages, func(o outbound) bool {
		if o.released || s.o.Access.Subscribe(&c.client, o.message.Topic) {
			return false
		}
		s.noteMessage(sess, entryDone, o.seq)
		s.hold(sess, -o.message.size())
		s.o.Count("dropped_not_allowed", 1)
		return true
	})
}

// farewell is how long a client that has a will and takes its leave waits at most until the end of its connection says
// that the will is no more, should the disk not answer.
const farewell = time.Second

// takeBack forgets the will of a client that takes its leave (MQTT-3.14.4-3), and waits until that is durable.
func (s *Server) takeBack(sess *session) {
	sess.mu.Lock()
	had := sess.will != nil
	sess.will = nil
	sess.mu.Unlock()
	if !had {
		return
	}
	s.noteWill(sess)
	if !s.log.Load().waitAtMost(farewell) {
		s.o.Count("wills_taken_back_late", 1)
	}
}

// detach lets go of the session. It returns the will that is due now.
func (s *Server) detach(c *conn) (due *Message) {
	sess := c.sess
	sess.mu.Lock()
	sess.live = nil
	sess.online.Store(false)
	if c.graceful && sess.will != nil {
		panic("BUG: a will that was taken back is still there")
	}
	w, delay := sess.will, sess.willDelay
	sess.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	sess.owner = nil
	expiry := sess.expiry
	s.noteAway(sess)
	if s.closed {
		return nil
	}
	if expiry <= 0 {
		delete(s.sessions, sess.id)
		return s.bury(sess)
	}
	sess.timer++
	number := sess.timer
	sess.stop = s.o.Env.Clock.After(expiry, func() { s.expire(sess, number) })
	switch {
	case w == nil:
	case delay <= 0:
		return sess.takeWill(w)
	case delay < expiry:
		s.o.Env.Clock.After(delay, func() { s.publishLate(sess, w) })
	}
	return nil
}

// takeWill returns the will if it is still the one meant, and forgets it.
func (sess *session) takeWill(w *Message) *Message {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	if w == nil || sess.will != w {
		return nil
	}
	sess.will = nil
	return w
}

func (s *Server) expire(sess *session, number int) {
	s.mu.Lock()
	if s.closed || sess.owner != nil || sess.timer != number || s.sessions[sess.id] != sess {
		s.mu.Unlock()
		return
	}
	delete(s.sessions, sess.id)
	s.mu.Unlock()
	s.end(sess)
}

// end ends a session that is no longer in the list.
func (s *Server) end(sess *session) { s.publishWill(sess, s.bury(sess)) }

// bury removes all that a session has and returns its will.
func (s *Server) bury(sess *session) *Message {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.ended = true
	for _, sub := range sess.subs {
		s.tree.remove(sub)
	}
	if n := len(sess.queue); n > 0 {
		s.o.Count("dropped_session_ended", int64(n))
	}
	s.hold(sess, -sess.held)
	w := sess.will
	sess.forget(s)
	if l := s.log.Load(); l != nil && sess.noted && w == nil {
		l.add(func(b []byte) []byte { return entryOf(b, entryEnd, sess.number) })
	}
	sess.subs, sess.queue, sess.inflight, sess.will = nil, nil, nil, nil
	return w
}
