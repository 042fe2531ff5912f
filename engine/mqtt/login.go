package mqtt

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"time"
)

// errGone ends the reading of a connection whose client has said goodbye.
var errGone = errors.New("mqtt: the client has disconnected")

// maxConnect is how many bytes a CONNECT may have: whoever sends it is not known yet.
const maxConnect = 32 << 10

// greet reads up to CONNECT, checks it and answers. false: the connection is over.
func (c *conn) greet() bool {
	p := c.s.packets.get()
	defer c.s.packets.put(p)
	err := c.first(p)
	if err != nil {
		c.s.o.Count("connects_failed", 1)
		var e *Error
		if errors.As(err, &e) && p.Type == Connect {
			if l := p.Login.Version; l != V5 && l <= V311 || e.Reason == ClientIDInvalid {
				c.v = V311
			}
			c.turnAway(e)
		}
		return false
	}
	l := &p.Login
	c.v = l.Version
	c.client.Version = l.Version
	c.window, c.clientMax = c.s.o.Inflight, int(p.Props.Num(MaximumPacketSize, 0))
	assigned, err2 := c.identify(p)
	if err2 != nil {
		c.s.o.Count("connects_refused", 1)
		c.turnAway(err2)
		return false
	}
	c.sessionTTL = c.expiry(p)
	c.window = min(c.window, int(p.Props.Num(ReceiveMaximum, math.MaxUint16)))
	c.told.most = int(p.Props.Num(TopicAliasMaximum, 0))
	keep := time.Duration(l.KeepAlive) * time.Second
	if max := c.s.o.MaxKeepAlive; c.v == V5 && max > 0 && (keep == 0 || keep > max) {
		keep = max
	}
	w := c.willOf(p)
	answer := c.connack(p, assigned, keep)
	present, err3 := c.s.attach(c, l.CleanStart, c.sessionTTL)
	if err3 != nil {
		c.s.o.Count("connects_refused", 1)
		c.turnAway(err3)
		return false
	}
	if c.s.remember(c, w, time.Duration(l.WillProps.Num(WillDelay, 0))*time.Second) && c.s.log.Load().wait() != nil {
		c.turnAway(&Error{Reason: ShuttingDown, Text: "the server stops"})
		c.kick(nil)
		return true // the session is to be let go of
	}
	answer.SessionPresent = present
	c.sendPacket(answer)
	c.sock.setQuiet(keep * 3 / 2)
	c.s.resume(c.sess, c)
	return true
}

// first reads the first packet, which has to be a CONNECT, into p.
func (c *conn) first(p *Packet) error {
	lim := Limits{Packet: min(c.s.o.MaxPacket, maxConnect), Levels: c.s.o.MaxLevels}
	for {
		if c.to > 0 && c.buf[0]>>4 != byte(Connect) {
			p.Type = 0
			return protocol("MQTT-3.1.0-1", "the first packet is not a CONNECT")
		}
		p.Type = Connect
		p.Login.Version = V5
		n, err := Decode(c.buf[:c.to], V5, lim, p)
		if err != nil {
			return err
		}
		if n > 0 {
			c.from = n
			return nil
		}
		if err := c.read(); err != nil {
			p.Type = 0 // there is no packet to answer
			return err
		}
	}
}

// turnAway answers CONNECT with a failure.
func (c *conn) turnAway(e *Error) {
	p := &Packet{Type: Connack, Reason: e.Reason}
	if c.v == V311 {
		if e.Reason == MalformedPacket || e.Reason == ProtocolError || e.Reason == PacketTooLarge {
			return // MQTT 3.1.1 closes without an answer
		}
		p.Reason = Reason(e.Reason.returnCode())
	} else {
		c.v = V5
		if !codeOf(Connack, p.Reason) {
			p.Reason = Unspecified
			if e.Reason == ShuttingDown {
				p.Reason = ServerUnavailable
			}
		}
		p.Props.SetText(ReasonString, []byte(e.Error()))
	}
	c.sendPacket(p)
}

// identify finds out who connects and whether that is allowed. assigned: the
// server chose the client identifier.
func (c *conn) identify(p *Packet) (assigned bool, err *Error) {
	l := &p.Login
	if p.Props.Has(AuthMethod) {
		return false, &Error{BadAuthMethod, "MQTT-4.12.0-1", "enhanced authentication is not supported"}
	}
	c.client.ID, c.client.Username = string(l.ClientID), string(l.User)
	if assigned = len(l.ClientID) == 0; assigned {
		c.client.ID = "auto-" + rand.Text()
	}
	c.client.Password = append([]byte(nil), l.Password...)
	c.s.gate.enter()
	r := c.s.o.Access.Connect(&c.client)
	c.s.gate.leave()
	clear(c.client.Password)
	c.client.Password = nil
	if r != Success {
		return false, &Error{Reason: r, Text: "the client may not connect: " + r.String()}
	}
	if l.HasWill && !c.s.o.Access.Publish(&c.client, string(l.WillTopic)) {
		return false, &Error{Reason: NotAuthorized, Text: "the client may not publish to the topic of its will"}
	}
	return assigned, nil
}

// expiry is how long the session is kept.
func (c *conn) expiry(p *Packet) time.Duration {
	longest := c.s.o.MaxSessionExpiry
	if c.v == V311 {
		if p.Login.CleanStart {
			return 0
		}
		return longest
	}
	return min(time.Duration(p.Props.Num(SessionExpiry, 0))*time.Second, longest)
}

func (c *conn) willOf(p *Packet) *Message {
	l := &p.Login
	if !l.HasWill {
		return nil
	}
	m := newMessage(string(l.WillTopic), l.WillPayload, l.WillQoS, l.WillRetain, &l.WillProps, c.nowUS, nil)
	if l.WillProps.Has(WillDelay) {
		had := l.WillProps.has
		l.WillProps.has &^= ownProps | 1<<WillDelay
		m.props = l.WillProps.append(nil)
		l.WillProps.has = had
	}
	return m
}

// connack prepares the answer to a CONNECT that is accepted.
func (c *conn) connack(p *Packet, assigned bool, keep time.Duration) *Packet {
	a := &Packet{Type: Connack}
	if c.v < V5 {
		return a
	}
	o := &c.s.o
	if p.Props.Has(SessionExpiry) && c.sessionTTL != time.Duration(p.Props.Num(SessionExpiry, 0))*time.Second {
		a.Props.SetNum(SessionExpiry, uint32(c.sessionTTL/time.Second))
	}
	a.Props.SetNum(ReceiveMaximum, uint32(o.ReceiveMaximum))
	a.Props.SetNum(MaximumPacketSize, uint32(o.MaxPacket))
	a.Props.SetNum(TopicAliasMaximum, uint32(o.TopicAliases))
	if assigned {
		a.Props.SetText(AssignedClientID, []byte(c.client.ID))
	}
	if keep != time.Duration(p.Login.KeepAlive)*time.Second {
		a.Props.SetNum(ServerKeepAlive, uint32(keep/time.Second))
	}
	return a
}

// shake does the TLS handshake. It computes only while it holds a place at the
// server's gate, which it leaves whenever it waits for bytes, so that clients that never
// finish keep nobody out.
func (c *conn) shake(l *Listener) error {
	t := tls.Server(c.sock, l.TLS)
	c.sock.gate, c.sock.hall = c.s.gate, c.s.hall
	c.s.gate.enter()
	err := t.Handshake()
	c.sock.depart()
	c.sock.gate, c.sock.hall = nil, nil
	c.s.gate.leave()
	c.sock.setQuiet(c.sock.quiet) // the deadline may have been the hall's
	if err != nil {
		return err
	}
	state := t.ConnectionState()
	c.client.Encrypted = true
	switch {
	case l.Chain != nil && len(state.PeerCertificates) > 0:
		if c.client.Chain, err = l.Chain(state.PeerCertificates); err != nil {
			return err
		}
	case len(state.VerifiedChains) > 0:
		c.client.Chain = state.VerifiedChains[0]
	}
	if len(c.client.Chain) > 0 {
		c.client.CN = c.client.Chain[0].Subject.CommonName
	}
	c.t = t
	return nil
}

var _ io.ReadWriteCloser = (*tls.Conn)(nil)
