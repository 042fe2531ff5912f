package ingestmqtt

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/mqtt"
)

// client is a client that can be as rude as a test needs.
type client struct {
	t    *testing.T
	conn net.Conn
	buf  []byte
}

func (r *rig) dial(id string, clean bool) *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", "127.0.0.1:"+r.port(0))
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{t: r.t, conn: nc}
	r.t.Cleanup(func() { nc.Close() })
	p := &mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V5, CleanStart: clean, ClientID: []byte(id)}}
	if !clean {
		p.Props.SetNum(mqtt.SessionExpiry, 1000)
	}
	c.send(p)
	c.expect(mqtt.Connack)
	return c
}

func (c *client) send(p *mqtt.Packet) {
	c.t.Helper()
	if _, err := c.conn.Write(mqtt.Append(nil, p, mqtt.V5)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(want mqtt.Type) mqtt.Packet {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var p mqtt.Packet
		n, err := mqtt.Decode(c.buf, mqtt.V5, mqtt.Limits{}, &p)
		if err != nil {
			c.t.Fatal(err)
		}
		if n > 0 {
			if p.Type != want || p.Reason.Failed() {
				c.t.Fatalf("%s %s came, not %s", p.Type, p.Reason, want)
			}
			c.buf = c.buf[n:]
			return p
		}
		b := make([]byte, 4096)
		if n, err = c.conn.Read(b); err != nil {
			c.t.Fatal(err)
		}
		c.buf = append(c.buf, b[:n]...)
	}
}

func (c *client) publish(topic string, qos byte, id uint16, dup bool, properties ...string) {
	c.t.Helper()
	p := &mqtt.Packet{Type: mqtt.Publish, Topic: []byte(topic), Payload: []byte("1"), QoS: qos, ID: id, Dup: dup}
	for _, text := range properties {
		k, v, _ := strings.Cut(text, "=")
		p.Props.AddUser([]byte(k), []byte(v))
	}
	c.send(p)
	switch qos {
	case 1:
		c.expect(mqtt.Puback)
	case 2:
		c.expect(mqtt.Pubrec)
	}
}

// envelopes reads the journal: who sent what.
func (r *rig) envelopes() []string {
	var out []string
	reader, err := r.log.Read(0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer reader.Close()
	sessions := map[uint64]int{0: 0}
	for {
		b, err := reader.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		if b == nil {
			return out
		}
		for i := range b.Count {
			e, err := decode.ParseEnvelope(b.Envelope(i))
			if err != nil {
				r.t.Fatal(err)
			}
			if _, known := sessions[e.Session]; !known {
				sessions[e.Session] = len(sessions)
			}
			text := fmt.Sprintf("%d/%d", sessions[e.Session], e.Packet)
			if e.Resent {
				text += " resent"
			}
			if e.Uses > 0 {
				text += fmt.Sprint(" uses ", e.Uses)
			}
			for _, name := range r.source.opts.properties {
				if v, ok := e.Property(name); ok {
					text += fmt.Sprintf(" %s=%s", name, v)
				}
			}
			out = append(out, text)
		}
		b.Release()
	}
}

// What a record was sent as stands in the journal, and means the same after a restart.
func TestEnvelopes(t *testing.T) {
	dir := t.TempDir()
	config := "listen = \"tcp://127.0.0.1:0\"\ntopic = \"dt/{device}\"\nuser_properties = [\"firmware\", \"plant\"]"
	r := newRig(t, 1, config, dir)
	a, b := r.dial("a", false), r.dial("b", true)
	a.publish("dt/1", 1, 7, false, "plant=north", "other=x", "plant=south")
	a.publish("dt/1", 2, 8, false)
	b.publish("dt/2", 1, 7, false)
	b.publish("dt/2", 1, 7, true, "firmware=")
	a.publish("dt/1", 0, 0, false, "firmware=1.2")
	r.dial("c", false).publish("dt/3", 1, 1, false)
	a.conn.Close()
	r.close()
	r = newRig(t, 1, config, dir)
	a = r.dial("a", false)
	a.publish("dt/1", 1, 7, true, "plant=north")
	a.publish("dt/1", 2, 8, true)
	a.send(&mqtt.Packet{Type: mqtt.Pubrel, ID: 8})
	a.expect(mqtt.Pubcomp)
	a.publish("dt/1", 2, 8, true)
	r.dial("a", true).publish("dt/1", 1, 7, true)
	r.dial("c", false).publish("dt/3", 1, 1, true)
	got := strings.Join(r.envelopes(), "\n")
	want := strings.TrimSpace(`
1/7 plant=north
1/8
0/0
0/0 resent firmware=
0/0 firmware=1.2
2/1
1/7 resent plant=north
1/8 resent
1/8 resent uses 1
0/0 resent
2/1 resent`)
	if got != want {
		t.Errorf("the journal has\n%s\nwant\n%s", got, want)
	}
}
