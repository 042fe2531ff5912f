package mqtt

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
)

// TestCatchUpOutlives: a session whose subscriber was getting what is retained when the server ended gets the rest from the next one.
func TestCatchUpOutlives(t *testing.T) {
	const n = 300
	t.Parallel()
	dir := t.TempDir()
	connect := Packet{Type: Connect, Login: Login{Version: V311, ClientID: []byte("s")}}
	var s *Server
	var count func(string) int64
	begin := func() net.Conn {
		s, count = counted(t, Options{Inflight: 8})
		if err := s.Restore(dir); err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", listen(t, s, Listener{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		send(t, nc, &connect)
		return nc
	}
	got := map[string]int{}
	take := func(nc net.Conn, upTo int) {
		var buf []byte
		for len(got) < upTo {
			if p := next(t, nc, &buf); p.Type == Publish {
				got[string(p.Topic)]++
				send(t, nc, &Packet{Type: Puback, ID: p.ID})
			}
		}
	}
	nc := begin()
	answer(t, nc, []byte{0x20, 2, 0, 0})
	for i := range n {
		s.Publish(&Message{Topic: fmt.Sprintf("t/%03d", i), QoS: 1, Retain: true, Payload: []byte("x")})
	}
	send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t/+"), QoS: 1}, {Name: []byte("u"), QoS: 1}}})
	for life := range 3 {
		take(nc, n/4*(life+1))
		if life == 1 {
			send(t, nc, &Packet{Type: Subscribe, ID: 2, Filters: []Filter{{Name: []byte("u"), QoS: 1, RetainHandling: 2}}})
		}
		s.Close()
		nc = begin()
	}
	take(nc, n)
	eventually(t, "something stays counted", func() bool { return s.backlog.Load() == 0 })
	for topic, times := range got {
		if times > 4 {
			t.Errorf("%s came %d times", topic, times)
		}
	}
	again := 0
	for _, times := range got {
		again += times - 1
	}
	if again > 3*(noteEach+8) || count("dropped_session_ended") != 0 {
		t.Errorf("%d messages came again after three restarts", again)
	}
	s.Close()
	begin()
	if s.backlog.Load() != 0 {
		t.Error("who has all gets it again after a restart")
	}
}

// TestCatchUpIsOver: nothing of a list is left for a later server where a restart finds nothing to send any more, nor where its subscription was
// made again with QoS 0, which is not written down.
func TestCatchUpIsOver(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		dir := t.TempDir()
		begin := func() *Server {
			s, _ := counted(t, Options{Inflight: 8})
			if err := s.Restore(dir); err != nil {
				t.Fatal(err)
			}
			return s
		}
		retain := func(s *Server, payload string) {
			for i := range 20 {
				s.Publish(&Message{Topic: fmt.Sprintf("t/%03d", i), QoS: 1, Retain: true, Payload: []byte(payload)})
			}
		}
		// visit is one connection that answers nothing.
		visit := func(s *Server, filters ...Filter) {
			nc, err := net.Dial("tcp", listen(t, s, Listener{}))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			send(t, nc, &Packet{Type: Connect, Login: Login{Version: V311, ClientID: []byte("s")}})
			var buf []byte
			for i, f := range filters {
				send(t, nc, &Packet{Type: Subscribe, ID: uint16(i + 1), Filters: []Filter{f}})
			}
			send(t, nc, &Packet{Type: Pingreq})
			for subacks, pings := 0, 0; subacks < len(filters) || pings < 1; {
				switch next(t, nc, &buf).Type {
				case Suback:
					subacks++
				case Pingresp:
					pings++
				}
			}
		}
		s := begin()
		retain(s, "x")
		filters := []Filter{{Name: []byte("t/+"), QoS: 1}}
		if again {
			filters = append(filters, Filter{Name: []byte("t/+")})
		}
		visit(s, filters...)
		if !again {
			retain(s, "")
			s.Close()
			s = begin()
			visit(s)
			retain(s, "y")
		}
		s.Close()
		if s = begin(); len(s.sessions["s"].behind) != 0 {
			t.Errorf("again = %v: %d messages of a list that is over", again, len(s.sessions["s"].behind[0].topics))
		}
		s.Close()
	}
}

// TestSavedBehind: how far lists have come is in a snapshot, and gone with the list or the subscription.
func TestSavedBehind(t *testing.T) {
	sub := func(filter string) []byte {
		return putSub(nil, 1, &subscription{filter: filter, options: Filter{QoS: 1}})
	}
	done := putBytes(entryOf(nil, entryCaught, 1), "a/+")
	left := putBytes(entryOf(nil, entryUnsub, 1), "b")
	for _, c := range []struct {
		entries [][]byte
		want    string
	}{
		{[][]byte{sub("a/+"), sub("b"), putBehind(nil, 1, "a/+", ""), putBehind(nil, 1, "b", "b")}, "map[a/+: b:b]"},
		{[][]byte{sub("a/+"), putBehind(nil, 1, "a/+", ""), putBehind(nil, 1, "a/+", "a/7")}, "map[a/+:a/7]"},
		{[][]byte{sub("a/+"), sub("b"), putBehind(nil, 1, "a/+", "a/1"), putBehind(nil, 1, "b", ""), done}, "map[b:]"},
		{[][]byte{sub("a/+"), sub("b"), putBehind(nil, 1, "a/+", "a/1"), putBehind(nil, 1, "b", ""), left}, "map[a/+:a/1]"},
		{[][]byte{putBehind(nil, 1, "never", "")}, "map[]"},
	} {
		m, again := newSaved(), newSaved()
		for _, e := range append([][]byte{putSession(nil, &savedSession{number: 1, id: "s", expiry: 1})}, c.entries...) {
			if err := m.apply(e); err != nil {
				t.Fatal(err)
			}
		}
		for b := m.append(nil); len(b) > 0; {
			n := entryHead + int(binary.LittleEndian.Uint32(b))
			if err := again.apply(b[entryHead:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		if got := fmt.Sprint(again.sessions[1].behind); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestBehindGoesOn: a list goes on behind the topic that was noted last, whether that is still retained or not.
func TestBehindGoesOn(t *testing.T) {
	s, _ := counted(t, Options{})
	for _, topic := range []string{"t/1", "t/2", "t/4", "u"} {
		s.Publish(&Message{Topic: topic, QoS: 1, Retain: true, Payload: []byte("x")})
	}
	for after, want := range map[string]string{"": "[t/1 t/2 t/4]", "t/1": "[t/2 t/4]", "t/2": "[t/4]", "t/3": "[t/4]", "t/4": "[]"} {
		sess := &session{subs: map[string]*subscription{"t/+": {filter: "t/+"}}}
		s.fallBehind(sess, map[string]string{"t/+": after})
		if got := fmt.Sprint(sess.behind[0].topics); got != want {
			t.Errorf("after %q: %s, want %s", after, got, want)
		}
	}
}
