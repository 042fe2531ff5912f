package mqtt

import (
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestHub: a server that opens in the place of another stays when that one leaves.
func TestHub(t *testing.T) {
	server := func() *Server {
		s := NewServer(Options{Env: env.Real()})
		t.Cleanup(func() { s.Close() })
		return s
	}
	retained := func(s *Server) int { return s.Stats().Retained }
	h, old, young := NewHub(), server(), server()
	m := &Message{Topic: "a", Payload: []byte("x"), Retain: true}
	if h.Publish("in", m) || (*Hub)(nil).Publish("in", m) {
		t.Error("a server that is not there has published")
	}
	(*Hub)(nil).Join("in", old)()
	leaveOld := h.Join("in", old)
	if !h.Publish("in", m) || retained(old) != 1 {
		t.Error("the message did not reach the server")
	}
	leaveYoung := h.Join("in", young)
	leaveOld()
	if !h.Publish("in", m) || retained(young) != 1 {
		t.Error("the message did not reach the new server")
	}
	if leaveYoung(); h.Publish("in", m) {
		t.Error("a server that has left has published")
	}
}
