package mqtt

import "encoding/binary"

func varintSize(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func (p *Props) appendSection(dst []byte) []byte {
	return p.append(appendVarint(dst, uint32(p.size())))
}

// Append appends the packet's bytes. What it is given must be possible: it
// checks nothing. A text over 65,535 bytes is a bug of the caller.
func Append(dst []byte, p *Packet, v Version) []byte {
	first := byte(p.Type)<<4 | flagsOf(p.Type)
	if p.Type == Publish {
		first = byte(Publish)<<4 | p.QoS<<1
		if p.Dup {
			first |= 8
		}
		if p.Retain {
			first |= 1
		}
	}
	// The body goes behind room for the longest length and is moved up when the length is known.
	at := len(dst)
	dst = append(dst, first, 0, 0, 0, 0)
	dst = p.appendBody(dst, v)
	n := len(dst) - at - 5
	if n > 268_435_455 {
		panic("BUG: a packet that is too long to be one")
	}
	head := appendVarint(dst[at+1:at+1], uint32(n))
	return append(dst[:at+1+len(head)], dst[at+5:]...)
}

func (p *Packet) appendBody(dst []byte, v Version) []byte {
	switch p.Type {
	case Connect:
		return p.appendConnect(dst)
	case Connack:
		present := byte(0)
		if p.SessionPresent {
			present = 1
		}
		dst = append(dst, present, byte(p.Reason))
		if v == V5 {
			dst = p.Props.appendSection(dst)
		}
	case Publish:
		dst = appendText(dst, p.Topic)
		if p.QoS > 0 {
			dst = binary.BigEndian.AppendUint16(dst, p.ID)
		}
		if v == V5 {
			dst = p.Props.appendSection(dst)
		}
		dst = append(dst, p.Payload...)
	case Puback, Pubrec, Pubrel, Pubcomp:
		dst = p.appendReason(binary.BigEndian.AppendUint16(dst, p.ID), v)
	case Subscribe, Unsubscribe, Suback, Unsuback:
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
		if v == V5 {
			dst = p.Props.appendSection(dst)
		}
		if p.Type == Suback || v == V5 {
			dst = append(dst, p.Reasons...)
		}
		for _, f := range p.Filters {
			dst = appendText(dst, f.Name)
			if p.Type == Subscribe {
				dst = append(dst, f.options())
			}
		}
	case Disconnect, Auth:
		dst = p.appendReason(dst, v)
	}
	return dst
}

// appendReason leaves out what 5.0 allows to leave out.
func (p *Packet) appendReason(dst []byte, v Version) []byte {
	if v < V5 || p.Reason == Success && p.Props.has == 0 {
		return dst
	}
	dst = append(dst, byte(p.Reason))
	if p.Props.has != 0 {
		dst = p.Props.appendSection(dst)
	}
	return dst
}

func (f *Filter) options() byte {
	o := f.QoS | f.RetainHandling<<4
	if f.NoLocal {
		o |= 4
	}
	if f.RetainAsPublished {
		o |= 8
	}
	return o
}

func (p *Packet) appendConnect(dst []byte) []byte {
	l := &p.Login
	flags := l.WillQoS << 3
	for _, f := range []struct {
		set bool
		bit byte
	}{{l.CleanStart, 2}, {l.HasWill, 4}, {l.WillRetain, 0x20}, {l.HasPassword, 0x40}, {l.HasUser, 0x80}} {
		if f.set {
			flags |= f.bit
		}
	}
	dst = appendText(dst, "MQTT")
	dst = binary.BigEndian.AppendUint16(append(dst, byte(l.Version), flags), l.KeepAlive)
	if l.Version == V5 {
		dst = p.Props.appendSection(dst)
	}
	dst = appendText(dst, l.ClientID)
	if l.HasWill {
		if l.Version == V5 {
			dst = l.WillProps.appendSection(dst)
		}
		dst = appendText(appendText(dst, l.WillTopic), l.WillPayload)
	}
	if l.HasUser {
		dst = appendText(dst, l.User)
	}
	if l.HasPassword {
		dst = appendText(dst, l.Password)
	}
	return dst
}

// maxAck is how many bytes appendAck appends at most.
const maxAck = 5

// appendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP without properties.
func appendAck(dst []byte, t Type, id uint16, r Reason, v Version) []byte {
	first := byte(t)<<4 | flagsOf(t)
	if v < V5 || r == Success {
		return append(dst, first, 2, byte(id>>8), byte(id))
	}
	return append(dst, first, 3, byte(id>>8), byte(id), byte(r))
}
