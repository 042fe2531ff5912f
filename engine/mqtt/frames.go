// A frame of a WebSocket, RFC 6455 section 5.2, as clients send it. Numbers are big-endian.
//
//	byte 0            byte 1
//	┌───┬────┬──────┐┌────┬───────┬─────────────────────┬──────┬─────────┐
//	│FIN│RSV │opcode││MASK│length ││ length, if it is   │ mask │ payload │
//	│ 1 │ 3  │  4   ││ 1  │   7   ││ 126: u16, 127: u64 │ 4 B  │ XOR mask│
//	└───┴────┴──────┘└────┴───────┴─────────────────────┴──────┴─────────┘
package mqtt

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/gorilla/websocket"
)

// frames reads what clients send in WebSocket frames. Between two reads it may stand anywhere, within a head or a control frame too,
// so that a connection can be asked for what has come without waiting for more. It keeps no payload but a control frame's.
type frames struct {
	from  io.Reader
	reply func(kind int, payload []byte) // sends a control frame

	head    [14]byte
	have    int    // bytes of head that have come
	inside  bool   // the head is whole
	left    uint64 // bytes of the payload that have not come
	spot    int    // in the mask, of the payload's next byte
	more    bool   // the message goes on in another frame
	control []byte // a control frame's payload so far
	failed  error  // told when what came before it has been read
}

// errFrame ends a connection; its client is told 1002.
var errFrame = errors.New("mqtt: a WebSocket frame that RFC 6455 does not allow")

const (
	maxControl = 125 // bytes of a control frame's payload
	opContinue = 0
	opControl  = 8 // the bit that control frames have
)

// Read gives bytes of messages. It reads into p first, so that it needs no memory of its own.
func (f *frames) Read(p []byte) (int, error) {
	for f.failed == nil {
		n, err := f.from.Read(p)
		if n == 0 {
			return 0, err
		}
		n, f.failed = f.take(p[:n])
		if n > 0 {
			return n, nil
		}
	}
	return 0, f.failed
}

// take moves the bytes of messages in p to its front, and answers control frames.
func (f *frames) take(p []byte) (out int, err error) {
	for at := 0; ; {
		if !f.inside {
			if at == len(p) {
				return out, nil
			}
			n := copy(f.head[f.have:f.need()], p[at:])
			f.have, at = f.have+n, at+n
			if err := f.begin(); err != nil {
				return out, err
			}
			continue
		}
		n := int(min(f.left, uint64(len(p)-at)))
		if f.head[0]&opControl != 0 {
			f.control = append(f.control, p[at:at+n]...)
			f.unmask(f.control[len(f.control)-n:])
		} else {
			copy(p[out:], p[at:at+n])
			f.unmask(p[out : out+n])
			out += n
		}
		at += n
		if f.left -= uint64(n); f.left > 0 {
			return out, nil
		}
		f.inside, f.have = false, 0
		if f.head[0]&opControl != 0 {
			if err := f.obey(int(f.head[0] & 15)); err != nil {
				return out, err
			}
		}
	}
}

// need is how long the head is, as far as can be told.
func (f *frames) need() int {
	switch length := f.head[1] & 0x7f; {
	case f.have < 2:
		return 2
	case length == 126:
		return 8
	case length == 127:
		return 14
	}
	return 6
}

// begin looks at the head as far as it has come.
func (f *frames) begin() error {
	final, op, length := f.head[0]&0x80 != 0, int(f.head[0]&15), int(f.head[1]&0x7f)
	switch {
	case f.have < 2:
		return nil
	case f.have == f.need():
	case f.have > 2: // looked at before
		return nil
	case f.head[0]&0x70 != 0 || f.head[1]&0x80 == 0: // extensions that nobody has asked for; no mask
		return f.refuse()
	case op&opControl != 0 && (!final || length > maxControl || op > websocket.PongMessage):
		return f.refuse()
	case op&opControl == 0 && (op > websocket.BinaryMessage || (op == opContinue) != f.more):
		return f.refuse()
	case op == websocket.TextMessage:
		return protocol("MQTT-6.0.0-1", "a WebSocket message that is not binary")
	default:
		return nil
	}
	switch f.left = uint64(length); length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	}
	if f.left>>63 != 0 {
		return f.refuse()
	}
	if op&opControl == 0 {
		f.more = !final
	}
	f.inside, f.spot = true, 0
	return nil
}

// unmask applies the mask, eight bytes at a time, to the payload's next bytes.
func (f *frames) unmask(p []byte) {
	var mask [8]byte
	for i := range mask {
		mask[i] = f.head[f.have-4+(f.spot+i)&3]
	}
	f.spot += len(p)
	word := binary.LittleEndian.Uint64(mask[:])
	for ; len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
	}
	for i := range p {
		p[i] ^= mask[i]
	}
}

// obey does what a control frame asks for, sections 5.5.1 to 5.5.3.
func (f *frames) obey(op int) error {
	payload := f.control
	f.control = nil // such frames are rare
	switch op {
	case websocket.PingMessage:
		f.reply(websocket.PongMessage, payload)
	case websocket.CloseMessage:
		code := websocket.CloseNormalClosure
		if len(payload) > 1 {
			code = int(binary.BigEndian.Uint16(payload))
		}
		known := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1011 || code >= 3000 && code < 5000 // section 7.4
		if !known || len(payload) == 1 {
			return f.refuse()
		}
		f.reply(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
		return io.EOF
	}
	return nil
}

func (f *frames) refuse() error {
	f.reply(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseProtocolError, ""))
	return errFrame
}
