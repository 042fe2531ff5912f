package mqtt

import (
	"testing"
	"time"
)

// TestMany: a client has many messages on its way when more than few are unanswered, handed on or not, for a minute after that, and when
// it sends again.
func TestMany(t *testing.T) {
	c := &conn{sess: &session{}}
	for i, x := range []struct {
		after          time.Duration
		waiting, acks  int
		received       int
		dup, wantsMany bool
	}{
		{0, few, 0, 0, false, false},
		{0, 0, 0, 0, true, true},
		{0, 0, 0, 0, false, false},
		{0, few - 3, 4, 0, false, true},
		{manyFor - time.Millisecond, 1, 1, 0, false, true},
		{time.Millisecond, 1, 1, 0, false, false},
		{0, 0, 0, few + 1, false, true},
	} {
		c.nowUS += x.after.Microseconds()
		c.waiting.Store(int32(x.waiting))
		c.acks, c.sess.received.n = make([]ack, x.acks), x.received
		if got := c.many(&Packet{Dup: x.dup}); got != x.wantsMany {
			t.Errorf("step %d: many %t", i, got)
		}
	}
}

// TestManyAfterRestart: how many a session of before had nobody knows.
func TestManyAfterRestart(t *testing.T) {
	st, say, _, _, _ := stuckStage(t)
	say("@a 3 keep")
	before := time.Now()
	say("restart")
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	for id, sess := range st.s.sessions {
		if sess.manyUntil < before.Add(manyFor).UnixMicro() {
			t.Errorf("session %s: until %s", id, time.UnixMicro(sess.manyUntil))
		}
	}
	if len(st.s.sessions) != 1 {
		t.Errorf("there are %d sessions", len(st.s.sessions))
	}
}
