package publish

import (
	"fmt"
	"testing"

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
