package mqtt

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// moody is an inlet that now and then would have to wait, and checks that the
// messages of each client come in order.
type moody struct {
	mu      sync.Mutex
	rng     *rand.Rand
	next    map[string]uint32
	wrong   []string
	refused int
}

func (m *moody) TryAppend(batch []Inbound, done func(error)) (bool, error) {
	m.mu.Lock()
	if m.rng.IntN(4) == 0 {
		m.refused++
		m.mu.Unlock()
		return false, nil
	}
	m.mu.Unlock()
	return true, m.take(batch, done)
}

// Append takes so long that messages which do not wait for it overtake.
func (m *moody) Append(batch []Inbound, done func(error)) error {
	time.Sleep(2 * time.Millisecond)
	return m.take(batch, done)
}

func (m *moody) take(batch []Inbound, done func(error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range batch {
		b := &batch[i]
		if n := binary.BigEndian.Uint32(b.Payload); n != m.next[b.Client.ID] && len(m.wrong) < 5 {
			m.wrong = append(m.wrong, fmt.Sprintf("%s: message %d came for %d", b.Client.ID, n, m.next[b.Client.ID]))
		}
		m.next[b.Client.ID]++
	}
	if done != nil {
		go done(nil)
	}
	return nil
}

// TestSweep lets clients publish in pieces that end anywhere, at every QoS, over
// TLS and not, while the inlet sometimes would have to wait.
func TestSweep(t *testing.T) {
	const clients, messages = 24, 300
	m := &moody{rng: rand.New(rand.NewPCG(1, 1)), next: map[string]uint32{}}
	s := NewServer(Options{Env: env.Real(), Inlet: m, ReceiveMaximum: 50, Handshakes: 2})
	defer s.Close()
	if s.taker == nil {
		t.Fatal("the inlet is not asked: the test would prove nothing")
	}
	serverTLS, clientTLS := selfSigned(t)
	plain, secure := listen(t, s, Listener{}), listen(t, s, Listener{TLS: serverTLS})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			dial := func() (net.Conn, error) { return net.Dial("tcp", plain) }
			if i%2 == 0 {
				dial = func() (net.Conn, error) { return tls.Dial("tcp", secure, clientTLS) }
			}
			if err := choppy(dial, i, messages); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.wrong {
		t.Error(w)
	}
	if len(m.next) != clients || m.refused < 10 {
		t.Errorf("%d clients were heard, and the inlet would have had to wait %d times", len(m.next), m.refused)
	}
	for id, n := range m.next {
		if n != messages {
			t.Errorf("%s: %d messages of %d", id, n, messages)
		}
	}
}

// choppy publishes in pieces of random length and checks the acknowledgements.
func choppy(dial func() (net.Conn, error), number, messages int) error {
	rng := rand.New(rand.NewPCG(uint64(number), 2))
	nc, err := dial()
	if err != nil {
		return err
	}
	defer nc.Close()
	out := Append(nil, &Packet{Type: Connect, Login: Login{Version: V311, CleanStart: true, ClientID: fmt.Appendf(nil, "c%d", number)}}, V311)
	answered, want := 0, 0
	r := bufio.NewReader(nc)
	for n := range messages {
		p := Packet{Type: Publish, QoS: byte(rng.IntN(2)), ID: uint16(n + 1), Topic: []byte("a/b")}
		p.Payload = binary.BigEndian.AppendUint32(nil, uint32(n))
		if rng.IntN(50) == 0 {
			p.Payload = append(p.Payload, make([]byte, 40_000)...)
		}
		want += int(p.QoS)
		out = Append(out, &p, V311)
		if rng.IntN(10) > 0 && n+1 < messages {
			continue
		}
		for len(out) > 0 {
			k := 1 + rng.IntN(len(out))
			if _, err := nc.Write(out[:k]); err != nil {
				return err
			}
			out = out[k:]
		}
		for ; answered < want || n+1 == messages && answered == 0; answered++ {
			var ack [4]byte
			for first := true; first || ack[0] == byte(Connack)<<4; first = false {
				if _, err := io.ReadFull(r, ack[:]); err != nil {
					return err
				}
			}
			if ack[0] != byte(Puback)<<4 {
				return fmt.Errorf("% x came for a message", ack)
			}
		}
	}
	return nil
}

// TestSweepEnds sees that connections which a sweeper reads end as others do:
// by silence, by the server, by themselves.
func TestSweepEnds(t *testing.T) {
	s, count := counted(t, Options{Inlet: &moody{rng: rand.New(rand.NewPCG(1, 1)), next: map[string]uint32{}}})
	address := listen(t, s, Listener{})
	join := func(id string, keep uint16) net.Conn { return join(t, address, id, keep) }
	silent, kicked, leaving := join("silent", 1), join("kicked", 0), join("leaving", 0)
	parked := func(n int) bool { return parked(s) == n }
	wait(t, "three connections are parked", func() bool { return parked(3) })
	leaving.Close()
	wait(t, "one has left", func() bool { return parked(2) })
	s.Disconnect(AdminAction, func(c *Client) bool { return c.ID == "kicked" })
	for _, nc := range []net.Conn{kicked, silent} {
		text, err := io.ReadAll(nc)
		if err != nil || len(text) == 0 {
			t.Errorf("%d bytes came before the end: %v", len(text), err)
		}
		nc.Close()
	}
	wait(t, "all are gone", func() bool { return s.Stats().Connections == 0 && parked(0) })
	if n := count("keep_alive_timeouts"); n != 1 {
		t.Errorf("%d connections kept silent for too long", n)
	}
}

// join connects and waits for CONNACK.
func join(t *testing.T, address, id string, keep uint16) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := nc.Write(Append(nil, &Packet{Type: Connect, Login: Login{Version: V5, KeepAlive: keep, CleanStart: true, ClientID: []byte(id)}}, V5)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// parked is how many connections the first sweeper reads.
func parked(s *Server) int {
	w := s.sweepers[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.list) - len(w.free)
}

// TestSweepDrop drops more connections at once than get a goroutine at one time: all of them end, and who stays is heard.
func TestSweepDrop(t *testing.T) {
	s := NewServer(Options{Env: env.Real(), Inlet: &moody{rng: rand.New(rand.NewPCG(1, 1)), next: map[string]uint32{}}})
	defer s.Close()
	address := listen(t, s, Listener{})
	stays := join(t, address, "stays", 0)
	var crowd []net.Conn
	for i := range 5*leaveAtOnce + 1 {
		crowd = append(crowd, join(t, address, fmt.Sprint("c", i), 0))
	}
	wait(t, "all are parked", func() bool { return parked(s) == len(crowd)+1 })
	for _, nc := range crowd {
		nc.Close()
	}
	wait(t, "all have left but one", func() bool { return s.Stats().Connections == 1 && parked(s) == 1 })
	if _, err := stays.Write([]byte{byte(Pingreq) << 4, 0}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the one who stays is answered", func() bool {
		var last [1]byte
		_, err := io.ReadFull(stays, last[:])
		if err != nil {
			t.Fatal(err)
		}
		return last[0] == byte(Pingresp)<<4
	})
}

// TestSweepLastWords has clients end in the moment in which they say something: a sweeper that finds less than there was room
// for has to look for the end, of which the kernel tells once.
func TestSweepLastWords(t *testing.T) {
	m := &moody{rng: rand.New(rand.NewPCG(1, 1)), next: map[string]uint32{}}
	s := NewServer(Options{Env: env.Real(), Inlet: m})
	defer s.Close()
	address := listen(t, s, Listener{})
	var crowd []net.Conn
	for i := range 64 {
		crowd = append(crowd, join(t, address, fmt.Sprint("c", i), 0))
	}
	wait(t, "all are parked", func() bool { return parked(s) == len(crowd) })
	m.mu.Lock() // the sweeper waits here with the first of them
	for _, nc := range crowd {
		if _, err := nc.Write(Append(nil, &Packet{Type: Publish, Topic: []byte("t"), Payload: make([]byte, 4)}, V5)); err != nil {
			t.Error(err)
		}
		nc.Close()
	}
	m.mu.Unlock()
	wait(t, "all have left", func() bool { return s.Stats().Connections == 0 && parked(s) == 0 })
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.next) != len(crowd) {
		t.Errorf("of %d clients the last words were heard of %d", len(crowd), len(m.next))
	}
}

func wait(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !true(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}
