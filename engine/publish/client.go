package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// Client publishes as one client identifier, over one connection at a time.
type Client struct {
	crowd  *Crowd
	id     string
	change chan struct{} // wakes live: away or left

	mu      sync.Mutex
	queue   []*message // not sent yet
	flight  []*message // sent and not done, in the order sent; their identifiers rise, cyclically
	window  int        // of this connection
	largest int        // packet that the broker takes; 0: any
	lastID  uint16
	conn    net.Conn // nil: not connected
	out     []byte   // to be written
	spare   []byte
	listed  bool // with the writers
	leaving bool // conn is closed once out is written
	sent    bool // something, since live looked last
	away    bool
	left    bool
}

// message is a PUBLISH packet on its way.
type message struct {
	packet   []byte
	idAt     int // where its identifier stands
	id       uint16
	tag      int
	sentNS   int64
	released bool // QoS 2: PUBREC has come, PUBREL is out
	counted  bool
}

// maxOut is how many bytes wait for a write before more is left in the queue.
const maxOut = 64 << 10

// Publish hands a message over and does not wait. payload is copied. The topic has been
// checked: it is UTF-8, not empty, and has neither wildcards nor U+0000.
func (cl *Client) Publish(topic string, payload []byte, tag int) {
	o := &cl.crowd.o
	p := mqtt.Packet{Type: mqtt.Publish, QoS: o.QoS, Retain: o.Retain, Topic: []byte(topic), Payload: payload}
	const room = 16 // for header, identifier and the length of properties
	m := &message{packet: mqtt.Append(make([]byte, 0, len(topic)+len(payload)+room), &p, o.Version), tag: tag}
	_, header, err := mqtt.Size(m.packet)
	if err != nil {
		panic("BUG: a packet of our own has no length: " + err.Error())
	}
	m.idAt = header + 2 + len(topic)
	cl.crowd.waiting.Add(1)
	cl.mu.Lock()
	cl.queue = append(cl.queue, m)
	done := cl.fill()
	cl.mu.Unlock()
	cl.tell(done)
}

// outcome is what became of a message.
type outcome struct {
	tag    int
	reason mqtt.Reason
}

// tell reports messages that are done. No lock is held.
func (cl *Client) tell(done []outcome) {
	s := &cl.crowd.stats
	for _, d := range done {
		if d.reason.Failed() {
			s.refused.Add(1)
			s.note(fmt.Errorf("a message was refused: %s", d.reason))
		} else {
			s.acknowledged.Add(1)
		}
		cl.crowd.o.Done(d.tag, d.reason)
	}
	if len(done) > 0 {
		cl.crowd.less(int64(len(done)))
	}
}

// fill moves messages from the queue to the connection, as far as the window
// allows. Those that are done by that are returned. The lock is held.
func (cl *Client) fill() (done []outcome) {
	if cl.conn == nil || cl.leaving {
		return nil
	}
	o, s := &cl.crowd.o, &cl.crowd.stats
	var now int64
	for len(cl.queue) > 0 && len(cl.out) < maxOut {
		m := cl.queue[0]
		if cl.largest > 0 && len(m.packet) > cl.largest {
			done = append(done, outcome{m.tag, mqtt.PacketTooLarge})
			cl.pop()
			continue
		}
		if o.QoS > 0 && !cl.number(m) {
			break
		}
		if !m.counted {
			m.counted = true
			s.published.Add(1)
		}
		cl.out = append(cl.out, m.packet...)
		cl.pop()
		if o.QoS == 0 {
			done = append(done, outcome{tag: m.tag})
			continue
		}
		if now == 0 {
			now = o.Env.Clock.Now().UnixNano()
		}
		m.sentNS = now
		cl.flight = append(cl.flight, m)
	}
	cl.list()
	return done
}

func (cl *Client) pop() {
	cl.queue[0] = nil
	if cl.queue = cl.queue[1:]; len(cl.queue) == 0 {
		cl.queue = nil
	}
}

// number gives a message the next identifier; false where the window is full. As
// identifiers in flight rise, the next one can only be that of the oldest message.
func (cl *Client) number(m *message) bool {
	if len(cl.flight) >= cl.window {
		return false
	}
	next := cl.lastID + 1
	if next == 0 {
		next = 1
	}
	if len(cl.flight) > 0 && cl.flight[0].id == next {
		return false
	}
	cl.lastID, m.id = next, next
	binary.BigEndian.PutUint16(m.packet[m.idAt:], next)
	return true
}

// list asks for a writer. The lock is held.
func (cl *Client) list() {
	if len(cl.out) > 0 && !cl.listed {
		cl.listed, cl.sent = true, true
		cl.crowd.wants(cl)
	}
}

// flush writes what has gathered, as one write.
func (cl *Client) flush() {
	cl.mu.Lock()
	conn, out := cl.conn, cl.out
	cl.out, cl.spare = cl.spare[:0], nil
	cl.mu.Unlock()
	if conn != nil && len(out) > 0 {
		if _, err := conn.Write(out); err != nil {
			conn.Close() // the reader notices
		}
	}
	cl.mu.Lock()
	const most = 4 << 10 // a fleet's buffers should not add up
	if cap(out) <= most {
		cl.spare = out[:0]
	}
	cl.listed = false
	done := cl.fill() // asks for a writer where there is more
	cl.list()
	if cl.leaving && !cl.listed && cl.conn != nil {
		cl.conn.Close()
	}
	cl.mu.Unlock()
	cl.tell(done)
}

// take handles an acknowledgement.
func (cl *Client) take(t mqtt.Type, id uint16, r mqtt.Reason) error {
	cl.mu.Lock()
	i := 0
	for i < len(cl.flight) && cl.flight[i].id != id {
		i++
	}
	var done []outcome
	switch {
	case t == mqtt.Pubrec && (i == len(cl.flight) || !r.Failed()):
		// Also for an identifier that is not known any more, or the broker would never forget it.
		if i < len(cl.flight) {
			cl.flight[i].released = true
		}
		cl.out = mqtt.Append(cl.out, &mqtt.Packet{Type: mqtt.Pubrel, ID: id}, cl.crowd.o.Version)
		cl.list()
	case i == len(cl.flight):
	case t == mqtt.Puback && cl.crowd.o.QoS == 2, t == mqtt.Pubcomp && !cl.flight[i].released, t != mqtt.Puback && cl.crowd.o.QoS == 1:
		cl.mu.Unlock()
		return errors.New("the broker confirms a message that it was not sent")
	default:
		m := cl.flight[i]
		cl.crowd.stats.took(cl.crowd.o.Env.Clock.Now().UnixNano() - m.sentNS)
		copy(cl.flight[1:i+1], cl.flight[:i])
		cl.flight[0] = nil
		if cl.flight = cl.flight[1:]; len(cl.flight) == 0 {
			cl.flight = nil
		}
		if t == mqtt.Pubcomp {
			r = mqtt.Success // with PUBREC the message was the broker's
		}
		done = append(done, outcome{m.tag, r})
	}
	done = append(done, cl.fill()...)
	cl.mu.Unlock()
	cl.tell(done)
	return nil
}

// Away says that the client has no connection for now: the one it has is cut,
// and it makes no other until it is back. What is published waits.
func (cl *Client) Away(away bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.away = away
	if away && cl.conn != nil {
		cl.conn.Close()
	}
	cl.wake()
}

// cut closes the connection, whatever waits to be written.
func (cl *Client) cut() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.conn != nil {
		cl.conn.Close()
	}
}

func (cl *Client) wake() {
	select {
	case cl.change <- struct{}{}:
	default:
	}
}

// leave says DISCONNECT, where there is a connection, and ends the client.
func (cl *Client) leave() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.left = true
	if cl.conn != nil {
		cl.out = mqtt.Append(cl.out, &mqtt.Packet{Type: mqtt.Disconnect}, cl.crowd.o.Version)
		cl.leaving = true
		cl.list()
	}
	cl.wake()
}
