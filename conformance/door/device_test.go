package door

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// device is a client that knows what libraries hide: which message has been
// answered how far, and what is sent again after a broken connection.
type device struct {
	dial    func() (net.Conn, error)
	name    string
	qos     byte
	clean   bool
	expect  bool // a session is there
	payload func(n int) string

	conn   net.Conn
	in     *bufio.Reader
	buf    []byte
	flight []*sent // not answered for good, in order
	n      int     // messages begun
	done   int     // and answered for good
	again  int     // sent again
}

// sent is a message on its way.
type sent struct {
	id       uint16
	payload  string
	tried    bool // it went out on an earlier connection
	received bool // PUBREC has come: PUBREL is what is sent from now on
	at       time.Time
}

const answerTime = 20 * time.Second

// connect connects, and sends again what was in flight.
func (d *device) connect() error {
	nc, err := d.dial()
	if err != nil {
		return err
	}
	d.conn, d.in, d.buf = nc, bufio.NewReaderSize(nc, 512), nil
	if err := nc.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	login := &mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V311, CleanStart: d.clean, ClientID: []byte(d.name), KeepAlive: 60}}
	if _, err := nc.Write(mqtt.Append(nil, login, mqtt.V311)); err != nil {
		return err
	}
	var p mqtt.Packet
	if err := d.read(&p); err != nil {
		return err
	}
	if p.Type != mqtt.Connack || p.Reason != 0 {
		return fmt.Errorf("%s: %s %d came for CONNECT", d.name, p.Type, p.Reason)
	}
	if d.expect && !p.SessionPresent {
		return fmt.Errorf("%s: %w", d.name, errNoSession)
	}
	d.expect = !d.clean
	var out []byte
	for _, m := range d.flight {
		d.again++
		out = d.append(out, m)
	}
	_, err = nc.Write(out)
	return err
}

var errNoSession = errors.New("the session is gone")

func (d *device) append(out []byte, m *sent) []byte {
	p := &mqtt.Packet{Type: mqtt.Publish, QoS: d.qos, ID: m.id, Dup: m.tried, Topic: []byte("dt/" + d.name + "/telemetry"), Payload: []byte(m.payload)}
	if m.received {
		p = &mqtt.Packet{Type: mqtt.Pubrel, ID: m.id}
	}
	m.tried = true
	return mqtt.Append(out, p, mqtt.V311)
}

// publish puts messages on the way until there are so many.
func (d *device) publish(window int) error {
	var out []byte
	for len(d.flight) < window {
		m := &sent{id: uint16(d.n%60_000 + 1), payload: d.payload(d.n), at: time.Now()}
		d.n++
		d.flight = append(d.flight, m)
		out = d.append(out, m)
	}
	_, err := d.conn.Write(out)
	return err
}

// answer takes one answer. It returns the message that it was the last one for.
func (d *device) answer() (*sent, error) {
	var p mqtt.Packet
	if err := d.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if err := d.read(&p); err != nil {
		return nil, err
	}
	for i, m := range d.flight {
		if m.id != p.ID {
			continue
		}
		switch {
		case p.Type == mqtt.Pubrec && d.qos == 2:
			m.received = true
			_, err := d.conn.Write(d.append(nil, m))
			return nil, err
		case p.Type == mqtt.Puback && d.qos == 1, p.Type == mqtt.Pubcomp && m.received:
			d.flight = append(d.flight[:i], d.flight[i+1:]...)
			d.done++
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s: %s %d came unasked", d.name, p.Type, p.ID)
}

func (d *device) read(p *mqtt.Packet) error {
	for {
		n, err := mqtt.Decode(d.buf, mqtt.V311, mqtt.Limits{}, p)
		if err != nil {
			return err
		}
		if n > 0 {
			d.buf = d.buf[n:]
			return nil
		}
		var b [256]byte
		k, err := d.in.Read(b[:])
		if err != nil {
			return err
		}
		d.buf = append(d.buf, b[:k]...)
	}
}

func (d *device) close() {
	if d.conn != nil {
		d.conn.Close()
	}
}
