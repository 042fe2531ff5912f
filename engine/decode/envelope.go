// An envelope is what comes with a record beside topic and payload
// (journal.Record.Envelope). Numbers are little-endian.
//
//	+-----------+  flags: 1 an identity follows, 2 it was sent again,
//	| flags u8  |         4 uses follow, 8 properties follow, 16 settled follows
//	+-----------+---------------+
//	| session u64 | packet u16  |   with flag 1
//	+-------------+-------------+
//	| uses u32    |                   with flag 4
//	+-------------+
//	| settled i64 |                   with flag 16
//	+-------------+--------------------------------------+
//	| n u8 | n (len u16, name; len u16, value)           |   with flag 8
//	+------+---------------------------------------------+
package decode

import (
	"encoding/binary"
	"errors"
	"math"
)

// Envelope says which message a record was, and what properties it had.
type Envelope struct {
	// Session is the number of the sender's session, and Packet the identifier that
	// the message had in it. 0: the sender has no session that outlives a connection.
	Session uint64
	Packet  uint16
	// Uses tells one use of the identifier from another: it is another number once the identifier was given
	// back, since what has it then is another message. 0 where senders do not tell.
	Uses uint32
	// Many says that the sender may have more messages on their way than a few, so that each has to be remembered by itself.
	Many bool
	// Resent says that the sender says that it has sent the message before.
	Resent bool
	// Settled is a time, us since 1970: what the sender has sent in this session up to then, exclusive, it knows to be
	// acknowledged, so that what is sent again is something later. 0 where that is not known.
	Settled int64

	properties []byte // encoded, behind their number
	count      uint8
}

const (
	envelopeIdentity = 1 << iota
	envelopeResent
	envelopeUses
	envelopeProperties
	envelopeSettled
	envelopeMany
)

// maxEnvelope is how many bytes of properties an envelope takes.
const maxEnvelope = 32 << 10

// Reset empties the envelope; its memory stays.
func (e *Envelope) Reset() { *e = Envelope{properties: e.properties[:0]} }

// AddProperty adds a property; false when there is no room for it.
func (e *Envelope) AddProperty(name, value string) bool {
	if e.count == math.MaxUint8 || len(e.properties)+len(name)+len(value)+4 > maxEnvelope {
		return false
	}
	e.count++
	for _, text := range [2]string{name, value} {
		e.properties = binary.LittleEndian.AppendUint16(e.properties, uint16(len(text)))
		e.properties = append(e.properties, text...)
	}
	return true
}

// Append encodes the envelope; nothing when it is empty.
func (e *Envelope) Append(dst []byte) []byte {
	flags := byte(0)
	for _, f := range [6]struct {
		set  bool
		flag byte
	}{{e.Session != 0, envelopeIdentity}, {e.Resent, envelopeResent}, {e.Uses != 0, envelopeUses}, {e.count > 0, envelopeProperties}, {e.Settled != 0, envelopeSettled}, {e.Many, envelopeMany}} {
		if f.set {
			flags |= f.flag
		}
	}
	if flags == 0 {
		return dst
	}
	dst = append(dst, flags)
	if e.Session != 0 {
		dst = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint64(dst, e.Session), e.Packet)
	}
	if e.Uses != 0 {
		dst = binary.LittleEndian.AppendUint32(dst, e.Uses)
	}
	if e.Settled != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Settled))
	}
	if e.count > 0 {
		dst = append(append(dst, e.count), e.properties...)
	}
	return dst
}

var errEnvelope = errors.New("the envelope of a record makes no sense: was it written by another version?")

// ParseEnvelope reads an envelope. The result borrows b.
func ParseEnvelope(b []byte) (e Envelope, err error) {
	if len(b) == 0 {
		return e, nil
	}
	flags := b[0]
	b = b[1:]
	e.Resent, e.Many = flags&envelopeResent != 0, flags&envelopeMany != 0
	if flags&envelopeIdentity != 0 {
		if len(b) < 10 {
			return Envelope{}, errEnvelope
		}
		e.Session, e.Packet, b = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:]), b[10:]
	}
	if flags&envelopeUses != 0 {
		if len(b) < 4 {
			return Envelope{}, errEnvelope
		}
		e.Uses, b = binary.LittleEndian.Uint32(b), b[4:]
	}
	if flags&envelopeSettled != 0 {
		if len(b) < 8 {
			return Envelope{}, errEnvelope
		}
		e.Settled, b = int64(binary.LittleEndian.Uint64(b)), b[8:]
	}
	if flags&envelopeProperties != 0 {
		if len(b) < 1 {
			return Envelope{}, errEnvelope
		}
		e.count, e.properties = b[0], b[1:]
		b = e.properties
		for range 2 * int(e.count) {
			if _, b, err = takeText(b); err != nil {
				return Envelope{}, err
			}
		}
	}
	if len(b) > 0 || flags >= envelopeMany<<1 {
		return Envelope{}, errEnvelope
	}
	return e, nil
}

func takeText(b []byte) (text, rest []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.LittleEndian.Uint16(b)) {
		return nil, nil, errEnvelope
	}
	n := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:n], b[n:], nil
}

// Property returns the first property of that name, borrowed.
func (e *Envelope) Property(name string) (value []byte, ok bool) {
	rest := e.properties
	for range e.count {
		var n []byte
		n, rest, _ = takeText(rest) // ParseEnvelope has been here
		value, rest, _ = takeText(rest)
		if string(n) == name {
			return value, true
		}
	}
	return nil, false
}
