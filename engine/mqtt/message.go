package mqtt

import "encoding/binary"

// Message is what goes to subscribers. Immutable, and shared by all of them.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	// Expires is when the message is no longer worth delivering, us since 1970; 0: never.
	Expires int64

	props []byte   // encoded, without expiry, topic alias and subscription identifiers
	from  *session // who published it; nil: the engine
}

const ownProps = 1<<MessageExpiry | 1<<TopicAlias | 1<<SubscriptionID

// newMessage copies a message out of the read buffer.
func newMessage(topic string, payload []byte, qos byte, retain bool, p *Props, nowUS int64, from *session) *Message {
	m := &Message{Topic: topic, QoS: qos, Retain: retain, from: from}
	m.Payload = append(make([]byte, 0, len(payload)), payload...)
	if p.Has(MessageExpiry) {
		m.Expires = nowUS + int64(p.Num(MessageExpiry, 0))*1_000_000
	}
	if p.has&^ownProps != 0 {
		had := p.has
		p.has &^= ownProps
		m.props = p.append(make([]byte, 0, p.size()))
		p.has = had
	}
	return m
}

func (m *Message) size() int { return len(m.Topic) + len(m.Payload) + len(m.props) + 64 }

func (m *Message) expired(nowUS int64) bool { return m.Expires != 0 && nowUS >= m.Expires }

// outbound is a message on its way to one session.
type outbound struct {
	message *Message
	ids     []uint32 // subscription identifiers
	id      uint16   // packet identifier, once it is in flight
	qos     byte
	retain  bool
	// released says of QoS 2 that PUBREC has come: the message is not sent again, PUBREL is.
	released bool
	seq      uint64 // where it is written down; 0: nowhere
}

// append encodes the PUBLISH.
func (o *outbound) append(dst []byte, v Version, dup bool, by alias, nowUS int64) []byte {
	m, topic := o.message, o.message.Topic
	if by.known {
		topic = ""
	}
	first := byte(Publish)<<4 | o.qos<<1
	if dup {
		first |= 8
	}
	if o.retain {
		first |= 1
	}
	n := 2 + len(topic) + len(m.Payload)
	if o.qos > 0 {
		n += 2
	}
	section := len(m.props)
	if m.Expires != 0 {
		section += 5
	}
	if by.number != 0 {
		section += 3
	}
	for _, id := range o.ids {
		section += 1 + varintSize(id)
	}
	if v == V5 {
		n += varintSize(uint32(section)) + section
	}
	dst = appendText(appendVarint(append(dst, first), uint32(n)), topic)
	if o.qos > 0 {
		dst = binary.BigEndian.AppendUint16(dst, o.id)
	}
	if v == V5 {
		dst = append(appendVarint(dst, uint32(section)), m.props...)
		if m.Expires != 0 {
			left := max(m.Expires-nowUS, 0) / 1_000_000
			dst = binary.BigEndian.AppendUint32(append(dst, byte(MessageExpiry)), uint32(left))
		}
		if by.number != 0 {
			dst = binary.BigEndian.AppendUint16(append(dst, byte(TopicAlias)), by.number)
		}
		for _, id := range o.ids {
			dst = appendVarint(append(dst, byte(SubscriptionID)), id)
		}
	}
	return append(dst, m.Payload...)
}
