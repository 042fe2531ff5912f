package mqtt

import (
	"encoding/binary"
	"math/bits"
)

// Property is the identifier of a property of MQTT 5.0, section 2.2.2.2.
type Property byte

// The properties.
const (
	PayloadFormat       Property = 0x01
	MessageExpiry       Property = 0x02
	ContentType         Property = 0x03
	ResponseTopic       Property = 0x08
	CorrelationData     Property = 0x09
	SubscriptionID      Property = 0x0B
	SessionExpiry       Property = 0x11
	AssignedClientID    Property = 0x12
	ServerKeepAlive     Property = 0x13
	AuthMethod          Property = 0x15
	AuthData            Property = 0x16
	RequestProblemInfo  Property = 0x17
	WillDelay           Property = 0x18
	RequestResponseInfo Property = 0x19
	ResponseInfo        Property = 0x1A
	ServerReference     Property = 0x1C
	ReasonString        Property = 0x1F
	ReceiveMaximum      Property = 0x21
	TopicAliasMaximum   Property = 0x22
	TopicAlias          Property = 0x23
	MaximumQoS          Property = 0x24
	RetainAvailable     Property = 0x25
	UserProperty        Property = 0x26
	MaximumPacketSize   Property = 0x27
	WildcardAvailable   Property = 0x28
	SubIDAvailable      Property = 0x29
	SharedAvailable     Property = 0x2A
)

// Pair is a user property.
type Pair struct{ Key, Value []byte }

// Props are the properties of a packet. A number is in Num, a text or bytes in
// Text, both by Property; what may stand several times has a list of its own.
type Props struct {
	has  uint64 // bit by Property
	num  [0x2B]uint32
	text [0x20][]byte
	// SubscriptionIDs and User keep their order.
	SubscriptionIDs []uint32
	User            []Pair
}

func (p *Props) reset() {
	p.has = 0
	p.SubscriptionIDs, p.User = p.SubscriptionIDs[:0], p.User[:0]
}

// Has says whether a property is there.
func (p *Props) Has(id Property) bool { return p.has>>id&1 != 0 }

// Num returns the value of a numeric property, or absent when it is not there.
func (p *Props) Num(id Property, absent uint32) uint32 {
	if !p.Has(id) {
		return absent
	}
	return p.num[id]
}

// Text returns the value of a property that is a text or bytes; nil when it is not there.
func (p *Props) Text(id Property) []byte {
	if !p.Has(id) {
		return nil
	}
	return p.text[id]
}

// SetNum sets a numeric property.
func (p *Props) SetNum(id Property, v uint32) { p.has |= 1 << id; p.num[id] = v }

// SetText sets a property that is a text or bytes.
func (p *Props) SetText(id Property, v []byte) { p.has |= 1 << id; p.text[id] = v }

// AddUser adds a user property.
func (p *Props) AddUser(key, value []byte) {
	p.has |= 1 << UserProperty
	p.User = append(p.User, Pair{key, value})
}

type form byte

const (
	formByte form = iota + 1
	formU16
	formU32
	formVarint
	formText
	formBytes
	formPair
)

// will stands for the will's properties in a set of packet types.
const will = 0

type rule struct {
	form form
	in   uint32 // bit by Type
}

func in(types ...Type) uint32 {
	set := uint32(0)
	for _, t := range types {
		set |= 1 << t
	}
	return set
}

// rules is table 2-4.
func rules() [0x2B]rule {
	acks := in(Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth)
	return [0x2B]rule{
		PayloadFormat:       {formByte, in(Publish, will)},
		MessageExpiry:       {formU32, in(Publish, will)},
		ContentType:         {formText, in(Publish, will)},
		ResponseTopic:       {formText, in(Publish, will)},
		CorrelationData:     {formBytes, in(Publish, will)},
		SubscriptionID:      {formVarint, in(Publish, Subscribe)},
		SessionExpiry:       {formU32, in(Connect, Connack, Disconnect)},
		AssignedClientID:    {formText, in(Connack)},
		ServerKeepAlive:     {formU16, in(Connack)},
		AuthMethod:          {formText, in(Connect, Connack, Auth)},
		AuthData:            {formBytes, in(Connect, Connack, Auth)},
		RequestProblemInfo:  {formByte, in(Connect)},
		WillDelay:           {formU32, in(will)},
		RequestResponseInfo: {formByte, in(Connect)},
		ResponseInfo:        {formText, in(Connack)},
		ServerReference:     {formText, in(Connack, Disconnect)},
		ReasonString:        {formText, acks},
		ReceiveMaximum:      {formU16, in(Connect, Connack)},
		TopicAliasMaximum:   {formU16, in(Connect, Connack)},
		TopicAlias:          {formU16, in(Publish)},
		MaximumQoS:          {formByte, in(Connack)},
		RetainAvailable:     {formByte, in(Connack)},
		UserProperty:        {formPair, acks | in(Connect, Publish, will, Subscribe, Unsubscribe)},
		MaximumPacketSize:   {formU32, in(Connect, Connack)},
		WildcardAvailable:   {formByte, in(Connack)},
		SubIDAvailable:      {formByte, in(Connack)},
		SharedAvailable:     {formByte, in(Connack)},
	}
}

var propertyRules = rules()

// DecodeProps decodes a property section without its length, as it stands in
// a packet of type t; 0 stands for a will.
func DecodeProps(b []byte, t Type, p *Props) error {
	p.reset()
	if err := p.decode(&cursor{b: b}, t); err != nil {
		return err
	}
	return nil
}

func (p *Props) decode(c *cursor, t Type) *Error {
	for len(c.b) > 0 {
		id := Property(c.varint())
		if c.bad != nil {
			return c.bad
		}
		if int(id) >= len(propertyRules) || propertyRules[id].form == 0 {
			return malformed("MQTT-2.2.2-2", "there is no such property")
		}
		if propertyRules[id].in>>t&1 == 0 {
			return malformed("MQTT-2.2.2-2", "a property that this packet cannot have")
		}
		if p.Has(id) && id != UserProperty && (id != SubscriptionID || t != Publish) {
			return protocol("MQTT-2.2.2-2", "a property stands twice")
		}
		p.value(c, id)
		if c.bad == nil {
			c.bad = p.check(id)
		}
		if c.bad != nil {
			return c.bad
		}
	}
	return nil
}

func (p *Props) value(c *cursor, id Property) {
	p.has |= 1 << id
	switch propertyRules[id].form {
	case formByte:
		p.num[id] = uint32(c.byte())
	case formU16:
		p.num[id] = uint32(c.u16())
	case formU32:
		p.num[id] = c.u32()
	case formVarint:
		v := c.varint()
		p.num[id] = v
		p.SubscriptionIDs = append(p.SubscriptionIDs, v)
	case formText:
		p.text[id] = c.text()
	case formBytes:
		p.text[id] = c.bytes()
	case formPair:
		p.User = append(p.User, Pair{c.text(), c.text()})
	}
}

// check looks at the value that was read last.
func (p *Props) check(id Property) *Error {
	switch id {
	case PayloadFormat, RequestProblemInfo, RequestResponseInfo, MaximumQoS, RetainAvailable, WildcardAvailable, SubIDAvailable, SharedAvailable:
		if p.num[id] > 1 {
			return protocol("MQTT-2.2.2", "a property that is 0 or 1 has another value")
		}
	case ReceiveMaximum, MaximumPacketSize, SubscriptionID:
		if p.num[id] == 0 {
			return protocol("MQTT-3.1.2", "a property that must not be 0 is 0")
		}
	case TopicAlias:
		if p.num[id] == 0 {
			return &Error{AliasInvalid, "MQTT-3.3.2-8", "topic alias 0"}
		}
	case ResponseTopic:
		if !validTopic(p.text[id]) {
			return protocol("MQTT-3.3.2-14", "the response topic is empty or has a wildcard")
		}
	}
	return nil
}

// size is how many bytes the section has, without its length.
func (p *Props) size() int {
	n := 0
	for rest := p.has; rest != 0; rest &= rest - 1 {
		id := Property(bits.TrailingZeros64(rest))
		switch propertyRules[id].form {
		case formByte:
			n += 2
		case formU16:
			n += 3
		case formU32:
			n += 5
		case formVarint:
			for _, v := range p.SubscriptionIDs {
				n += 1 + varintSize(v)
			}
		case formText, formBytes:
			n += 3 + len(p.text[id])
		case formPair:
			for _, u := range p.User {
				n += 5 + len(u.Key) + len(u.Value)
			}
		}
	}
	return n
}

// append writes the section without its length, in the order of identifiers.
func (p *Props) append(dst []byte) []byte {
	for rest := p.has; rest != 0; rest &= rest - 1 {
		id := Property(bits.TrailingZeros64(rest))
		switch propertyRules[id].form {
		case formByte:
			dst = append(dst, byte(id), byte(p.num[id]))
		case formU16:
			dst = binary.BigEndian.AppendUint16(append(dst, byte(id)), uint16(p.num[id]))
		case formU32:
			dst = binary.BigEndian.AppendUint32(append(dst, byte(id)), p.num[id])
		case formVarint:
			for _, v := range p.SubscriptionIDs {
				dst = appendVarint(append(dst, byte(id)), v)
			}
		case formText, formBytes:
			dst = appendText(append(dst, byte(id)), p.text[id])
		case formPair:
			for _, u := range p.User {
				dst = appendText(appendText(append(dst, byte(id)), u.Key), u.Value)
			}
		}
	}
	return dst
}
