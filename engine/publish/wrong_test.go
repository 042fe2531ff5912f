package publish

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// TestWrongAnswers: a broker that confirms what it cannot have is left, and gets the message again: nothing counts as
// acknowledged by an answer of another quality of service, or before its turn.
func TestWrongAnswers(t *testing.T) {
	for _, c := range []struct {
		qos    byte
		answer mqtt.Type
		reason mqtt.Reason
	}{
		{1, mqtt.Pubcomp, 0},
		{1, mqtt.Pubrec, mqtt.QuotaExceeded},
		{2, mqtt.Puback, 0},
		{2, mqtt.Pubcomp, 0},
	} {
		t.Run(fmt.Sprintf("QoS %d, %s", c.qos, c.answer), func(t *testing.T) {
			address := broker(t, func(n int, b *peer) {
				b.hello(n > 0, 0)
				b.expect(fmt.Sprintf("PUBLISH 0 id=1 dup=%v", n > 0))
				if n == 0 {
					b.send(&mqtt.Packet{Type: c.answer, ID: 1, Reason: c.reason})
					if p, open := b.expect(""); open {
						t.Errorf("%s comes, and not the end", p.Type)
					}
					return
				}
				if c.qos == 2 {
					b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 1})
					b.expect("PUBREL")
					b.send(&mqtt.Packet{Type: mqtt.Pubcomp, ID: 1})
				} else {
					b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 1})
				}
				b.expect("DISCONNECT")
			})
			cr := crowd(t, Options{Address: address, QoS: c.qos})
			publishAll(t, cr, []*Client{cr.Client("a")}, 0, 1, nil)
			if s := cr.Stats(); s.Acknowledged != 1 || s.Refused != 0 || s.Connects != 2 || s.Trouble != "the broker confirms a message that it was not sent" {
				t.Errorf("%+v", s)
			}
			cr.Close()
		})
	}
}

// TestAnyOrder: an answer is for the message that it names, not for the oldest.
func TestAnyOrder(t *testing.T) {
	address := broker(t, func(n int, b *peer) {
		b.hello(n > 0, 0)
		if n == 0 {
			for i := range 3 {
				b.expect(fmt.Sprintf("PUBLISH %d id=%d dup=false", i, i+1))
			}
			b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 2})
			b.send(&mqtt.Packet{Type: mqtt.Disconnect})
			b.expect("")
			return
		}
		b.expect("PUBLISH 0 id=1 dup=true")
		b.expect("PUBLISH 2 id=3 dup=true")
		b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 1})
		b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 3})
		b.expect("DISCONNECT")
	})
	cr := crowd(t, Options{Address: address, QoS: 1})
	publishAll(t, cr, []*Client{cr.Client("a")}, 0, 3, nil)
	cr.Close()
}

// TestReceived: with QoS 2 PUBREC is answered with PUBREL, also for a message that is not known any more, or the broker would never forget it;
// but not where it says that the broker does not take the message, which is done by that.
func TestReceived(t *testing.T) {
	address := broker(t, func(_ int, b *peer) {
		b.hello(true, 0)
		b.expect("PUBLISH 0 id=1 dup=false")
		b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 9})
		if p, _ := b.expect("PUBREL"); p.ID != 9 {
			t.Errorf("PUBREL of %d, want 9", p.ID)
		}
		b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 1, Reason: mqtt.QuotaExceeded})
		b.expect("DISCONNECT")
	})
	cr := crowd(t, Options{Address: address, QoS: 2})
	publishAll(t, cr, []*Client{cr.Client("a")}, 0, 1, nil)
	cr.Close()
	if s := cr.Stats(); s.Acknowledged != 0 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// TestIdentifiers: they rise, leave out 0, come around, and wait for a message that still has its own, and for the window.
func TestIdentifiers(t *testing.T) {
	packet := func() *message { return &message{packet: make([]byte, 8), idAt: 4} }
	for _, c := range []struct {
		flight []uint16
		last   uint16
		window int
		want   uint16 // 0: it waits
	}{
		{nil, 0, 2, 1},
		{nil, 65_535, 2, 1},
		{[]uint16{7}, 7, 2, 8},
		{[]uint16{6, 7}, 7, 2, 0},
		{[]uint16{1}, 65_535, 2, 0},
		{[]uint16{9}, 8, 2, 0},
		{[]uint16{2}, 65_535, 2, 1},
	} {
		cl := &Client{window: c.window, lastID: c.last}
		for _, id := range c.flight {
			cl.flight = append(cl.flight, &message{id: id})
		}
		m := packet()
		if ok := cl.number(m); ok != (c.want > 0) || m.id != c.want || m.packet[4] != byte(c.want>>8) || m.packet[5] != byte(c.want) {
			t.Errorf("%+v: %v, %d, %x", c, ok, m.id, m.packet)
		}
	}
}

// TestForgotten: what a broker that has lost the session had confirmed to have is its own; the rest is published anew, before what waited, and in order.
func TestForgotten(t *testing.T) {
	address := broker(t, func(n int, b *peer) {
		b.hello(n == 1, 2)
		switch n {
		case 0:
			b.expect("PUBLISH 0 id=1 dup=false")
			b.expect("PUBLISH 1 id=2 dup=false")
			b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: 1})
			b.expect("PUBREL")
		case 1:
			b.expect("PUBREL")
			b.expect("PUBLISH 1 id=2 dup=true")
		case 2:
			b.expect("PUBLISH 1 id=3 dup=false")
			b.expect("PUBLISH 2 id=4 dup=false")
			for id := uint16(3); id < 6; id++ {
				b.send(&mqtt.Packet{Type: mqtt.Pubrec, ID: id})
				b.expect("PUBREL")
				b.send(&mqtt.Packet{Type: mqtt.Pubcomp, ID: id})
				if id == 3 {
					b.expect("PUBLISH 3 id=5 dup=false")
				}
			}
			b.expect("DISCONNECT")
		}
	})
	told := map[int]int{}
	var mu sync.Mutex
	cr := crowd(t, Options{Address: address, QoS: 2, Done: func(tag int, r mqtt.Reason) {
		mu.Lock()
		defer mu.Unlock()
		if told[tag]++; r.Failed() {
			t.Errorf("message %d: %s", tag, r)
		}
	}})
	publishAll(t, cr, []*Client{cr.Client("a")}, 0, 4, nil)
	cr.Close()
	if len(told) != 4 || told[0] != 1 || told[1] != 1 || told[2] != 1 || told[3] != 1 {
		t.Errorf("told so often: %v", told)
	}
}

// TestTooLarge: a packet that the broker says it does not take is not sent, which is told, and holds up nothing.
func TestTooLarge(t *testing.T) {
	address := broker(t, func(_ int, b *peer) {
		b.expect("CONNECT")
		p := &mqtt.Packet{Type: mqtt.Connack}
		p.Props.SetNum(mqtt.MaximumPacketSize, 30)
		b.send(p)
		b.expect("PUBLISH 1 id=1 dup=false")
		b.send(&mqtt.Packet{Type: mqtt.Puback, ID: 1})
		b.expect("DISCONNECT")
	})
	told := make(chan string, 10)
	cr := crowd(t, Options{Address: address, QoS: 1, Done: func(tag int, r mqtt.Reason) { told <- fmt.Sprint(tag, " ", r) }})
	cl := cr.Client("a")
	cl.Publish("t/0", make([]byte, 30), 0)
	cl.Publish("t/0", []byte("1"), 1)
	for _, want := range []string{"0 packet too large", "1 success"} {
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told is %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody says %q", want)
		}
	}
	cr.Close()
}
