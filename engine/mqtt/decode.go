package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// cursor reads values from the front of a slice. The first problem stays.
type cursor struct {
	b   []byte
	bad *Error
}

func (c *cursor) fail(e *Error) {
	if c.bad == nil {
		c.bad = e
	}
	c.b = nil
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.fail(malformed("MQTT-1.5", "the packet ends in the middle of a value"))
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if v := c.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) bytes() []byte { return c.take(int(c.u16())) }

// text reads a UTF-8 string, section 1.5.4.
func (c *cursor) text() []byte {
	v := c.bytes()
	if !utf8.Valid(v) {
		c.fail(malformed("MQTT-1.5.4-1", "a text is not UTF-8"))
	} else if bytes.IndexByte(v, 0) >= 0 {
		c.fail(malformed("MQTT-1.5.4-2", "a text contains U+0000"))
	}
	return v
}

// varint reads a variable byte integer, section 1.5.5.
func (c *cursor) varint() uint32 {
	v, n := varint(c.b)
	switch {
	case n < 0:
		c.fail(malformed("MQTT-1.5.5-1", "a variable byte integer is longer than it need be"))
		return 0
	case n == 0:
		c.fail(malformed("MQTT-1.5", "the packet ends in the middle of a value"))
		return 0
	}
	c.b = c.b[n:]
	return v
}

// varint returns the integer that b begins with and how many bytes it has: 0
// when b is too short, -1 when it is not well formed.
func varint(b []byte) (v uint32, n int) {
	for i, x := range b[:min(len(b), 4)] {
		v |= uint32(x&0x7f) << (7 * i)
		if x < 0x80 {
			if x == 0 && i > 0 {
				return 0, -1
			}
			return v, i + 1
		}
	}
	if len(b) >= 4 {
		return 0, -1
	}
	return 0, 0
}

// Size returns how many bytes the packet at the front of b has, header
// included, and where its body begins; 0 when b does not tell yet.
func Size(b []byte) (size, header int, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	if b[1] < 0x80 { // nearly all packets
		return 2 + int(b[1]), 2, nil
	}
	v, n := varint(b[1:])
	if n < 0 {
		return 0, 0, malformed("MQTT-2.1.4-1", "the remaining length is not well formed")
	}
	if n == 0 {
		return 0, 0, nil
	}
	return 1 + n + int(v), 1 + n, nil
}

// Decode decodes the packet at the front of b into p and returns how many
// bytes it has; 0 when it is not there whole. v is the version of the
// connection; CONNECT tells its own. Every other error is an *Error, found as
// early as the bytes allow: an overlong packet by its header alone.
func Decode(b []byte, v Version, lim Limits, p *Packet) (int, error) {
	if n := p.another(b, v, lim); n > 0 {
		return n, nil
	}
	if len(b) > 0 {
		if err := checkHeader(b[0], v); err != nil {
			return 0, err
		}
	}
	size, header, err := Size(b)
	if err != nil || size == 0 {
		return 0, err
	}
	if lim.Packet > 0 && size > lim.Packet {
		return 0, &Error{PacketTooLarge, "MQTT-3.1.2-24", "the packet is larger than the limit"}
	}
	if len(b) < size {
		return 0, nil
	}
	p.reset()
	p.Type = Type(b[0] >> 4)
	c := cursor{b: b[header:size:size]}
	if p.Type == Publish {
		p.publish(&c, b[0], v)
	} else {
		p.body(&c, v)
	}
	if c.bad == nil && len(c.b) > 0 {
		c.bad = malformed("MQTT-2.1.4", "there are bytes after the end of the packet's content")
	}
	if c.bad == nil {
		c.bad = p.names(lim)
	}
	if c.bad != nil {
		return 0, c.bad
	}
	return size, nil
}

// another decodes, with a third of the work, what most packets are: one more PUBLISH of QoS 1 to the topic that is known to be well formed
// (Checked), of less than 16 KiB, without properties. It returns 0, and leaves p alone, for everything else, and for what is not there whole
// or not well formed.
func (p *Packet) another(b []byte, v Version, lim Limits) int {
	const dup, retain = 8, 1
	if len(b) < 5 || b[0]&^(dup|retain) != byte(Publish)<<4|1<<1 || len(p.Checked) == 0 {
		return 0
	}
	size, at := int(b[1]), 2
	if size >= 0x80 {
		size, at = size&0x7f|int(b[2])<<7, 3
		if b[2] == 0 || b[2] >= 0x80 {
			return 0
		}
	}
	size += at
	if size > len(b) || lim.Packet > 0 && size > lim.Packet {
		return 0
	}
	topic := at + 2
	id := topic + len(p.Checked)
	payload := id + 2
	if v == V5 {
		payload++
	}
	if payload > size || int(binary.BigEndian.Uint16(b[at:])) != len(p.Checked) || string(b[topic:id]) != string(p.Checked) {
		return 0
	}
	number := binary.BigEndian.Uint16(b[id:])
	if number == 0 || v == V5 && b[payload-1] != 0 {
		return 0
	}
	p.reset()
	p.Type, p.QoS, p.Dup, p.Retain, p.ID = Publish, 1, b[0]&dup != 0, b[0]&retain != 0, number
	p.Topic, p.Payload = b[topic:id:id], b[payload:size:size]
	if v == V5 {
		p.RawProps = b[payload:payload:payload]
	}
	return size
}

// checkHeader looks at the first byte of a packet.
func checkHeader(first byte, v Version) *Error {
	t, flags := Type(first>>4), first&15
	switch {
	case t == 0 || t == Auth && v < V5:
		return malformed("MQTT-2.1.2", "a packet of a reserved type")
	case t == Publish && flags>>1&3 == 3:
		return malformed("MQTT-3.3.1-4", "a PUBLISH of QoS 3")
	case t == Publish && flags&8 != 0 && flags>>1&3 == 0:
		return malformed("MQTT-3.3.1-2", "a PUBLISH of QoS 0 that says it is sent again")
	case t != Publish && flags != flagsOf(t):
		return malformed("MQTT-2.1.3-1", "the reserved flags of a "+t.String()+" are not as they must be")
	}
	return nil
}

func (p *Packet) publish(c *cursor, first byte, v Version) {
	p.Dup, p.QoS, p.Retain = first&8 != 0, first>>1&3, first&1 != 0
	p.Topic = c.bytes()
	if p.QoS > 0 {
		p.id(c)
	}
	if v == V5 {
		p.RawProps = c.section()
		if len(p.RawProps) > 0 {
			p.sectionOf(c, p.RawProps, Publish, &p.Props)
		}
	}
	p.Payload, c.b = c.b, nil
}

func (p *Packet) id(c *cursor) {
	p.ID = c.u16()
	if p.ID == 0 && c.bad == nil {
		c.fail(malformed("MQTT-2.2.1-3", "packet identifier 0"))
	}
}

// section reads a property section's length and returns its bytes.
func (c *cursor) section() []byte { return c.take(int(c.varint())) }

func (p *Packet) sectionOf(c *cursor, raw []byte, t Type, into *Props) {
	if c.bad == nil {
		if err := into.decode(&cursor{b: raw}, t); err != nil {
			c.fail(err)
		}
	}
}

func (p *Packet) body(c *cursor, v Version) {
	switch p.Type {
	case Connect:
		p.connect(c)
	case Connack:
		p.connack(c, v)
	case Puback, Pubrec, Pubrel, Pubcomp:
		p.id(c)
		if v == V5 && len(c.b) > 0 {
			p.reason(c)
		}
	case Subscribe, Unsubscribe:
		p.subscribe(c, v)
	case Suback, Unsuback:
		p.id(c)
		if v == V5 {
			p.sectionOf(c, c.section(), p.Type, &p.Props)
		}
		if v == V5 || p.Type == Suback {
			p.results(c, v)
		}
	case Disconnect, Auth:
		if v == V5 && len(c.b) > 0 {
			p.reason(c)
		}
	}
}

// reason reads a reason code and, where there is more, properties.
func (p *Packet) reason(c *cursor) {
	p.Reason = Reason(c.byte())
	if !codeOf(p.Type, p.Reason) {
		c.fail(malformed("MQTT-2.4", "a reason code that a "+p.Type.String()+" cannot have"))
	}
	if len(c.b) > 0 {
		p.sectionOf(c, c.section(), p.Type, &p.Props)
	}
	if p.Type == Auth && c.bad == nil && !p.Props.Has(AuthMethod) && p.Reason != Success {
		c.fail(protocol("MQTT-4.12.0-2", "an AUTH without an authentication method"))
	}
}

// codeOf says whether a packet of type t can have the reason code.
func codeOf(t Type, r Reason) bool {
	var codes []Reason
	switch t {
	case Puback, Pubrec:
		codes = []Reason{Success, NoMatching, Unspecified, Implementation, NotAuthorized, TopicInvalid, IDInUse, QuotaExceeded, PayloadInvalid}
	case Pubrel, Pubcomp:
		codes = []Reason{Success, IDNotFound}
	case Auth:
		codes = []Reason{Success, ContinueAuth, Reauthenticate}
	case Suback:
		codes = []Reason{Success, GrantedQoS1, GrantedQoS2, Unspecified, Implementation, NotAuthorized, FilterInvalid, IDInUse, QuotaExceeded, SharedNotSupported, SubIDsNotSupported, WildcardUnsupported}
	case Unsuback:
		codes = []Reason{Success, NoSubscription, Unspecified, Implementation, NotAuthorized, FilterInvalid, IDInUse}
	case Disconnect:
		return r == Success || r == DisconnectWithWill || r >= Unspecified && r <= WildcardUnsupported &&
			bytes.IndexByte([]byte{0x84, 0x85, 0x86, 0x88, 0x8A, 0x8C, 0x91, 0x92}, byte(r)) < 0
	case Connack:
		return r == Success || r >= Unspecified && r <= ConnectionRate &&
			bytes.IndexByte([]byte{0x8B, 0x8D, 0x8E, 0x8F, 0x91, 0x92, 0x93, 0x94, 0x96, 0x98, 0x9E}, byte(r)) < 0
	}
	for _, code := range codes {
		if code == r {
			return true
		}
	}
	return false
}

func (p *Packet) connack(c *cursor, v Version) {
	flags := c.byte()
	p.SessionPresent = flags == 1
	if flags > 1 {
		c.fail(malformed("MQTT-3.2.2-1", "reserved flags of CONNACK are set"))
	}
	p.Reason = Reason(c.byte())
	if p.Reason != 0 && p.SessionPresent {
		c.fail(protocol("MQTT-3.2.2-6", "a refused connection with a session"))
	}
	if v == V5 {
		if !codeOf(Connack, p.Reason) {
			c.fail(malformed("MQTT-3.2.2-8", "a reason code that a CONNACK cannot have"))
		}
		p.sectionOf(c, c.section(), Connack, &p.Props)
	} else if p.Reason > 5 {
		c.fail(malformed("MQTT-3.2.2-6", "a reserved return code"))
	}
}

func (p *Packet) subscribe(c *cursor, v Version) {
	p.id(c)
	if v == V5 {
		p.sectionOf(c, c.section(), p.Type, &p.Props)
	}
	for first := true; first || len(c.b) > 0; first = false {
		if len(c.b) == 0 && c.bad == nil {
			c.fail(protocol("MQTT-3.8.3-2", "a "+p.Type.String()+" without a topic filter"))
			return
		}
		f := Filter{Name: c.text()}
		if p.Type == Subscribe {
			o := c.byte()
			f.QoS = o & 3
			f.NoLocal, f.RetainAsPublished, f.RetainHandling = o&4 != 0, o&8 != 0, o>>4&3
			if f.QoS == 3 || o > 0x3f || f.RetainHandling == 3 || v < V5 && o > 2 {
				c.fail(malformed("MQTT-3.8.3-5", "subscription options that do not exist"))
			}
		}
		p.Filters = append(p.Filters, f)
	}
}

func (p *Packet) results(c *cursor, v Version) {
	if len(c.b) == 0 && c.bad == nil {
		c.fail(protocol("MQTT-3.9.3-1", "a "+p.Type.String()+" without reason codes"))
	}
	for _, r := range c.b {
		if v == V5 && !codeOf(p.Type, Reason(r)) || v < V5 && r > 2 && r != 0x80 {
			c.fail(malformed("MQTT-3.9.3-2", "a reason code that a "+p.Type.String()+" cannot have"))
			return
		}
	}
	p.Reasons, c.b = append(p.Reasons, c.b...), nil
}

// names checks topics and filters, after everything else has been found well formed.
func (p *Packet) names(lim Limits) *Error {
	switch p.Type {
	case Publish:
		return p.topic(lim)
	case Subscribe, Unsubscribe:
		for i := range p.Filters {
			f := &p.Filters[i]
			if !ValidFilter(string(f.Name)) || lim.Levels > 0 && levels(f.Name) > lim.Levels {
				return &Error{FilterInvalid, "MQTT-4.7.1-1", "a topic filter is empty, has a wildcard in a wrong place, or too many levels"}
			}
			if f.NoLocal && bytes.HasPrefix(f.Name, []byte(sharePrefix)) {
				return protocol("MQTT-3.8.3-4", "a shared subscription with No Local")
			}
		}
	case Connect:
		if l := &p.Login; l.HasWill && (!validTopic(l.WillTopic) || lim.Levels > 0 && levels(l.WillTopic) > lim.Levels) {
			return &Error{TopicInvalid, "MQTT-4.7.3-1", "the will's topic is empty, has a wildcard, or too many levels"}
		}
	}
	return nil
}

func (p *Packet) topic(lim Limits) *Error {
	t := p.Topic
	switch {
	case len(t) > 0 && bytes.Equal(t, p.Checked):
		return nil
	case len(t) == 0 && p.Props.Has(TopicAlias):
		return nil
	case len(t) == 0:
		return protocol("MQTT-4.7.3-1", "an empty topic without a topic alias")
	case !utf8.Valid(t):
		return malformed("MQTT-1.5.4-1", "the topic is not UTF-8")
	case bytes.IndexByte(t, 0) >= 0:
		return malformed("MQTT-1.5.4-2", "the topic contains U+0000")
	case !validTopic(t):
		return &Error{TopicInvalid, "MQTT-3.3.2-2", "the topic of a PUBLISH has a wildcard"}
	case lim.Levels > 0 && levels(t) > lim.Levels:
		return &Error{TopicInvalid, "MQTT-4.7.3", "the topic has too many levels"}
	}
	return nil
}
