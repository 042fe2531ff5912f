package mqtt

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// next reads one packet.
func next(t testing.TB, nc net.Conn, buf *[]byte) Packet {
	t.Helper()
	nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var p Packet
		n, err := Decode(*buf, V311, Limits{}, &p)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			p.Topic, p.Payload = bytes.Clone(p.Topic), bytes.Clone(p.Payload)
			*buf = (*buf)[n:]
			return p
		}
		more := make([]byte, 64<<10)
		n, err = nc.Read(more)
		if err != nil {
			t.Fatal(err)
		}
		*buf = append(*buf, more[:n]...)
	}
}

// TestCatchUp: whoever subscribes gets all that is retained, however much that is, as quickly as it reads and answers; of what changes
// meanwhile nothing older comes after; and what nobody fetches is forgotten with the session.
func TestCatchUp(t *testing.T) {
	const n = 3_000
	for qos := range byte(3) {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			t.Parallel()
			s, count := counted(t, Options{MaxQueued: 10, MaxQueuedBytes: 10_000, MaxBacklog: 1 << 20})
			address := listen(t, s, Listener{})
			filler := make([]byte, 300)
			if qos == 0 {
				filler = make([]byte, 6_000) // more in all than the network keeps
			}
			for i := range n {
				s.Publish(&Message{Topic: fmt.Sprintf("t/%04d", i), QoS: qos, Retain: true, Payload: append(filler[:len(filler):len(filler)], "old"...)})
			}
			nc := login(t, address, "s")
			send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t/+"), QoS: 2}}})
			answer(t, nc, []byte{0x90, 3, 0, 1, 2})
			s.Publish(&Message{Topic: "t/2990", Retain: true, Payload: []byte("new")})
			s.Publish(&Message{Topic: "t/2991", Retain: true})
			var buf []byte
			var got []string
			for slices.Index(got, "t/2999 old") < 0 {
				p := next(t, nc, &buf)
				if p.Type == Publish {
					got = append(got, fmt.Sprintf("%s %s", p.Topic, bytes.Trim(p.Payload, "\x00")))
				}
				switch {
				case p.Type == Publish && p.QoS == 1:
					send(t, nc, &Packet{Type: Puback, ID: p.ID})
				case p.Type == Publish && p.QoS == 2:
					send(t, nc, &Packet{Type: Pubrec, ID: p.ID})
				case p.Type == Pubrel:
					send(t, nc, &Packet{Type: Pubcomp, ID: p.ID})
				}
			}
			last := map[string]string{}
			for _, line := range got {
				topic, text, _ := strings.Cut(line, " ")
				if before, again := last[topic]; again && before != "old" && before != text {
					t.Errorf("%s after %s", line, before)
				}
				last[topic] = text
			}
			if len(last) < n-1 || last["t/2990"] != "new" || last["t/2991"] != "" || last["t/2992"] != "old" {
				t.Errorf("%d topics came, %q and %q", len(last), last["t/2990"], last["t/2991"])
			}
			send(t, nc, &Packet{Type: Pingreq})
			for next(t, nc, &buf).Type != Pingresp { // answers to what came last are on their way
			}
			if n := s.backlog.Load(); n > 100_000 {
				t.Errorf("%d bytes are counted", n)
			}
			send(t, nc, &Packet{Type: Subscribe, ID: 2, Filters: []Filter{{Name: []byte("t/+"), QoS: 2}}})
			nc.Close()
			eventually(t, "it stays", func() bool { return s.Stats().Connections == 0 })
			if n := s.backlog.Load(); n != 0 {
				t.Errorf("%d bytes are still counted", n)
			}
			if dropped := count("dropped_queue_full") + count("dropped_slow_reader") + count("dropped_backlog_full"); dropped != 0 {
				t.Errorf("%d are dropped", dropped)
			}
		})
	}
}

// TestCatchUpIsHeard: a client to which the network brings little at a time, so that it gets what is retained for longer than its keep-alive, is
// heard meanwhile: its pings are answered between the messages, and it is not taken for silent.
func TestCatchUpIsHeard(t *testing.T) {
	const n = 3_000
	serverTLS, clientTLS := selfSigned(t)
	for name, l := range map[string]Listener{"tcp": {}, "tls": {TLS: serverTLS}, "ws": {WebSocket: true}, "wss": {WebSocket: true, TLS: serverTLS}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, count := counted(t, Options{})
			address := listen(t, s, l)
			for i := range n {
				s.Publish(&Message{Topic: fmt.Sprintf("t/%04d", i), Retain: true, Payload: make([]byte, 6_000)}) // more in all than the network keeps
			}
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.(*net.TCPConn).SetReadBuffer(64 << 10)
			if l.TLS != nil {
				nc = tls.Client(nc, clientTLS)
			}
			if l.WebSocket {
				d := websocket.Dialer{Subprotocols: []string{"mqtt"}, NetDial: func(string, string) (net.Conn, error) { return nc, nil }}
				ws, _, err := d.Dial("ws://"+address+"/mqtt", nil)
				if err != nil {
					t.Fatal(err)
				}
				nc = framed{nc, &socket{Conn: ws, piece: 7}}
			}
			send(t, nc, &Packet{Type: Connect, Login: Login{Version: V311, CleanStart: true, ClientID: []byte("s"), KeepAlive: 1}})
			answer(t, nc, []byte{0x20, 2, 0, 0})
			send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("#")}}})
			answer(t, nc, []byte{0x90, 3, 0, 1, 0})
			for range 10 {
				send(t, nc, &Packet{Type: Pingreq})
				time.Sleep(200 * time.Millisecond) // so long nothing gets through: more than the keep-alive and a half
			}
			var buf []byte
			pings, sent := 0, 10
			for came := 0; came < n; {
				switch p := next(t, nc, &buf); p.Type {
				case Publish:
					if came++; came%50 == 0 { // a slow machine takes longer than the keep-alive to read them all
						send(t, nc, &Packet{Type: Pingreq})
						sent++
					}
				case Pingresp:
					pings++
				}
			}
			if pings == 0 {
				t.Error("no ping is answered before all is delivered")
			}
			for ; pings < sent; pings++ {
				if p := next(t, nc, &buf); p.Type != Pingresp {
					t.Fatalf("a %s came", p.Type)
				}
			}
			if count("keep_alive_timeouts") != 0 || count("dropped_slow_reader") != 0 {
				t.Error("it was taken for silent, or lost something")
			}
		})
	}
}

// framed is a connection that is read and written as a WebSocket.
type framed struct {
	net.Conn
	socket *socket
}

func (f framed) Read(p []byte) (int, error)  { return f.socket.Read(p) }
func (f framed) Write(p []byte) (int, error) { return f.socket.Write(p) }

// TestCatchUpAgain: whoever subscribes to a filter again, or leaves it and comes back without wanting what is retained, before all has come, gets
// nothing more of the older list.
func TestCatchUpAgain(t *testing.T) {
	t.Parallel()
	const n = 100
	s, _ := counted(t, Options{Inflight: 2})
	address := listen(t, s, Listener{})
	for i := range n {
		s.Publish(&Message{Topic: fmt.Sprintf("t/%02d", i), QoS: 1, Retain: true, Payload: []byte("x")})
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	say := func(packets ...Packet) {
		var b []byte
		for i := range packets {
			b = Append(b, &packets[i], V5)
		}
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	subscribe := Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t/+"), QoS: 1}}}
	one := int64(n * (len("t/00") + 16)) // bytes of a list; no message is answered, so that it stays
	say(Packet{Type: Connect, Login: Login{Version: V5, CleanStart: true, ClientID: []byte("s")}}, subscribe, subscribe, subscribe, Packet{Type: Pingreq})
	var got []byte
	for b := make([]byte, 4096); !bytes.Contains(got, []byte{0xd0, 0}); { // the answer to the ping
		nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := nc.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if held := s.backlog.Load(); held < one/2 || held > 2*one {
		t.Errorf("%d bytes wait, where one list has %d", held, one)
	}
	again := subscribe
	again.Filters = []Filter{{Name: []byte("t/+"), QoS: 1, RetainHandling: 2}}
	say(Packet{Type: Unsubscribe, ID: 2, Filters: []Filter{{Name: []byte("t/+")}}}, again)
	eventually(t, "the list of a client that has left waits", func() bool { return s.backlog.Load() < one/2 })
}

// TestCatchUpEnds: after UNSUBSCRIBE nothing more of the subscription is sent, and one client does not get a list of everything many times.
func TestCatchUpEnds(t *testing.T) {
	s, count := counted(t, Options{Inflight: 2, MaxRetained: 100})
	address := listen(t, s, Listener{})
	for i := range 100 {
		s.Publish(&Message{Topic: fmt.Sprintf("t/%02d", i), QoS: 1, Retain: true, Payload: []byte("x")})
	}
	nc := login(t, address, "s")
	for id := range uint16(3) {
		send(t, nc, &Packet{Type: Subscribe, ID: id + 1, Filters: []Filter{{Name: []byte([]string{"#", "t/#", "t/+"}[id]), QoS: 1}}})
	}
	send(t, nc, &Packet{Type: Unsubscribe, ID: 9, Filters: []Filter{{Name: []byte("#")}, {Name: []byte("t/#")}, {Name: []byte("t/+")}}})
	var buf []byte
	came := 0
	for done := false; !done; {
		p := next(t, nc, &buf)
		switch p.Type {
		case Publish:
			came++
			send(t, nc, &Packet{Type: Puback, ID: p.ID})
		case Unsuback:
			done = true
		}
	}
	send(t, nc, &Packet{Type: Pingreq})
	for {
		p := next(t, nc, &buf)
		if p.Type == Pingresp {
			break
		}
		came++
	}
	if came > 10 || count("dropped_queue_full") != 100 {
		t.Errorf("%d came after all, %d were refused", came, count("dropped_queue_full"))
	}
	eventually(t, "something stays counted", func() bool { return s.backlog.Load() == 0 })
}

// TestCatchUpLimits: what waits for all clients together has a limit, for lists of topics too, and for messages of QoS 0 on their way.
func TestCatchUpLimits(t *testing.T) {
	const n, limit = 100, 10_000
	s, count := counted(t, Options{MaxBacklog: limit})
	address := listen(t, s, Listener{})
	for i := range n {
		s.Publish(&Message{Topic: fmt.Sprintf("t/%02d", i), Retain: true, Payload: []byte("x")})
	}
	nc := login(t, address, "s")
	var buf []byte
	come := func() (publishes int) {
		for {
			switch next(t, nc, &buf).Type {
			case Publish:
				publishes++
			case Suback:
				send(t, nc, &Packet{Type: Pingreq}) // which is read after all has been sent
			case Pingresp:
				return publishes
			}
		}
	}
	subscribe := func() { send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("#")}}}) }
	list := int64(n * (len("t/00") + 16))
	s.backlog.Add(limit - list + 1)
	s.retaining.Lock() // so that no message is looked at yet
	subscribe()
	eventually(t, "there is a list", func() bool { return count("dropped_backlog_full") == n })
	s.retaining.Unlock()
	if came := come(); came != 0 || count("dropped_backlog_full") != n {
		t.Errorf("%d came without room for the list, %d are counted as dropped", came, count("dropped_backlog_full"))
	}
	s.backlog.Add(-5_001) // room for the messages, too
	subscribe()
	if came := come(); came != n || count("dropped_backlog_full") != n {
		t.Errorf("%d came with room for the list, %d are counted as dropped", came, count("dropped_backlog_full"))
	}
	s.backlog.Add(5_000 + list - limit)
	s.retaining.Lock() // so that none is sent yet
	subscribe()
	eventually(t, "the list is not there", func() bool { return s.backlog.Load() >= list })
	s.backlog.Add(limit)
	s.retaining.Unlock()
	if came := come(); came != 0 || count("dropped_backlog_full") != 2*n {
		t.Errorf("%d came without room for messages, %d are counted as dropped", came, count("dropped_backlog_full"))
	}
	eventually(t, "something stays counted", func() bool { return s.backlog.Load() == limit })
	s.backlog.Add(-limit)
}

// TestCatchUpBehindAQueue: what waits for a client, of which nothing is in flight, goes first, and what is retained is not dropped for want of room beside it.
func TestCatchUpBehindAQueue(t *testing.T) {
	const many = 10
	s, count := counted(t, Options{MaxQueued: many})
	address := listen(t, s, Listener{})
	s.Publish(&Message{Topic: "t", QoS: 1, Retain: true, Payload: []byte("x")})
	nc := login(t, address, "s")
	s.mu.Lock()
	sess := s.sessions["s"]
	s.mu.Unlock()
	sess.mu.Lock()
	for i := range many {
		m := &Message{Topic: fmt.Sprintf("q/%d", i), QoS: 1}
		s.hold(sess, m.size())
		sess.queue = append(sess.queue, outbound{message: m, qos: 1})
	}
	sess.mu.Unlock()
	send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t"), QoS: 1}}})
	var buf []byte
	var got []string
	for len(got) <= many {
		if p := next(t, nc, &buf); p.Type == Publish {
			got = append(got, string(p.Topic))
			send(t, nc, &Packet{Type: Puback, ID: p.ID})
		}
	}
	if got[many] != "t" || count("dropped_queue_full") != 0 {
		t.Errorf("%q came, %d are dropped", got, count("dropped_queue_full"))
	}
}

// TestRetainedExpire: messages that nobody gets any more make room.
func TestRetainedExpire(t *testing.T) {
	r := retained{maxCount: 3, maxBytes: 1 << 20}
	const second = 1_000_000
	for _, x := range []struct {
		topic   string
		expires int64
		now     int64
		ok      bool
	}{
		{"a/1", 5 * second, 1 * second, true},
		{"a/2", 0, 1 * second, true},
		{"b", 5*second + 1, 1 * second, true},
		{"c", 0, 4 * second, false},
		{"b", 5*second + 1, 4 * second, true}, // in place of itself
		{"c", 0, 5 * second, true},
		{"d", 0, 6*second - 1, false}, // b is expired, but all were looked at a moment ago
		{"d", 0, 6 * second, true},
	} {
		if _, ok := r.set(&Message{Topic: x.topic, Expires: x.expires, Payload: []byte("x")}, x.now); ok != x.ok {
			t.Errorf("%s at %d: %v", x.topic, x.now/second, ok)
		}
	}
	topics := r.topics("#")
	slices.Sort(topics)
	if want := []string{"a/2", "c", "d"}; !slices.Equal(topics, want) || r.count != 3 {
		t.Errorf("%q stay, %d are counted", topics, r.count)
	}
}

// TestIDs: a set says what was put in and not taken out, however many there are.
func TestIDs(t *testing.T) {
	var s ids
	known := map[uint16]bool{}
	for round := range 3 {
		step := []int{7, 1, 13}[round]
		for i := 1; i < 1<<16; i += step {
			s.add(uint16(i))
			s.add(uint16(i))
			known[uint16(i)] = true
		}
		for i := range 1 << 16 {
			if s.has(uint16(i)) != known[uint16(i)] || s.n != len(known) {
				t.Fatalf("round %d: %d, of %d", round, i, s.n)
			}
		}
		for i := range 1 << 16 {
			if round == 0 && i%3 == 0 {
				continue
			}
			if s.remove(uint16(i)) != known[uint16(i)] {
				t.Fatalf("round %d: %d taken out", round, i)
			}
			delete(known, uint16(i))
		}
	}
	if s.n != 0 || s.many != nil {
		t.Errorf("%d stay", s.n)
	}
}

// TestManyOfQoS2: MQTT 3.1.1 knows no receive maximum, so a client may have as many messages on their way as there are identifiers.
func TestManyOfQoS2(t *testing.T) {
	last := 1<<16 - 1
	if testing.Short() {
		last = 1 << 13
	}
	s, _ := counted(t, Options{})
	nc := login(t, listen(t, s, Listener{}), "a")
	go func() {
		var out []byte
		for id := 1; id <= last; id++ {
			out = Append(out, &Packet{Type: Publish, QoS: 2, ID: uint16(id), Topic: []byte("t")}, V311)
		}
		nc.Write(out)
	}()
	var buf, out []byte
	for id := 1; id <= last; id++ {
		if p := next(t, nc, &buf); p.Type != Pubrec || p.ID != uint16(id) {
			t.Fatalf("%s %d came, not the PUBREC of %d", p.Type, p.ID, id)
		}
		out = Append(out, &Packet{Type: Pubrel, ID: uint16(id)}, V311)
	}
	go nc.Write(out)
	for id := 1; id <= last; id++ {
		if p := next(t, nc, &buf); p.Type != Pubcomp || p.ID != uint16(id) {
			t.Fatalf("%s %d came, not the PUBCOMP of %d", p.Type, p.ID, id)
		}
	}
}
