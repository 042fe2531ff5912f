package mqtt

import "slices"

// route delivers a message to whom it concerns, and keeps it when it is retained. stored: something of that
// is being written down.
func (s *Server) route(t *topic, p *Packet, nowUS int64, from *session) (stored bool) {
	if t.change != s.tree.change.Load() {
		clear(t.hits)
		t.hits, t.change = s.tree.match(t.name, t.hits[:0])
	}
	if len(t.hits) == 0 && !p.Retain {
		return false
	}
	m := newMessage(t.name, p.Payload, p.QoS, p.Retain, &p.Props, nowUS, from)
	if p.Retain {
		stored = s.retain(m)
	}
	return s.spread(m, t.hits) || stored
}

func (s *Server) retain(m *Message) (stored bool) {
	s.retaining.Lock() // what is written down last is what is there
	defer s.retaining.Unlock()
	changed, ok := s.retained.set(m, s.o.Env.Clock.Now().UnixMicro())
	if !ok {
		s.o.Count("retained_over_limit", 1)
	}
	if changed {
		s.noteRetained(m)
	}
	return ok && s.log.Load() != nil // also where nothing changed: what did before may not be on disk yet
}

// spread delivers m to each session that is hit, once (MQTT-3.3.4-2): at the
// highest QoS of its subscriptions, with all their identifiers.
func (s *Server) spread(m *Message, hits []hit) (stored bool) {
	if len(hits) == 1 && hits[0].sub != nil { // nearly always
		return s.one(m, hits)
	}
	bySession := make(map[*session][]hit, len(hits))
	var order []*session
	for _, h := range hits {
		sub := h.sub
		if h.group != nil {
			if sub = s.tree.pick(h.group); sub == nil {
				continue
			}
		}
		if bySession[sub.session] == nil {
			order = append(order, sub.session)
		}
		bySession[sub.session] = append(bySession[sub.session], hit{sub: sub, group: h.group})
	}
	for _, sess := range order {
		stored = s.one(m, bySession[sess]) || stored
	}
	return stored
}

// one delivers m to the one session that all hits are of. What comes by a shared subscription is
// a message of its own, since the share would lose it otherwise.
func (s *Server) one(m *Message, hits []hit) (stored bool) {
	o := outbound{message: m}
	any := false
	for _, h := range hits {
		sub := h.sub
		if sub.options.NoLocal && sub.session == m.from {
			continue
		}
		retain := m.Retain && sub.options.RetainAsPublished
		qos := min(m.QoS, sub.options.QoS)
		if h.group != nil {
			shared := outbound{message: m, qos: qos, retain: retain}
			if sub.id != 0 {
				shared.ids = []uint32{sub.id}
			}
			stored = s.deliver(sub.session, shared) || stored
			continue
		}
		any = true
		o.qos, o.retain = max(o.qos, qos), o.retain || retain
		if sub.id != 0 && !slices.Contains(o.ids, sub.id) {
			o.ids = append(o.ids, sub.id)
		}
	}
	if any {
		stored = s.deliver(hits[0].sub.session, o) || stored
	}
	return stored
}

// publishWill publishes what a session left to be published; nil: nothing.
func (s *Server) publishWill(sess *session, m *Message) {
	if m == nil {
		return
	}
	s.o.Count("wills", 1)
	published := func(err error) {
		if err != nil {
			s.o.Count("not_durable", 1)
			return
		}
		s.noteWill(sess)
	}
	defer s.Publish(m)
	if s.o.Inlet == nil {
		published(nil)
		return
	}
	c := &Client{ID: sess.id, Principal: sess.principal}
	batch := []Inbound{{Topic: m.Topic, Payload: m.Payload, Client: c, Received: s.o.Env.Clock.Now().UnixMicro(),
		QoS: m.QoS, Retain: m.Retain, Memo: new(int32), Props: m.props}}
	if err := s.o.Inlet.Append(batch, published); err != nil {
		published(err)
	}
}

// Publish delivers a message to the subscribers, and keeps it when it is
// retained. It does not pass the inlet. m must not change afterwards. Safe for
// concurrent use; it does not wait: what a session has no room for is dropped and counted.
func (s *Server) Publish(m *Message) {
	if m.Retain {
		s.retain(m)
	}
	hits, _ := s.tree.match(m.Topic, nil)
	if len(hits) > 0 {
		s.spread(m, hits)
	}
}
