package mqtt

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// counted is a server whose counters can be read.
func counted(t testing.TB, o Options) (*Server, func(string) int64) {
	var counts sync.Map
	o.Env = env.Real()
	o.Count = func(name string, n int64) {
		v, _ := counts.LoadOrStore(name, new(atomic.Int64))
		v.(*atomic.Int64).Add(n)
	}
	s := NewServer(o)
	t.Cleanup(func() { s.Close() })
	return s, func(name string) int64 {
		v, ok := counts.Load(name)
		if !ok {
			return 0
		}
		return v.(*atomic.Int64).Load()
	}
}

// login connects over TCP.
func login(t testing.TB, address, id string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	p := Packet{Type: Connect, Login: Login{Version: V311, CleanStart: true, ClientID: []byte(id)}}
	if _, err := nc.Write(Append(nil, &p, V311)); err != nil {
		t.Fatal(err)
	}
	answer(t, nc, []byte{0x20, 2, 0, 0})
	return nc
}

// longEnough is how long the tests wait for what must come, on machines that do other things as well.
const longEnough = 30 * time.Second

func answer(t testing.TB, nc net.Conn, want []byte) {
	t.Helper()
	nc.SetReadDeadline(time.Now().Add(longEnough))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("% x came, not % x: %v", got, want, err)
	}
}

func send(t testing.TB, nc net.Conn, p *Packet) {
	t.Helper()
	if _, err := nc.Write(Append(nil, p, V311)); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(longEnough); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestSlowReader has a subscriber that reads nothing. The publisher and
// another subscriber go on; the slow one loses messages, and then the connection.
func TestSlowReader(t *testing.T) {
	s, count := counted(t, Options{Inlet: newInlet(), WriteTimeout: 2 * time.Second, MaxQueued: 10})
	address := listen(t, s, Listener{})
	slow, good, publisher := login(t, address, "slow"), login(t, address, "good"), login(t, address, "p")
	for _, nc := range []net.Conn{slow, good} {
		send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t"), QoS: 1}}})
		answer(t, nc, []byte{0x90, 3, 0, 1, 1})
	}
	message := &Packet{Type: Publish, Topic: []byte("t"), Payload: bytes.Repeat([]byte("x"), 60_000)}
	if err := slow.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // or it grows, on some systems to 32 MB
		t.Fatal(err)
	}
	const n = 400 // of 60 kB: more than the system keeps for a reader that does not read
	for range n {
		send(t, publisher, message)
		answer(t, good, Append(nil, message, V311))
	}
	eventually(t, "the slow reader stays", func() bool { return s.Stats().Connections == 2 })
	if count("dropped_slow_reader") == 0 {
		t.Error("nothing was dropped: the test sends too little")
	}
}

// TestSilence opens connections that never say anything, or half a handshake, at
// a server that lets one handshake compute at a time.
func TestSilence(t *testing.T) {
	serverTLS, clientTLS := selfSigned(t)
	s, count := counted(t, Options{Inlet: newInlet(), ConnectTimeout: 4 * time.Second, Handshakes: 1})
	plain, secure := listen(t, s, Listener{}), listen(t, s, Listener{TLS: serverTLS})
	for i := range 150 {
		for _, address := range []string{plain, secure} {
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if i%2 == 0 {
				nc.Write([]byte{0x16, 3, 1, 2, 0, 1, 0}) // the first bytes of a ClientHello, and of no packet
			}
		}
	}
	begin := time.Now()
	for range 5 {
		nc, err := tls.Dial("tcp", secure, clientTLS)
		if err == nil {
			err = conversation(nc, "x")
			nc.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(begin); d > 3500*time.Millisecond { // less than a silent one keeps its place
		t.Errorf("others wait: %v", d)
	}
	eventually(t, "they stay", func() bool { return s.Stats().Connections == 0 })
	if count("handshakes_failed") != 150 || count("connects_failed") != 150 {
		t.Errorf("%d handshakes and %d connects failed", count("handshakes_failed"), count("connects_failed"))
	}
}

func TestRate(t *testing.T) {
	s, count := counted(t, Options{Inlet: instant{}, Rate: 1000})
	nc := login(t, listen(t, s, Listener{}), "x")
	var some []byte // so many at once that a slow machine does not keep to the rate by itself
	for range 200 {
		some = Append(some, &Packet{Type: Publish, Topic: []byte("t")}, V311)
	}
	some = Append(some, &Packet{Type: Pingreq}, V311)
	begin := time.Now()
	for range 8 {
		if _, err := nc.Write(some); err != nil {
			t.Fatal(err)
		}
		answer(t, nc, []byte{0xD0, 0})
	}
	// A second's worth comes at once.
	if d := time.Since(begin); d < 300*time.Millisecond || count("slowed_down") == 0 {
		t.Errorf("1,600 messages at 1,000/s took %v", d)
	}
}

func TestConnectionLimit(t *testing.T) {
	s, count := counted(t, Options{MaxConnections: 2})
	address := listen(t, s, Listener{})
	a := login(t, address, "a")
	login(t, address, "b")
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetReadDeadline(time.Now().Add(longEnough))
	if _, err := nc.Read(make([]byte, 1)); err == nil || count("connections_over_limit") != 1 {
		t.Error("a third connection", err)
	}
	a.Close()
	eventually(t, "the first stays", func() bool { return s.Stats().Connections == 1 })
	login(t, address, "c")
}

// deaf is an inlet that takes everything and never answers.
type deaf struct{}

func (deaf) Append([]Inbound, func(error)) error { return nil }

func TestCloseWithoutTheInlet(t *testing.T) {
	s, _ := counted(t, Options{Inlet: deaf{}})
	nc := login(t, listen(t, s, Listener{}), "x")
	send(t, nc, &Packet{Type: Publish, QoS: 1, ID: 1, Topic: []byte("t")})
	send(t, nc, &Packet{Type: Pingreq})
	answer(t, nc, []byte{0xD0, 0})
	begin := time.Now()
	s.Close()
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Close took %v", d)
	}
	nc.SetReadDeadline(time.Now().Add(longEnough))
	if n, err := nc.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Error("acknowledged all the same", n)
	}
}

// TestDisconnect cuts one client off.
func TestDisconnect(t *testing.T) {
	s, _ := counted(t, Options{})
	address := listen(t, s, Listener{})
	a, b := login(t, address, "a"), login(t, address, "b")
	s.Disconnect(NotAuthorized, func(c *Client) bool { return c.ID == "a" })
	a.SetReadDeadline(time.Now().Add(longEnough))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	send(t, b, &Packet{Type: Pingreq})
	answer(t, b, []byte{0xD0, 0})
}

// TestIdleMemory measures what a connection that keeps silent costs: heap and stacks.
func TestIdleMemory(t *testing.T) {
	const n, most = 500, 16 << 10
	s, _ := counted(t, Options{Inlet: newInlet()})
	address := listen(t, s, Listener{})
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	login(t, address, "first")
	before := used()
	for i := range n {
		nc := login(t, address, string(rune('A'+i%26))+time.Duration(i).String())
		send(t, nc, &Packet{Type: Publish, Topic: []byte("t"), Payload: bytes.Repeat([]byte("x"), 200)})
	}
	each := int(used()-before) / n
	t.Logf("%d bytes a connection, its client in this process included", each)
	if each > most {
		t.Errorf("%d bytes a connection; at most %d are expected", each, most)
	}
}

// byName is an Access that believes user names, and forbids what it is told to.
type byName struct {
	open
	forbidden atomic.Value // string
}

func (*byName) Connect(c *Client) Reason {
	c.Principal = c.Username
	return Success
}

func (a *byName) Subscribe(_ *Client, filter string) bool { return a.forbidden.Load() != filter }

// TestSessionBelongs to a principal, and its subscriptions do not outlive permission.
func TestSessionBelongs(t *testing.T) {
	access := &byName{}
	s, count := counted(t, Options{Access: access})
	address := listen(t, s, Listener{})
	as := func(user string, want ...byte) net.Conn {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		send(t, nc, &Packet{Type: Connect, Login: Login{Version: V311, ClientID: []byte("x"), HasUser: true, User: []byte(user)}})
		answer(t, nc, want)
		return nc
	}
	anna := as("anna", 0x20, 2, 0, 0)
	send(t, anna, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("a")}, {Name: []byte("b")}}})
	answer(t, anna, []byte{0x90, 4, 0, 1, 0, 0})
	as("otto", 0x20, 2, 0, 2)
	send(t, anna, &Packet{Type: Pingreq}) // she is not disturbed
	answer(t, anna, []byte{0xD0, 0})
	access.forbidden.Store("a")
	anna = as("anna", 0x20, 2, 1, 0)
	s.Publish(&Message{Topic: "a", Payload: []byte("1")})
	s.Publish(&Message{Topic: "b", Payload: []byte("2")})
	answer(t, anna, []byte{0x30, 4, 0, 1, 'b', '2'})
	if count("subscriptions_revoked") != 1 || s.Stats().Subscriptions != 1 {
		t.Error("the subscription stays")
	}
}

// TestBacklog fills what all clients together may have waiting, and looks that everything
// that was counted is taken off again.
func TestBacklog(t *testing.T) {
	s, count := counted(t, Options{MaxBacklog: 100_000, MaxQueued: 1000, MaxQueuedBytes: 50_000, Inflight: 5})
	address := listen(t, s, Listener{})
	var readers []net.Conn
	for _, id := range []string{"a", "b", "c", "d"} {
		nc := login(t, address, id)
		send(t, nc, &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t"), QoS: 2}}})
		answer(t, nc, []byte{0x90, 3, 0, 1, 2})
		readers = append(readers, nc)
	}
	send(t, readers[0], &Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("u"), QoS: 2}}})
	answer(t, readers[0], []byte{0x90, 3, 0, 1, 2})
	for range 100 {
		s.Publish(&Message{Topic: "u", QoS: 1, Payload: make([]byte, 1000)})
	}
	for i := range 200 {
		s.Publish(&Message{Topic: "t", QoS: byte(i % 3), Payload: make([]byte, 1000)})
	}
	if n := s.backlog.Load(); n < 40_000 || n > 150_000 { // the network takes some of it meanwhile
		t.Errorf("%d bytes wait", n)
	}
	if count("dropped_backlog_full") == 0 || count("dropped_queue_full") == 0 {
		t.Error("nothing was dropped")
	}
	for _, nc := range readers {
		nc.Close()
	}
	eventually(t, "they stay", func() bool { return s.Stats().Connections == 0 })
	if n := s.backlog.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}
