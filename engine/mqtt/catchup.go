package mqtt

import "slices"

// catchUp is what a new subscription has yet to get of what was retained when it was made.
type catchUp struct {
	sub    *subscription
	topics []string // with a retained message then, in order
	bytes  int64    // counted in the server's backlog
	noted  bool     // it is written down
}

// noteEach is how many messages of a list are sent until it is written down how far it has come: as many may come twice, if the server dies.
const noteEach = 64

// catchUp notes what is retained for a new subscription, for loop to send as the client takes it. What an older one to the same filter
// has yet to get is in it.
func (c *conn) catchUp(sub *subscription) {
	had := c.drop(sub.filter)
	if c.list(sub) && sub.options.QoS > 0 {
		c.noteList(&c.sess.behind[len(c.sess.behind)-1], "")
	} else if had {
		c.noteList(&catchUp{sub: sub, noted: true}, "")
	}
}

// noteList writes down that what is retained of topics after one is yet to be sent, or, of an empty list, that nothing is.
func (c *conn) noteList(u *catchUp, after string) {
	u.noted = c.s.noteBehind(c.sess, u.sub, after, len(u.topics) == 0) || u.noted
}

// list makes the list; false: there is nothing to send.
func (c *conn) list(sub *subscription) bool {
	u := catchUp{sub: sub, topics: c.s.retained.topics(sub.filter)}
	left := len(u.topics)
	for _, topic := range u.topics {
		u.bytes += int64(len(topic)) + 16
	}
	for _, other := range c.sess.behind {
		left += len(other.topics)
	}
	switch {
	case len(u.topics) == 0:
		return false
	case left > 2*c.s.o.MaxRetained: // all of them, and all again for filters that overlap
		c.s.o.Count("dropped_queue_full", int64(len(u.topics)))
		return false
	case c.s.backlog.Load()+u.bytes > int64(c.s.o.MaxBacklog):
		c.s.o.Count("dropped_backlog_full", int64(len(u.topics)))
		return false
	}
	slices.Sort(u.topics)
	c.s.backlog.Add(u.bytes)
	c.sess.behind = append(c.sess.behind, u)
	return true
}

// drop forgets what a subscription to the filter has yet to get: it is gone, or gets all anew.
func (c *conn) drop(filter string) (had bool) {
	c.sess.behind = slices.DeleteFunc(c.sess.behind, func(u catchUp) bool {
		if u.sub.filter != filter {
			return false
		}
		c.s.backlog.Add(-u.bytes)
		had = true
		return true
	})
	return had
}

// sendRetained sends new subscriptions what is retained, as far as the client takes it: messages of QoS 0 wait
// here until there is room, others for answers, which loop reads. waited: it has waited for room, and is to be called again once what the
// client has sent meanwhile is dealt with; not ok: the connection is over.
func (c *conn) sendRetained() (waited, ok bool) {
	for len(c.sess.behind) > 0 {
		u := &c.sess.behind[0]
		for len(u.topics) > 0 {
			if waited, ok = c.roomForMore(); waited || !ok {
				return waited, ok
			}
			if !c.sendOne(u, u.topics[0]) {
				return false, true
			}
			topic := u.topics[0]
			if u.topics = u.topics[1:]; u.noted && len(u.topics) > 0 && len(u.topics)%noteEach == 0 {
				c.noteList(u, topic)
			}
		}
		if u.noted { // of a list that a restart found empty too
			c.noteList(u, "")
		}
		c.s.backlog.Add(-u.bytes)
		c.sess.behind = slices.Delete(c.sess.behind, 0, 1)
	}
	c.sess.behind = nil
	return false, true
}

// roomForMore waits until the client has taken so much that there is room for messages of others, too; not ok: the connection is over.
func (c *conn) roomForMore() (waited, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing && !c.dead && len(c.out) > highWater/2 {
		waited = true
		c.await()
	}
	return waited, !c.closing && !c.dead
}

// glance reads what has come, if something has, without waiting for more.
func (c *conn) glance() error {
	c.sock.sweep(true)
	err := c.read()
	c.sock.sweep(false)
	if err == errAgain {
		return nil
	}
	return err
}

// sendOne sends what is retained of a topic; false: not before the client has answered what it has. It is what is retained now,
// and nobody changes that meanwhile, so that nothing older comes after what is delivered of the topic.
func (c *conn) sendOne(u *catchUp, topic string) bool {
	c.s.retaining.Lock()
	defer c.s.retaining.Unlock()
	m := c.s.retained.get(topic)
	if m == nil || m.expired(c.s.o.Env.Clock.Now().UnixMicro()) {
		return true
	}
	o := outbound{message: m, qos: min(m.QoS, u.sub.options.QoS), retain: true}
	if u.sub.id != 0 {
		o.ids = []uint32{u.sub.id}
	}
	subscribed, n, waiting, held := c.sess.load(u.sub.filter)
	if o.qos > 0 && n == 0 && waiting > 0 { // nothing is on its way whose answer would let them go
		c.s.pump(c.sess)
		subscribed, n, waiting, held = c.sess.load(u.sub.filter)
	}
	full := n >= c.window || waiting > 0 || held+m.size() > c.s.o.MaxQueuedBytes/2
	switch {
	case !subscribed:
	case o.qos > 0 && n > 0 && full:
		return false
	case o.qos > 0:
		c.s.deliver(c.sess, o)
	case c.s.backlog.Load() > int64(c.s.o.MaxBacklog):
		c.s.o.Count("dropped_backlog_full", 1)
	default:
		c.send(&o, false)
	}
	return true
}

// load says whether the session has a subscription to the filter, how many messages are in flight and wait, and how many bytes both have.
func (sess *session) load(filter string) (subscribed bool, inflight, waiting, held int) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	return sess.subs[filter] != nil, len(sess.inflight), len(sess.queue), sess.held
}

// forget takes what is left off the server's backlog: the session has ended.
func (sess *session) forget(s *Server) {
	for _, u := range sess.behind {
		s.backlog.Add(-u.bytes)
		s.o.Count("dropped_session_ended", int64(len(u.topics)))
	}
	sess.behind = nil
}
