package mqtt

import "time"

// proofAfter is how long after its answers a client has to be heard of on the same connection, so that it is
// taken to have them: whatever the network kept back is through by then.
const proofAfter = 10 * time.Second

// witness looks, whenever something comes, what the client can be known to have: at a time when everything is
// answered, all that came before is settled once the client is heard of long enough after that.
func (c *conn) witness() {
	if c.sessionTTL == 0 {
		return
	}
	if c.quiet != 0 {
		if c.nowUS-c.quiet < c.s.proof.Microseconds() {
			return
		}
		c.settled, c.quiet = c.quiet, 0
	}
	if c.waiting.Load() > 0 || len(c.acks) > 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 && !c.scheduled && !c.sock.busy() {
		c.quiet = c.nowUS
	}
}

// again finds out whether a message of QoS 1 is one that came before.
//
// Its identifier is in use until the client has the answer (MQTT-2.2.1-3): a message with the identifier of one that was never
// answered is that one, whether the client says so or not. One that the client says it sends again may, where the one
// before was answered, be that one, if the answer got lost, or another, of which the first try got lost.
func (c *conn) again(m *Inbound) {
	if len(c.sess.unanswered) > 0 {
		if _, same := c.sess.unanswered[m.Packet]; same {
			delete(c.sess.unanswered, m.Packet)
			m.Resent = true
			return
		}
	}
	if m.Resent && m.Session != 0 {
		m.Settled = max(c.settled, c.sess.settled)
	}
}

// maxUnanswered is how many identifiers of QoS 1 a session remembers that were never answered.
const maxUnanswered = 1_024

// leave notes that a message of QoS 1 is in the inlet, and its client was gone before it could be told.
func (sess *session) leave(id uint16) {
	if sess.unanswered == nil {
		sess.unanswered = map[uint16]struct{}{}
	}
	if len(sess.unanswered) < maxUnanswered {
		sess.unanswered[id] = struct{}{}
	}
}
