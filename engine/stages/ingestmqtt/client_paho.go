package ingestmqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"github.com/tidemill/tidemill/engine/mqtt"
)

const keepAlive = 30 * time.Second

func hostOf(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	return host, err
}

func (c *upstream) newLink() link {
	down := make(chan struct{})
	if c.opts.version == mqtt.V311 {
		return &link3{c: c, end: end{down: down}}
	}
	return &link5{c: c, end: end{down: down}}
}

// end is how a link ends.
type end struct {
	once sync.Once
	down chan struct{}
	gone atomic.Bool
	why  error
}

func (e *end) lost() <-chan struct{} { return e.down }

func (e *end) fail(why error) {
	e.once.Do(func() {
		e.why = why
		e.gone.Store(true)
		close(e.down)
	})
}

// refused is an error that a broker's reason code stands for.
func refused(what string, code byte) error {
	return fmt.Errorf("the broker refuses %s: %s", what, mqtt.Reason(code))
}

// link5 speaks MQTT 5.0.
type link5 struct {
	end
	c       *upstream
	client  *paho.Client
	conn    net.Conn
	session unanswered
}

// unanswered is a session in which the library's own acknowledgement, sent when the
// handler of a message returns, does nothing: the ones behind the journal are sent by
// the session within. What the library offers for this (EnableManualAcknowledgment)
// forgets the messages that come between CONNACK and the end of Connect: a broker that resumes a
// session sends receive_maximum of them, and nothing more before they are acknowledged.
type unanswered struct{ session.SessionManager }

func (unanswered) Ack(*packets.Publish) error { return nil }

func (l *link5) connect(ctx context.Context, take func(message)) error {
	o := &l.c.opts
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.broker)
	if err != nil {
		return err
	}
	if l.c.tls != nil {
		t := tls.Client(conn, l.c.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return err
		}
		conn = t
	}
	l.conn = packets.NewThreadSafeConn(conn)
	l.session = unanswered{state.NewInMemory()}
	l.client = paho.NewClient(paho.ClientConfig{
		Conn: l.conn, Session: l.session, PacketTimeout: o.timeout,
		OnClientError:      l.fail,
		OnServerDisconnect: func(d *paho.Disconnect) { l.fail(refused("to go on", d.ReasonCode)) },
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			take(l.message(p.Packet))
			return true, nil
		}},
	})
	expiry, receive, largest := uint32(o.expiry/time.Second), uint16(o.receive), uint32(maxMessage)
	cp := &paho.Connect{ClientID: o.id, KeepAlive: uint16(keepAlive / time.Second), Username: o.user, UsernameFlag: o.user != "",
		Password: []byte(o.password), PasswordFlag: o.password != "",
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry, ReceiveMaximum: &receive, MaximumPacketSize: &largest, RequestProblemInfo: true}}
	ack, err := l.client.Connect(ctx, cp)
	if err != nil {
		if ack != nil && ack.ReasonCode >= 0x80 {
			err = refused("the connection", ack.ReasonCode)
		}
		conn.Close()
		l.client = nil
		return err
	}
	return l.subscribe(ctx, ack.Properties != nil && !ack.Properties.SharedSubAvailable)
}

func (l *link5) subscribe(ctx context.Context, noShares bool) error {
	s := &paho.Subscribe{}
	for _, f := range l.c.opts.filters {
		const onlyNew = 1 // retained messages come when the subscription is new
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: l.c.opts.qos, RetainHandling: onlyNew, RetainAsPublished: true})
	}
	ack, err := l.client.Subscribe(ctx, s)
	if ack != nil {
		for i, code := range ack.Reasons {
			if code >= 0x80 {
				return refused("to subscribe "+l.c.opts.filters[i], code)
			}
		}
	}
	if err != nil && noShares {
		return errors.New("the broker has no shared subscriptions: leave share out")
	}
	return err
}

func (l *link5) message(p *paho.Publish) message {
	m := message{topic: p.Topic, payload: p.Payload, id: p.PacketID, resent: p.Duplicate()}
	for _, u := range p.Properties.User {
		m.user = append(m.user, [2]string{u.Key, u.Value})
	}
	if p.QoS > 0 {
		m.ack = func() {
			if !l.gone.Load() {
				_ = l.session.SessionManager.Ack(&packets.Publish{PacketID: p.PacketID, QoS: p.QoS}) // it fails with the connection, which says so itself
			}
		}
	}
	return m
}

func (l *link5) close() error {
	lost := l.gone.Load()
	l.fail(nil)
	if l.client != nil {
		if !lost {
			_ = l.client.Disconnect(&paho.Disconnect{}) // a goodbye that may fail
		}
		l.conn.Close()
		<-l.client.Done()
		_ = l.session.Close() // in memory
	}
	return l.why
}

// link3 speaks MQTT 3.1.1.
type link3 struct {
	end
	c      *upstream
	client paho3.Client
}

func (l *link3) connect(ctx context.Context, take func(message)) error {
	o := &l.c.opts
	po := paho3.NewClientOptions().SetClientID(o.id).SetCleanSession(false).SetProtocolVersion(uint(mqtt.V311)).
		SetAutoReconnect(false).SetConnectRetry(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetConnectTimeout(o.timeout).SetWriteTimeout(o.timeout).SetKeepAlive(keepAlive).SetUsername(o.user).SetPassword(o.password).
		SetConnectionLostHandler(func(_ paho3.Client, err error) { l.fail(err) })
	scheme := "tcp://"
	if l.c.tls != nil {
		scheme = "ssl://"
		po.SetTLSConfig(l.c.tls)
	}
	po.AddBroker(scheme + o.broker)
	po.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) { take(l.message(m)) })
	l.client = paho3.NewClient(po)
	if err := l.await(ctx, l.client.Connect()); err != nil {
		return err
	}
	filters := map[string]byte{}
	for _, f := range o.filters {
		filters[f] = o.qos
	}
	token := l.client.SubscribeMultiple(filters, nil)
	if err := l.await(ctx, token); err != nil {
		return err
	}
	for filter, code := range token.(*paho3.SubscribeToken).Result() {
		if code >= 0x80 {
			return errors.New("the broker refuses to subscribe " + filter)
		}
	}
	return nil
}

func (l *link3) await(ctx context.Context, t paho3.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return errors.New("the broker does not answer in time")
	}
}

func (l *link3) message(m paho3.Message) message {
	out := message{topic: m.Topic(), payload: m.Payload(), id: m.MessageID(), resent: m.Duplicate()}
	if m.Qos() > 0 {
		out.ack = func() {
			if !l.gone.Load() {
				m.Ack()
			}
		}
	}
	return out
}

func (l *link3) close() error {
	l.fail(nil)
	if l.client != nil {
		l.client.Disconnect(0)
	}
	return l.why
}

var (
	_ link = (*link5)(nil)
	_ link = (*link3)(nil)
)
