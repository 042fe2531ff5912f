package mqtt

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// saved is what the log says: sessions by number, and retained messages.
type saved struct {
	sessions map[uint64]*savedSession
	byID     map[string]*savedSession
	retained map[string]*Message
}

// savedSession is a session as it is written down.
type savedSession struct {
	number    uint64
	id        string
	principal string
	expiry    int64 // us
	away      int64 // since when it has no connection, us; 0: it has one
	will      *Message
	willDelay int64 // us
	subs      map[string]subscription
	behind    map[string]string // by filter: after which topic it is to get what is retained; nil: none is
	queue     []savedMessage    // by seq
	released  *released         // nil: nothing was
}

// savedMessage is a message to a client.
type savedMessage struct {
	seq      uint64
	id       uint16 // 0: not sent yet
	released bool
	qos      byte
	retain   bool
	ids      []uint32
	message  *Message
}

func newSaved() *saved {
	return &saved{sessions: map[uint64]*savedSession{}, byID: map[string]*savedSession{}, retained: map[string]*Message{}}
}

// Kinds of entries: the first byte of a body. The number of the session follows in all but entryRetain and entryUnretain. What
// stands in a kind does not change: what is new is a new kind, at the end, which an older binary passes over and reports.
const (
	entrySession   = iota + 1 // id, principal, expiry: there is such a session, and it has a connection
	entryEnd                  // it is over
	entryAway                 // since, expiry: it has no connection
	entryWill                 // present, [delay, message]
	entrySub                  // filter, options, identifier
	entryUnsub                // filter
	entryQueue                // seq, qos and flags, identifiers, message: it is to be sent
	entrySent                 // seq, packet identifier: it was sent
	entryReleased             // seq: PUBREC has come
	entryDone                 // seq: nothing is left to do
	entryFreed                // packet identifier, how often: PUBREL has come; of older binaries
	entryRetain               // message
	entryUnretain             // topic
	entryBehind               // filter, topic: it is to get what is retained after that
	entryCaught               // filter: it has all
	entryGivenBack            // packet identifier, number, how many are kept: PUBREL has come
	entryKinds                // no kind: from here on there are those of newer binaries
)

func entryOf(dst []byte, kind byte, session uint64, numbers ...uint64) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, kind), session)
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func putBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func putMessage(dst []byte, m *Message) []byte {
	flags := uint64(m.QoS) << 1
	if m.Retain {
		flags |= 1
	}
	dst = binary.AppendUvarint(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(m.Expires))
	return putBytes(putBytes(putBytes(dst, m.Topic), m.props), m.Payload)
}

func putSession(dst []byte, s *savedSession) []byte {
	dst = entryOf(dst, entrySession, s.number)
	return binary.AppendUvarint(putBytes(putBytes(dst, s.id), s.principal), uint64(s.expiry))
}

func putWill(dst []byte, session uint64, will *Message, delayUS int64) []byte {
	if will == nil {
		return entryOf(dst, entryWill, session, 0)
	}
	return putMessage(entryOf(dst, entryWill, session, 1, uint64(delayUS)), will)
}

func putSub(dst []byte, session uint64, s *subscription) []byte {
	o := uint64(s.options.QoS) | uint64(s.options.RetainHandling)<<2
	if s.options.NoLocal {
		o |= 16
	}
	if s.options.RetainAsPublished {
		o |= 32
	}
	return putBytes(entryOf(dst, entrySub, session, o, uint64(s.id)), s.filter)
}

func putBehind(dst []byte, session uint64, filter, after string) []byte {
	return putBytes(putBytes(entryOf(dst, entryBehind, session), filter), after)
}

func putQueued(dst []byte, session uint64, m *savedMessage) []byte {
	flags := uint64(m.qos) << 1
	if m.retain {
		flags |= 1
	}
	dst = entryOf(dst, entryQueue, session, m.seq, flags, uint64(len(m.ids)))
	for _, id := range m.ids {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return putMessage(dst, m.message)
}

func putRetained(dst []byte, m *Message) []byte {
	if len(m.Payload) == 0 {
		return append(append(dst, entryUnretain), m.Topic...)
	}
	return putMessage(append(dst, entryRetain), m)
}

// lasting forgets retained messages that have expired. No entry says that they are no more, so that without it
// a snapshot would grow by each topic that ever had one.
func (m *saved) lasting(nowUS int64) *saved {
	maps.DeleteFunc(m.retained, func(_ string, message *Message) bool { return message.expired(nowUS) })
	return m
}

// append writes everything as entries, in an order of its own.
func (m *saved) append(dst []byte) []byte {
	for _, topic := range slices.Sorted(maps.Keys(m.retained)) {
		dst = appendEntry(dst, func(b []byte) []byte { return putRetained(b, m.retained[topic]) })
	}
	for _, number := range slices.Sorted(maps.Keys(m.sessions)) {
		dst = m.sessions[number].append(dst)
	}
	return dst
}

func (s *savedSession) append(dst []byte) []byte {
	add := func(f func([]byte) []byte) { dst = appendEntry(dst, f) }
	add(func(b []byte) []byte { return putSession(b, s) })
	if s.away != 0 {
		add(func(b []byte) []byte { return entryOf(b, entryAway, s.number, uint64(s.away), uint64(s.expiry)) })
	}
	if s.will != nil {
		add(func(b []byte) []byte { return putWill(b, s.number, s.will, s.willDelay) })
	}
	for _, filter := range slices.Sorted(maps.Keys(s.subs)) {
		sub := s.subs[filter]
		add(func(b []byte) []byte { return putSub(b, s.number, &sub) })
	}
	for _, filter := range slices.Sorted(maps.Keys(s.behind)) {
		add(func(b []byte) []byte { return putBehind(b, s.number, filter, s.behind[filter]) })
	}
	for i := range s.queue {
		q := &s.queue[i]
		add(func(b []byte) []byte { return putQueued(b, s.number, q) })
		if q.id != 0 {
			add(func(b []byte) []byte { return entryOf(b, entrySent, s.number, q.seq, uint64(q.id)) })
		}
		if q.released {
			add(func(b []byte) []byte { return entryOf(b, entryReleased, s.number, q.seq) })
		}
	}
	return s.released.append(dst, s.number)
}

var (
	errEntry = errors.New("mqtt: an entry of the log makes no sense")
	errNewer = errors.New("mqtt: an entry of the log is of a kind that only a newer binary knows")
)

// entryReader reads the numbers and texts of an entry. After the first that is
// not there bad is set, and everything reads as zero.
type entryReader struct {
	b   []byte
	bad bool
}

func (r *entryReader) num() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *entryReader) bytes() []byte {
	n := r.num()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *entryReader) text() string { return string(r.bytes()) }

func (r *entryReader) message() *Message {
	flags := r.num()
	m := &Message{QoS: byte(flags >> 1 & 3), Retain: flags&1 != 0, Expires: int64(r.num())}
	m.Topic, m.props, m.Payload = r.text(), slices.Clone(r.bytes()), slices.Clone(r.bytes())
	if m.Payload == nil {
		m.Payload = []byte{}
	}
	r.bad = r.bad || len(m.Topic) == 0 || m.QoS > 2
	return m
}

// apply takes one entry. What it says of a session that is not there, because the
// entry that began it is damaged, is passed over.
func (m *saved) apply(body []byte) error {
	kind := body[0]
	if kind >= entryKinds {
		return errNewer
	}
	r := entryReader{b: body[1:]}
	switch kind {
	case entryRetain:
		message := r.message()
		if r.bad || len(r.b) > 0 {
			return errEntry
		}
		m.retained[message.Topic] = message
		return nil
	case entryUnretain:
		delete(m.retained, string(r.b))
		return nil
	}
	if len(r.b) < 8 {
		return errEntry
	}
	number := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	if kind == entrySession {
		return m.begin(number, &r)
	}
	s := m.sessions[number]
	if s == nil {
		return nil
	}
	if kind == entryEnd {
		m.drop(s)
		return nil
	}
	s.apply(kind, &r)
	if r.bad || len(r.b) > 0 {
		return errEntry
	}
	return nil
}

func (m *saved) drop(s *savedSession) {
	delete(m.sessions, s.number)
	if m.byID[s.id] == s {
		delete(m.byID, s.id)
	}
}

func (m *saved) begin(number uint64, r *entryReader) error {
	id, principal, expiry := r.text(), r.text(), int64(r.num())
	if r.bad || len(r.b) > 0 || number == 0 {
		return errEntry
	}
	s := m.sessions[number]
	if s == nil {
		if old := m.byID[id]; old != nil {
			m.drop(old)
		}
		s = &savedSession{number: number, subs: map[string]subscription{}}
		m.sessions[number], m.byID[id] = s, s
	}
	s.id, s.principal, s.expiry, s.away = id, principal, expiry, 0
	return nil
}

func (s *savedSession) apply(kind byte, r *entryReader) {
	switch kind {
	case entryAway:
		s.away, s.expiry = int64(r.num()), int64(r.num())
	case entryWill:
		s.will, s.willDelay = nil, 0
		if r.num() == 1 {
			s.willDelay, s.will = int64(r.num()), r.message()
		}
	case entrySub:
		o, id := r.num(), uint32(r.num())
		sub := subscription{filter: r.text(), id: id}
		sub.options.QoS, sub.options.RetainHandling = byte(o&3), byte(o>>2&3)
		sub.options.NoLocal, sub.options.RetainAsPublished = o&16 != 0, o&32 != 0
		r.bad = r.bad || sub.options.QoS > 2 || !ValidFilter(sub.filter)
		if !r.bad {
			s.subs[sub.filter] = sub
		}
	case entryUnsub:
		filter := r.text()
		delete(s.subs, filter)
		delete(s.behind, filter)
	case entryBehind:
		filter, after := r.text(), r.text()
		if _, found := s.subs[filter]; found && !r.bad {
			if s.behind == nil {
				s.behind = map[string]string{}
			}
			s.behind[filter] = after
		}
	case entryCaught:
		delete(s.behind, r.text())
	case entryQueue:
		s.enqueue(r)
	case entryFreed, entryGivenBack:
		s.givenBack(kind, r)
	case entrySent, entryReleased, entryDone:
		s.advance(kind, r)
	default:
		r.bad = true
	}
}

func (s *savedSession) givenBack(kind byte, r *entryReader) {
	if s.released == nil {
		s.released = &released{}
	}
	if id, n := r.num(), uint32(r.num()); kind == entryFreed {
		s.released.noteOlder(id, n)
	} else {
		s.released.note(release{uint16(id), n}, int(min(r.num(), mostReleased)))
	}
}

func (s *savedSession) enqueue(r *entryReader) {
	q := savedMessage{seq: r.num()}
	flags := r.num()
	q.qos, q.retain = byte(flags>>1&3), flags&1 != 0
	for n := r.num(); n > 0 && !r.bad; n-- {
		q.ids = append(q.ids, uint32(r.num()))
	}
	q.message = r.message()
	_, found := s.find(q.seq)
	if r.bad || found {
		return
	}
	s.queue = append(s.queue, q)
	if n := len(s.queue); n > 1 && s.queue[n-2].seq > q.seq {
		slices.SortFunc(s.queue, func(a, b savedMessage) int { return int(int64(a.seq - b.seq)) })
	}
}

func (s *savedSession) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.queue, seq, func(m savedMessage, seq uint64) int { return int(int64(m.seq - seq)) })
}

func (s *savedSession) advance(kind byte, r *entryReader) {
	i, found := s.find(r.num())
	id := uint16(0)
	if kind == entrySent {
		id = uint16(r.num())
	}
	switch {
	case !found || r.bad:
	case kind == entrySent:
		s.queue[i].id = id
	case kind == entryReleased:
		s.queue[i].released = true
	default:
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}
