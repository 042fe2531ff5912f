package publish

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// reader cuts what a broker sends into packets.
type reader struct {
	conn    net.Conn
	version mqtt.Version
	buf     []byte
	from    int // what is before it has been taken

	// What CONNACK said.
	present         bool
	window, largest int
	quiet           time.Duration // keep-alive

	heard, pinged bool // since the last deadline
}

// maxAnswer is how long a packet to a client may be that only publishes, bytes.
const maxAnswer = 64 << 10

// more reads once. Bytes that were taken are forgotten.
func (r *reader) more() error {
	if r.from > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.from:])]
		r.from = 0
	}
	if len(r.buf) == cap(r.buf) {
		const least = 256
		grown := make([]byte, len(r.buf), max(least, 2*cap(r.buf)))
		copy(grown, r.buf)
		r.buf = grown
	}
	n, err := r.conn.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// packet reads a packet of any kind.
func (r *reader) packet() (mqtt.Packet, error) {
	var p mqtt.Packet
	for {
		n, err := mqtt.Decode(r.buf[r.from:], r.version, mqtt.Limits{Packet: maxAnswer}, &p)
		if n > 0 || err != nil {
			r.from += n
			return p, err
		}
		if err := r.more(); err != nil {
			return p, err
		}
	}
}

// ack reads a packet and returns what matters of it. Nearly all are
// acknowledgements of four bytes, and a Packet is large.
func (r *reader) ack() (t mqtt.Type, id uint16, reason mqtt.Reason, err error) {
	for len(r.buf)-r.from < 2 {
		if err := r.more(); err != nil {
			return 0, 0, 0, err
		}
	}
	const length = 4
	if b := r.buf[r.from:]; b[0] == byte(mqtt.Puback)<<4 && b[1] == 2 && len(b) >= length {
		r.from += length
		return mqtt.Puback, binary.BigEndian.Uint16(b[2:]), mqtt.Success, nil
	}
	p, err := r.packet()
	return p.Type, p.ID, p.Reason, err
}
