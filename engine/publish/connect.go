package publish

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tidemill/tidemill/engine/mqtt"
)

// errDenied wraps a broker's refusal of a connection.
var errDenied = errors.New("the broker refuses the connection")

// live is the life of a client: connect, read, and again.
func (cl *Client) live() {
	c := cl.crowd
	defer c.alive.Done()
	pause := time.Duration(0)
	for c.quit.Err() == nil && !cl.hasLeft() {
		if cl.isAway() {
			select {
			case <-cl.change:
			case <-c.quit.Done():
			}
			continue
		}
		began := c.o.Env.Clock.Now()
		err := cl.connection()
		if cl.cutOff() {
			continue
		}
		c.stats.failed.Add(1)
		if err != nil {
			c.stats.note(err)
		}
		// A connection that has lasted was a good one.
		if c.o.Env.Clock.Now().Sub(began) > c.o.RetryMost {
			pause = 0
		}
		pause = min(max(2*pause, c.o.RetryFirst), c.o.RetryMost)
		c.pause(time.Duration(c.o.Random(int64(pause))), nil)
	}
}

func (cl *Client) isAway() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.away && !cl.left
}

func (cl *Client) hasLeft() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.left
}

// cutOff says whether the connection ended because it was told to.
func (cl *Client) cutOff() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.away || cl.left
}

// connection connects and reads until the connection is lost.
func (cl *Client) connection() error {
	c := cl.crowd
	select {
	case c.dials <- struct{}{}:
	case <-c.quit.Done():
		return nil
	}
	conn, r, err := cl.dial()
	<-c.dials
	if err != nil {
		if errors.Is(err, errDenied) {
			c.stats.denied.Add(1)
		}
		return err
	}
	defer conn.Close()
	if !cl.attach(conn, r) {
		return nil
	}
	c.stats.connects.Add(1)
	c.stats.connected.Add(1)
	err = cl.read(conn, r)
	c.stats.connected.Add(-1)
	cl.mu.Lock()
	cl.conn, cl.out, cl.leaving = nil, nil, false
	cl.mu.Unlock()
	return err
}

// dial makes a connection up to CONNACK. It gives up when the crowd closes.
func (cl *Client) dial() (net.Conn, *reader, error) {
	c := cl.crowd
	d := net.Dialer{Timeout: c.o.Timeout}
	conn, err := d.DialContext(c.quit, "tcp", c.o.Address)
	if err != nil {
		return nil, nil, err
	}
	stop := make(chan struct{})
	defer close(stop)
	raw := conn
	go func() {
		select {
		case <-c.quit.Done():
			raw.Close()
		case <-stop:
		}
	}()
	_ = conn.SetDeadline(c.o.Env.Clock.Now().Add(c.o.Timeout))
	if c.o.TLS != nil {
		conn = tls.Client(conn, c.o.TLS)
	}
	r := &reader{conn: conn, version: c.o.Version}
	if err := cl.greet(conn, r); err != nil {
		conn.Close()
		if late(err) {
			err = fmt.Errorf("%s does not answer in time", c.o.Address)
		}
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, r, nil
}

// late tells whether a deadline has passed.
func late(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func (cl *Client) greet(conn net.Conn, r *reader) error {
	o := &cl.crowd.o
	p := mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: o.Version, ClientID: []byte(cl.id),
		KeepAlive: uint16(min(o.KeepAlive/time.Second, 65_535))}}
	if o.User != "" {
		p.Login.HasUser, p.Login.User = true, []byte(o.User)
		p.Login.HasPassword, p.Login.Password = o.Password != "", []byte(o.Password)
	}
	if o.Version == mqtt.V5 {
		p.Props.SetNum(mqtt.SessionExpiry, uint32(o.SessionExpiry/time.Second))
	}
	if _, err := conn.Write(mqtt.Append(nil, &p, o.Version)); err != nil {
		return err
	}
	p, err := r.packet()
	if err != nil {
		return err
	}
	props := &p.Props
	switch {
	case p.Type != mqtt.Connack:
		return fmt.Errorf("the broker answers CONNECT with %s", p.Type)
	case p.Reason != mqtt.Success:
		return fmt.Errorf("%w: %s%s", errDenied, denial(p.Reason, o.Version), words(props.Text(mqtt.ReasonString)))
	case o.QoS > byte(props.Num(mqtt.MaximumQoS, 2)):
		return fmt.Errorf("%w: it takes QoS up to %d", errDenied, props.Num(mqtt.MaximumQoS, 2))
	case o.Retain && props.Num(mqtt.RetainAvailable, 1) == 0:
		return fmt.Errorf("%w: it retains no messages", errDenied)
	}
	r.present = p.SessionPresent
	r.window = int(props.Num(mqtt.ReceiveMaximum, 65_535))
	r.largest = int(props.Num(mqtt.MaximumPacketSize, 0))
	r.quiet = time.Duration(props.Num(mqtt.ServerKeepAlive, uint32(o.KeepAlive/time.Second))) * time.Second
	return nil
}

// denial is the reason of a CONNACK; 3.1.1 has codes of its own, section 3.2.2.3 there.
func denial(r mqtt.Reason, v mqtt.Version) string {
	old := [...]string{1: "unacceptable protocol version", 2: "identifier rejected", 3: "server unavailable", 4: "bad user name or password", 5: "not authorized"}
	if v < mqtt.V5 && int(r) < len(old) {
		return old[r]
	}
	return r.String()
}

func words(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.200q)", text)
}

// attach makes conn the client's connection, and sends again what is in flight.
func (cl *Client) attach(conn net.Conn, r *reader) bool {
	cl.mu.Lock()
	if cl.left || cl.away {
		cl.mu.Unlock()
		return false
	}
	cl.conn, cl.out, cl.leaving = conn, nil, false
	cl.window, cl.largest = min(cl.crowd.o.Inflight, r.window), r.largest
	var done []outcome
	if r.present {
		cl.resend()
	} else {
		done = cl.requeue()
	}
	done = append(done, cl.fill()...)
	cl.list()
	cl.mu.Unlock()
	cl.tell(done)
	return true
}

// resend goes on with a session that the broker has kept, MQTT 5.0 section 4.4.
func (cl *Client) resend() {
	now := cl.crowd.o.Env.Clock.Now().UnixNano()
	for _, m := range cl.flight {
		m.sentNS = now
		if m.released {
			cl.out = mqtt.Append(cl.out, &mqtt.Packet{Type: mqtt.Pubrel, ID: m.id}, cl.crowd.o.Version)
			continue
		}
		const dup = 8
		m.packet[0] |= dup
		cl.out = append(cl.out, m.packet...)
		cl.crowd.stats.again.Add(1)
	}
}

// requeue starts over with a broker that knows nothing: what it had confirmed to have is its own.
func (cl *Client) requeue() (done []outcome) {
	var again []*message
	for _, m := range cl.flight {
		if m.released {
			done = append(done, outcome{tag: m.tag})
			continue
		}
		m.packet[0] &^= 8
		again = append(again, m)
		cl.crowd.stats.again.Add(1)
	}
	cl.queue, cl.flight = append(again, cl.queue...), nil
	return done
}

// read handles what the broker sends. A connection on which nothing comes
// though something should is given up.
func (cl *Client) read(conn net.Conn, r *reader) error {
	clock := cl.crowd.o.Env.Clock
	for {
		if r.quiet > 0 {
			_ = conn.SetReadDeadline(clock.Now().Add(r.quiet / 2))
		}
		err := cl.handle(r)
		if !late(err) {
			if errors.Is(err, io.EOF) {
				return errors.New("the broker has closed the connection")
			}
			return err
		}
		cl.mu.Lock()
		expects := len(cl.flight) > 0 || r.pinged
		if expects && !r.heard {
			cl.mu.Unlock()
			return errors.New("the broker says nothing any more")
		}
		r.heard, r.pinged = false, !cl.sent
		if !cl.sent {
			cl.out = mqtt.Append(cl.out, &mqtt.Packet{Type: mqtt.Pingreq}, cl.crowd.o.Version)
			cl.list()
		}
		cl.sent = false
		cl.mu.Unlock()
	}
}

// handle takes packets until there is an error.
func (cl *Client) handle(r *reader) error {
	for {
		t, id, reason, err := r.ack()
		if err != nil {
			return err
		}
		r.heard = true
		switch t {
		case mqtt.Puback, mqtt.Pubrec, mqtt.Pubcomp:
			if err := cl.take(t, id, reason); err != nil {
				return err
			}
		case mqtt.Pingresp:
		case mqtt.Disconnect:
			return fmt.Errorf("the broker ends the connection: %s", reason)
		default:
			return fmt.Errorf("the broker sends %s to a client that only publishes", t)
		}
	}
}
