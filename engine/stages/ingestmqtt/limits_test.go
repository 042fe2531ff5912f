package ingestmqtt

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// TestLimits: a client of MQTT 5.0 is told the longest keep-alive (MQTT-3.1.2-21), and a topic with a level
// more than allowed has its reason, as has a subscription more.
func TestLimits(t *testing.T) {
	r := newRig(t, 1, "listen = \"tcp://127.0.0.1:0\"\ntopic = \"dt/{device}\"\nmax_levels = 3\nmax_subscriptions = 1\nmax_keep_alive = \"1m30s\"", t.TempDir())
	for _, c := range []struct {
		keepAlive uint16
		told      uint32 // 0: nothing
		topic     string
		reason    mqtt.Reason // of the end; 0: it goes on
	}{
		{0, 90, "dt/d1", 0}, {91, 90, "a/b/c", 0}, {90, 0, "a/b/c/d", mqtt.TopicInvalid},
	} {
		nc, err := net.Dial("tcp", "127.0.0.1:"+r.port(0))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(clientPatience))
		in := dialogue{nc: nc}
		in.send(t, &mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V5, CleanStart: true, ClientID: []byte("x"), KeepAlive: c.keepAlive}})
		if p := in.next(t); p.Type != mqtt.Connack || p.Props.Num(mqtt.ServerKeepAlive, 0) != c.told {
			t.Errorf("%+v: %s, keep-alive %d", c, p.Type, p.Props.Num(mqtt.ServerKeepAlive, 0))
		}
		in.send(t, &mqtt.Packet{Type: mqtt.Subscribe, ID: 2, Filters: []mqtt.Filter{{Name: []byte("s/1")}, {Name: []byte("s/2")}}})
		if p := in.next(t); p.Type != mqtt.Suback || !bytes.Equal(p.Reasons, []byte{0, byte(mqtt.QuotaExceeded)}) {
			t.Errorf("%+v: %s % x", c, p.Type, p.Reasons)
		}
		in.send(t, &mqtt.Packet{Type: mqtt.Publish, QoS: 1, ID: 1, Topic: []byte(c.topic), Payload: []byte(`{}`)})
		if p := in.next(t); (p.Type == mqtt.Disconnect) != (c.reason != 0) || c.reason != 0 && p.Reason != c.reason {
			t.Errorf("%+v: %s %s", c, p.Type, p.Reason)
		}
	}
}

// TestMaxPerAddress: of one address so many connections are let in, and one more when one has gone; another address has its own.
func TestMaxPerAddress(t *testing.T) {
	r := newRig(t, 1, "listen = \"tcp://127.0.0.1:0\"\ntopic = \"dt/{device}\"\nmax_per_address = 2", t.TempDir())
	come := func(from byte) (net.Conn, bool) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		nc, err := d.Dial("tcp", "127.0.0.1:"+r.port(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(clientPatience))
		connect := mqtt.Append(nil, &mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V5, CleanStart: true}}, mqtt.V5)
		if _, err := nc.Write(connect); err != nil {
			return nc, false
		}
		n, err := nc.Read(make([]byte, 256))
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("neither let in nor closed")
		}
		return nc, n > 0
	}
	first, in := come(1)
	if !in {
		t.Fatal("the first is not let in")
	}
	if _, in := come(1); !in {
		t.Fatal("the second is not let in")
	}
	if _, in := come(1); in {
		t.Error("a third of one address is let in")
	}
	if runtime.GOOS == "linux" { // other systems have one loopback address
		if _, in := come(2); !in {
			t.Error("another address is not let in")
		}
	}
	first.Close()
	for end := time.Now().Add(clientPatience); ; {
		if _, in := come(1); in {
			break
		}
		if time.Now().After(end) {
			t.Fatal("none is let in when one has gone")
		}
	}
}

// dialogue is a connection whose packets are read one by one.
type dialogue struct {
	nc  net.Conn
	buf []byte
}

func (c *dialogue) send(t *testing.T, p *mqtt.Packet) {
	t.Helper()
	if _, err := c.nc.Write(mqtt.Append(nil, p, mqtt.V5)); err != nil {
		t.Fatal(err)
	}
}

func (c *dialogue) next(t *testing.T) *mqtt.Packet {
	t.Helper()
	for {
		var p mqtt.Packet
		n, err := mqtt.Decode(c.buf, mqtt.V5, mqtt.Limits{}, &p)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			c.buf = c.buf[n:]
			return &p
		}
		b := make([]byte, 256)
		k, err := c.nc.Read(b)
		if err != nil && (err != io.EOF || k == 0) {
			t.Fatal(err)
		}
		c.buf = append(c.buf, b[:k]...)
	}
}
