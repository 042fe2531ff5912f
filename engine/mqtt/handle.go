package mqtt

import "time"

// handle does what one packet asks for. An error ends the connection.
func (c *conn) handle(p *Packet) error {
	switch p.Type {
	case Publish:
		if err := c.publish(p); err != nil {
			return err
		}
		return nil
	case Puback, Pubrec, Pubcomp:
		c.acknowledged(p)
	case Pubrel:
		c.release(p)
	case Subscribe:
		if err := c.subscribe(p); err != nil {
			return err
		}
	case Unsubscribe:
		c.unsubscribe(p)
	case Pingreq:
		c.mu.Lock()
		c.out = append(c.bufferFor(2), byte(Pingresp)<<4, 0)
		wake := c.wants()
		c.mu.Unlock()
		if wake {
			c.s.dirty.push(c)
		}
	case Disconnect:
		return c.disconnect(p)
	case Connect:
		return protocol("MQTT-3.1.0-2", "a second CONNECT")
	case Auth:
		return protocol("MQTT-4.12.0-1", "an AUTH without enhanced authentication")
	default:
		return protocol("MQTT-2.1.2", "a "+p.Type.String()+" from a client")
	}
	return nil
}

func (c *conn) publish(p *Packet) *Error {
	t, err := c.topicOf(p)
	if err != nil {
		return err
	}
	if p.Props.has != 0 && p.Props.Has(SubscriptionID) {
		return protocol("MQTT-3.3.4-6", "a PUBLISH from a client with a subscription identifier")
	}
	if !t.allowed {
		c.s.o.Count("publish_refused", 1)
		return c.refuse(p)
	}
	if p.QoS > 0 {
		a, err := c.admit(p)
		if err != nil {
			return err
		}
		c.acks = append(c.acks, a)
		if a.known {
			c.s.o.Count("duplicates", 1)
			return nil
		}
	}
	m := c.another()
	m.Topic, m.Payload, m.Props, m.Client, m.Memo = t.name, p.Payload, p.RawProps, &c.client, &t.memo
	m.Received, m.Session, m.Settled, m.Uses, m.Many = c.nowUS, 0, 0, 0, false
	m.Packet, m.QoS, m.Retain, m.Resent = p.ID, p.QoS, p.Retain, p.Dup
	if p.QoS > 0 {
		if c.sessionTTL > 0 {
			m.Session, m.Many = c.sess.number, c.many(p)
		}
		if p.QoS == 2 {
			m.Uses = c.sess.uses(p.ID)
		} else {
			c.again(m)
		}
	}
	if p.Retain || len(t.hits) > 0 || t.change != c.s.tree.change.Load() {
		c.stored = c.s.route(t, p, c.nowUS, c.sess) || c.stored
	}
	return nil
}

// few is how many messages of a client may be unanswered without Inbound.Many: more than most clients ever have, and half of
// what is told apart without it. For manyFor after there were more, there may be more again.
const (
	few     = 32
	manyFor = time.Minute
)

// many says whether the client may have many messages on their way.
func (c *conn) many(p *Packet) bool {
	if int(c.waiting.Load())+len(c.acks)+c.sess.received.n > few {
		c.sess.manyUntil = c.nowUS + manyFor.Microseconds()
	}
	return p.Dup || c.nowUS < c.sess.manyUntil
}

// another returns the message that the batch has one more of, for the caller to set whole. It is filled in where it stands: put together
// elsewhere and copied, each copy waited for the many small writes before it, which was a fifth of what handling a message cost.
func (c *conn) another() *Inbound {
	n := len(c.batch)
	if n == cap(c.batch) {
		c.batch = append(c.batch, Inbound{})
	} else {
		c.batch = c.batch[:n+1]
	}
	return &c.batch[n]
}

// refuse answers a message to a topic that the client may not publish to. MQTT
// 3.1.1 has no way to say so, and closes the connection (MQTT-3.3.5-2).
func (c *conn) refuse(p *Packet) *Error {
	if c.v < V5 {
		return &Error{NotAuthorized, "MQTT-3.3.5-2", "the client may not publish to this topic"}
	}
	t := Puback
	switch p.QoS {
	case 0:
		return nil
	case 2:
		t = Pubrec
	}
	c.acks = append(c.acks, ack{t: t, id: p.ID, reason: NotAuthorized, known: true})
	return nil
}

// admit looks whether there is room for a message of QoS 1 or 2, and whether it
// is there already.
func (c *conn) admit(p *Packet) (ack, *Error) {
	if p.QoS == 1 {
		if c.v == V5 && len(c.acks)+int(c.waiting.Load())+c.sess.received.n >= c.s.o.ReceiveMaximum && c.unanswered() >= c.s.o.ReceiveMaximum {
			return ack{}, &Error{ReceiveMaxExceeded, "MQTT-3.3.4-9", "more messages without acknowledgement than the receive maximum"}
		}
		return ack{t: Puback, id: p.ID}, nil
	}
	a := ack{t: Pubrec, id: p.ID}
	if a.known = c.sess.received.has(p.ID); a.known {
		return a, nil
	}
	if c.v == V5 && (c.sess.received.n >= c.s.o.ReceiveMaximum || c.unanswered() >= c.s.o.ReceiveMaximum) {
		return a, &Error{ReceiveMaxExceeded, "MQTT-3.3.4-9", "more messages of QoS 2 that are not released than the receive maximum"}
	}
	c.sess.received.add(p.ID)
	return a, nil
}

// unanswered is how many messages of QoS 1 and 2 the client may not take for
// done yet. The acks of this read count only where they are of QoS 1: those of
// QoS 2 are in received.
func (c *conn) unanswered() int {
	n := int(c.waiting.Load()) + c.sess.received.n
	for _, a := range c.acks {
		if a.t == Puback {
			n++
		}
	}
	return n
}

// topicOf returns what is known of a message's topic, and resolves its alias.
func (c *conn) topicOf(p *Packet) (*topic, *Error) {
	alias := 0
	if p.Props.has != 0 && p.Props.Has(TopicAlias) {
		if alias = int(p.Props.Num(TopicAlias, 0)); alias > c.s.o.TopicAliases {
			return nil, &Error{AliasInvalid, "MQTT-3.3.2-9", "a topic alias over the maximum"}
		}
		if len(p.Topic) == 0 {
			if alias > len(c.aliases) || c.aliases[alias-1] == nil {
				return nil, protocol("MQTT-3.3.2-12", "a topic alias that has not been set")
			}
			return c.aliases[alias-1], nil
		}
	}
	t := c.last
	if t == nil || t.name != string(p.Topic) {
		if t = c.topics[string(p.Topic)]; t == nil {
			t = c.newTopic(string(p.Topic))
		}
		c.last = t
		p.Checked = append(p.Checked[:0], p.Topic...)
	}
	if alias > 0 {
		for len(c.aliases) < alias {
			c.aliases = append(c.aliases, nil)
		}
		c.aliases[alias-1] = t
	}
	return t, nil
}

func (c *conn) newTopic(name string) *topic {
	t := &topic{name: name, allowed: c.s.o.Access.Publish(&c.client, name), change: ^uint64(0)}
	if c.topics == nil || len(c.topics) >= maxTopics {
		c.topics = make(map[string]*topic, 1)
	}
	c.topics[name] = t
	return t
}

// acknowledged takes the client's answers to messages it got.
func (c *conn) acknowledged(p *Packet) {
	answer, found := c.s.acked(c.sess, p.Type, p.ID, p.Reason)
	if answer == 0 {
		return
	}
	r := Success
	if !found {
		r = IDNotFound
	}
	c.sendAck(answer, p.ID, r)
}

// release takes PUBREL: the identifier of QoS 2 is free again. It cannot
// overtake its own message, since a client sends it after PUBREC only; one that
// does so all the same gets its PUBCOMP.
func (c *conn) release(p *Packet) {
	c.mu.Lock()
	inUse := c.sess.received.n
	found := c.sess.received.remove(p.ID)
	c.mu.Unlock()
	r := Success
	if !found {
		r = IDNotFound
	}
	c.s.noteReleased(c, p.ID, inUse, r)
}

func (c *conn) subscribe(p *Packet) *Error {
	id := p.Props.Num(SubscriptionID, 0)
	reasons := make([]byte, len(p.Filters))
	var fresh []*subscription
	for i, f := range p.Filters {
		name := string(f.Name)
		sub := &subscription{session: c.sess, filter: name, options: f, id: id}
		sub.options.Name = nil
		r, send := c.addSubscription(sub)
		if r == Success {
			r = Reason(f.QoS)
		}
		if c.v < V5 && r.Failed() {
			r = Unspecified
		}
		reasons[i] = byte(r)
		if send && !r.Failed() {
			fresh = append(fresh, sub)
		}
	}
	for _, sub := range fresh { // sent after SUBACK, and written down before it
		c.catchUp(sub)
	}
	if c.s.log.Load().wait() != nil {
		return &Error{Reason: ServerUnavailable, Text: "subscriptions could not be written down"}
	}
	c.sendPacket(&Packet{Type: Suback, ID: p.ID, Reasons: reasons})
	return nil
}

// addSubscription adds or replaces a subscription, and says whether retained
// messages are to be sent.
func (c *conn) addSubscription(sub *subscription) (r Reason, send bool) {
	group, filter := splitShare(sub.filter)
	if !c.s.o.Access.Subscribe(&c.client, filter) {
		c.s.o.Count("subscribe_refused", 1)
		return NotAuthorized, false
	}
	sess := c.sess
	sess.mu.Lock()
	defer sess.mu.Unlock()
	old := sess.subs[sub.filter]
	if old == nil && len(sess.subs) >= c.s.o.MaxSubscriptions {
		c.s.o.Count("subscribe_over_limit", 1)
		return QuotaExceeded, false
	}
	if old != nil {
		c.s.tree.remove(old)
	}
	c.s.tree.add(sub)
	sess.subs[sub.filter] = sub
	if old == nil || old.options.QoS != sub.options.QoS || old.id != sub.id || old.options.NoLocal != sub.options.NoLocal ||
		old.options.RetainAsPublished != sub.options.RetainAsPublished {
		c.s.noteSub(sess, sub, false)
	}
	handling := sub.options.RetainHandling
	return Success, group == "" && (handling == 0 || handling == 1 && old == nil)
}

func (c *conn) unsubscribe(p *Packet) {
	reasons := make([]byte, len(p.Filters))
	c.sess.mu.Lock()
	for i, f := range p.Filters {
		old := c.sess.subs[string(f.Name)]
		if old == nil {
			reasons[i] = byte(NoSubscription)
			continue
		}
		delete(c.sess.subs, old.filter)
		c.s.tree.remove(old)
		c.s.noteSub(c.sess, old, true)
		c.drop(old.filter)
	}
	c.sess.mu.Unlock()
	if c.s.log.Load().wait() != nil {
		return
	}
	c.sendPacket(&Packet{Type: Unsuback, ID: p.ID, Reasons: reasons})
}

func (c *conn) disconnect(p *Packet) error {
	if p.Reason != Success && p.Reason != DisconnectWithWill && c.v == V5 && !codeFromClient(p.Reason) {
		return protocol("MQTT-3.14.2", "a DISCONNECT with a reason that only a server has")
	}
	if p.Props.Has(SessionExpiry) {
		asked := p.Props.Num(SessionExpiry, 0)
		if c.sessionTTL == 0 && asked != 0 {
			return protocol("MQTT-3.14.2-2", "a DISCONNECT that gives a session an expiry that had none")
		}
		c.s.mu.Lock()
		c.sess.expiry = min(time.Duration(asked)*time.Second, c.s.o.MaxSessionExpiry)
		c.s.mu.Unlock()
	}
	c.graceful = p.Reason == Success
	return errGone
}

// codeFromClient says whether a DISCONNECT from a client can have the reason, table 3-13.
func codeFromClient(r Reason) bool {
	switch r {
	case Unspecified, MalformedPacket, ProtocolError, Implementation, TopicInvalid, ReceiveMaxExceeded,
		AliasInvalid, PacketTooLarge, RateTooHigh, QuotaExceeded, AdminAction, PayloadInvalid:
		return true
	}
	return false
}
