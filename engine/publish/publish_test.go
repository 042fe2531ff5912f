package publish

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/mqtt"
)

const patience = 2 * time.Minute

// inlet notes what a server is given, and confirms it later, on another goroutine.
type inlet struct {
	mu   sync.Mutex
	got  map[string][]string // by topic
	work chan func()
}

func newInlet(t *testing.T) *inlet {
	in := &inlet{got: map[string][]string{}, work: make(chan func(), 10_000)}
	var over sync.WaitGroup
	over.Go(func() {
		for f := range in.work {
			f()
		}
	})
	t.Cleanup(func() { close(in.work); over.Wait() })
	return in
}

func (in *inlet) Append(batch []mqtt.Inbound, done func(error)) error {
	if done == nil {
		done = func(error) {}
	}
	in.mu.Lock()
	for _, m := range batch {
		in.got[m.Topic] = append(in.got[m.Topic], string(m.Payload))
	}
	in.mu.Unlock()
	in.work <- func() { done(nil) }
	return nil
}

func serve(t *testing.T, o mqtt.Options) (*mqtt.Server, string) {
	t.Helper()
	o.Env = env.Real()
	s := mqtt.NewServer(o)
	t.Cleanup(func() { s.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen(mqtt.Listener{Listener: l})
	return s, l.Addr().String()
}

func crowd(t *testing.T, o Options) *Crowd {
	t.Helper()
	o.Env, o.RetryFirst, o.RetryMost = env.Real(), time.Millisecond, 20*time.Millisecond
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// publishAll has every client publish 0, 1, ..., and waits until all is done.
func publishAll(t *testing.T, c *Crowd, clients []*Client, from, each int, between func(i int)) {
	t.Helper()
	for i := from; i < from+each; i++ {
		for n, cl := range clients {
			cl.Publish(fmt.Sprintf("t/%d", n), fmt.Appendf(nil, "%d", i), i)
		}
		if between != nil {
			between(i)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Below(ctx, 1); err != nil {
		t.Fatalf("%v: %+v", err, c.Stats())
	}
}

func numbers(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// TestInOrder: everything arrives, in order, and once, under every version and quality of service.
func TestInOrder(t *testing.T) {
	const clients, each = 20, 200
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for qos := byte(0); qos <= 2; qos++ {
			t.Run(fmt.Sprintf("version %d, QoS %d", v, qos), func(t *testing.T) {
				in := newInlet(t)
				o := mqtt.Options{Inlet: in}
				if v == mqtt.V5 {
					o.ReceiveMaximum = 7 // clients of 3.1.1 are not told
				}
				_, address := serve(t, o)
				var done atomic.Int64
				c := crowd(t, Options{Address: address, Version: v, QoS: qos, Done: func(_ int, r mqtt.Reason) { done.Add(1) }})
				var members []*Client
				for i := range clients {
					members = append(members, c.Client(fmt.Sprintf("c%d", i)))
				}
				publishAll(t, c, members, 0, each, nil)
				c.Close() // what QoS 0 has sent is through
				in.wait(t, clients*each)
				for n := range clients {
					if got := in.got[fmt.Sprintf("t/%d", n)]; !slices.Equal(got, numbers(each)) {
						t.Errorf("client %d: %d messages, %.200v", n, len(got), got)
					}
				}
				s := c.Stats()
				if s.Published != clients*each || s.Acknowledged != s.Published || done.Load() != s.Published || s.SentAgain+s.Refused+s.Failed+s.Waiting != 0 || s.Connects != clients {
					t.Errorf("%+v, told of %d", s, done.Load())
				}
				if l := c.Latencies(0, 0.5, 1); qos > 0 && (l[0] <= 0 || l[1] < l[0] || l[2] < l[1] || l[2] > patience) {
					t.Errorf("latencies %v", l)
				}
			})
		}
	}
}

func (in *inlet) wait(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		in.mu.Lock()
		have := 0
		for _, list := range in.got {
			have += len(list)
		}
		in.mu.Unlock()
		if have >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages of %d", have, n)
		}
	}
}

// TestLost: connections are lost all the time, by the server's doing and by Away;
// nothing is lost, the order of first arrivals is kept, and with QoS 2 nothing comes twice.
func TestLost(t *testing.T) {
	const clients, each = 5, 400
	for qos := byte(1); qos <= 2; qos++ {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			in := newInlet(t)
			s, address := serve(t, mqtt.Options{Inlet: in})
			c := crowd(t, Options{Address: address, QoS: qos})
			var members []*Client
			for i := range clients {
				members = append(members, c.Client(fmt.Sprintf("c%d", i)))
			}
			publishAll(t, c, members, 0, each, func(i int) {
				switch {
				case i%100 == 20:
					s.Disconnect(mqtt.ShuttingDown, func(*mqtt.Client) bool { return true })
				case i%100 == 70:
					members[0].Away(true)
				case i%100 == 90:
					members[0].Away(false)
				}
				if i%5 == 0 {
					time.Sleep(time.Millisecond) // so that connections come and go in between
				}
			})
			for n := range clients {
				got, next := in.got[fmt.Sprintf("t/%d", n)], 0
				for _, text := range got {
					var i int
					fmt.Sscan(text, &i)
					if i > next || i < next && qos == 2 {
						t.Fatalf("client %d: %d comes where %d is next: %v", n, i, next, got)
					}
					next = max(next, i+1)
				}
				if next != each {
					t.Errorf("client %d: the last is %d", n, next-1)
				}
			}
			if st := c.Stats(); st.Connects < 2*clients {
				t.Errorf("it was no test: %+v", st)
			}
		})
	}
}

// broker is a scripted one: it gives each connection to a function.
func broker(t *testing.T, each func(n int, b *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			over.Go(func() {
				defer conn.Close()
				each(n, &peer{t: t, conn: conn, r: &reader{conn: conn, version: mqtt.V5}})
			})
		}
	})
	t.Cleanup(func() { l.Close(); over.Wait() })
	return l.Addr().String()
}

type peer struct {
	t    *testing.T
	conn net.Conn
	r    *reader
}

// expect reads a packet; ok is false once the client has gone.
func (b *peer) expect(want string) (mqtt.Packet, bool) {
	p, err := b.r.packet()
	if err != nil {
		return p, false
	}
	got := p.Type.String()
	if p.Type == mqtt.Publish {
		got = fmt.Sprintf("%s %s id=%d dup=%v", got, p.Payload, p.ID, p.Dup)
	}
	if want != "" && got != want {
		b.t.Errorf("the client sends %s, want %s", got, want)
	}
	return p, true
}

func (b *peer) send(p *mqtt.Packet) { _, _ = b.conn.Write(mqtt.Append(nil, p, mqtt.V5)) }

func (b *peer) hello(present bool, window uint32) {
	b.expect("CONNECT")
	p := &mqtt.Packet{Type: mqtt.Connack, SessionPresent: present}
	if window > 0 {
		p.Props.SetNum(mqtt.ReceiveMaximum, window)
	}
	b.send(p)
}

// quiet makes sure that nothing more comes for a moment.
func (b *peer) quiet() {
	_ = b.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if p, err := b.r.packet(); err == nil {
		b.t.Errorf("%s comes, and the window is full", p.Type)
	}
	_ = b.conn.SetReadDeadline(time.Time{})
}

// TestSessions: a broker that keeps the session gets messages again as section
// 4.4 says; one that does not gets them as new ones.
func TestSessions(t *testing.T) {
	t.Run("kept", func(t *testing.T) {
		address := broker(t, func(n int, b *peer) {
			b.hello(n > 0, 2)
			if n == 0 {
				b.expect("PUBLISH 0 id=1 dup=false")
				b.expect("PUBLISH 1 id=2 dup=false")
				b.quiet()
				b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 1})
				b.expect("PUBLISH 2 id=3 dup=false")
				return
			}
			b.expect("PUBLISH 1 id=2 dup=true")
			b.expect("PUBLISH 2 id=3 dup=true")
			b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 2, Reason: mqtt.QuotaExceeded})
			b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 3})
			b.expect("DISCONNECT")
		})
		var mu sync.Mutex
		told := map[int]mqtt.Reason{}
		c := crowd(t, Options{Address: address, QoS: 1, Done: func(tag int, r mqtt.Reason) {
			mu.Lock()
			told[tag] = r
			mu.Unlock()
		}})
		publishAll(t, c, []*Client{c.Client("a")}, 0, 3, nil)
		c.Close()
		if s := c.Stats(); s.Acknowledged != 2 || s.Refused != 1 || s.SentAgain != 2 || s.Published != 3 || told[0] != 0 || told[1] != mqtt.QuotaExceeded || told[2] != 0 {
			t.Errorf("%+v, %v", s, told)
		}
	})
	t.Run("forgotten", func(t *testing.T) {
		address := broker(t, func(n int, b *peer) {
			b.hello(false, 0)
			b.expect(fmt.Sprintf("PUBLISH 0 id=%d dup=false", 1+2*n))
			b.expect(fmt.Sprintf("PUBLISH 1 id=%d dup=false", 2+2*n))
			if n == 1 {
				b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 3})
				b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 4})
				b.expect("DISCONNECT")
			}
		})
		c := crowd(t, Options{Address: address, QoS: 1})
		publishAll(t, c, []*Client{c.Client("a")}, 0, 2, nil)
		c.Close()
	})
	t.Run("QoS 2", func(t *testing.T) {
		address := broker(t, func(n int, b *peer) {
			b.hello(n > 0, 0)
			if n == 0 {
				b.expect("PUBLISH 0 id=1 dup=false")
				b.expect("PUBLISH 1 id=2 dup=false")
				b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 1})
				b.expect("PUBREL")
				return
			}
			b.expect("PUBREL")
			b.expect("PUBLISH 1 id=2 dup=true")
			b.send(&mqtt.Packet{Type: mqtt.Pubcomp, ID: 1, Reason: mqtt.IDNotFound})
			b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 2})
			b.expect("PUBREL")
			b.send(&mqtt.Packet{Type: mqtt.Pubcomp, ID: 2})
			b.expect("DISCONNECT")
		})
		c := crowd(t, Options{Address: address, QoS: 2})
		publishAll(t, c, []*Client{c.Client("a")}, 0, 2, nil)
		c.Close()
		if s := c.Stats(); s.Acknowledged != 2 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSilence: a broker that says nothing any more is left, one that answers pings is not.
func TestSilence(t *testing.T) {
	pings := make(chan bool, 100)
	address := broker(t, func(n int, b *peer) {
		b.hello(true, 0)
		if n == 0 {
			for {
				if _, ok := b.expect(""); !ok { // a publish, pings: no answer to anything
					return
				}
			}
		}
		b.expect("PUBLISH 0 id=1 dup=true")
		b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 1})
		for {
			p, ok := b.expect("")
			if !ok || p.Type != mqtt.Pingreq {
				return
			}
			b.send(&mqtt.Packet{Type: mqtt.Pingresp})
			pings <- true
		}
	})
	c := crowd(t, Options{Address: address, QoS: 1, KeepAlive: time.Second})
	publishAll(t, c, []*Client{c.Client("a")}, 0, 1, nil)
	for range 2 {
		select {
		case <-pings:
		case <-time.After(patience):
			t.Fatal("no ping")
		}
	}
	if s := c.Stats(); s.Connects != 2 || s.Trouble != "the broker says nothing any more" {
		t.Errorf("%+v", s)
	}
}

// TestDenied: what a broker says when it lets nobody in.
func TestDenied(t *testing.T) {
	for _, c := range []struct {
		answer mqtt.Packet
		says   string
	}{
		{mqtt.Packet{Type: mqtt.Connack, Reason: mqtt.NotAuthorized}, "the broker refuses the connection: not authorized"},
		{mqtt.Packet{Type: mqtt.Pingresp}, "the broker answers CONNECT with PINGRESP"},
		{func() mqtt.Packet {
			p := mqtt.Packet{Type: mqtt.Connack}
			p.Props.SetNum(mqtt.MaximumQoS, 0)
			return p
		}(), "the broker refuses the connection: it takes QoS up to 0"},
	} {
		address := broker(t, func(_ int, b *peer) {
			b.expect("CONNECT")
			b.send(&c.answer)
			b.expect("")
		})
		cr := crowd(t, Options{Address: address, QoS: 1})
		cr.Client("a")
		for end := time.Now().Add(patience); cr.Stats().Failed < 2 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if s := cr.Stats(); s.Trouble != c.says || s.Connects != 0 {
			t.Errorf("%+v, want %q", s, c.says)
		}
		cr.Close()
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"mqtt://a": "a:1883 false", "mqtts://a": "a:8883 true", "tcp://a:1": "a:1 false", "ssl://[::1]": "[::1]:8883 true", "tls://b:2/": "b:2 true",
		"ws://a": "WebSocket", "http://a": "begins with mqtt://", "mqtt://": "no host", "mqtt://u:hunter2@a": "settings of their own",
		"mqtt://a/b": "ends behind the port", "mqtt://%zz": "cannot be understood", "a:1883": "begins with mqtt://", "mqtt://a:99999": "a port goes up to 65535",
	} {
		address, encrypted, err := ParseURL(text)
		got := fmt.Sprint(address, " ", encrypted)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestBuckets(t *testing.T) {
	for v := uint64(0); v < 1<<40; v += 1 + v/7 {
		b := bucket(v)
		if u := upper(b); u <= v || u > v+v/16+1 || b > 0 && upper(b-1) > v {
			t.Fatalf("%d is in bucket %d, which ends at %d", v, b, u)
		}
	}
}
