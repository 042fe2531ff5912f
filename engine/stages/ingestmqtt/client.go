package ingestmqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// upstream takes messages from a broker.
//
//	broker ─► link ─► feed ─► journal ─► done ─► acks, in order ─► link
//
// A link is one connection. What it has brought in and the journal has not
// confirmed when it is lost comes again over the next one: the session stays with
// the broker, and the records say that they were sent again, so that the
// channel's tasks count them once.
type upstream struct {
	op      stage.Opening
	to      stage.SourceEnv
	opts    clientOptions
	tls     *tls.Config
	session uint64
	find    func([]byte) int
	memos   map[string]int32 // of topics
	in      chan message
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	once    sync.Once

	mu      sync.Mutex
	trouble error
	up      bool
	owed    []*batch  // handed to the journal, in order
	acks    []message // durable, in order
	some    sync.Cond // there are acks, or the end has come
}

// batch is what goes to the journal together, and settled that it has answered.
type batch struct {
	messages []message
	settled  bool
}

// message is one that a link has brought in.
type message struct {
	topic    string
	payload  []byte
	id       uint16
	resent   bool
	received int64
	user     [][2]string
	ack      func() // nil for QoS 0; does nothing once its link is lost
}

// link is one connection to a broker.
type link interface {
	// connect connects and subscribes; take is then called for each message, in order.
	connect(ctx context.Context, take func(message)) error
	// lost is closed when the connection is lost.
	lost() <-chan struct{}
	// close ends it; why is what the connection was lost by, nil when it was not.
	close() (why error)
}

// maxTopics is how many topics are remembered.
const maxTopics = 1 << 16

func openClient(op stage.Opening, to stage.SourceEnv, o clientOptions) (stage.Source, error) {
	c := &upstream{op: op, to: to, opts: o, memos: map[string]int32{}, find: to.NewPartition(),
		session: flow.Hash([]byte(o.broker + " " + o.id)), in: make(chan message, o.receive)}
	c.some.L = &c.mu
	c.ctx, c.stop = context.WithCancel(context.Background())
	if o.encrypted {
		if err := c.loadTLS(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *upstream) loadTLS() error {
	t := c.opts.tls
	host, err := hostOf(c.opts.broker)
	if err != nil {
		return err
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.CA != "" {
		ca, err := read(c.op.Env.FS, t.CA)
		if err != nil {
			return err
		}
		c.tls.RootCAs = x509.NewCertPool()
		if !c.tls.RootCAs.AppendCertsFromPEM(ca) {
			return fmt.Errorf("%s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert == "" {
		return nil
	}
	cert, err := read(c.op.Env.FS, t.Cert)
	if err != nil {
		return err
	}
	key, err := read(c.op.Env.FS, t.Key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", t.Cert, t.Key, err)
	}
	c.tls.Certificates = []tls.Certificate{pair}
	return nil
}

// Step starts everything the first time, and tells whether there is a connection. Not
// Open: the ingest before it, with the same client identifier, may still be there.
func (c *upstream) Step() (stage.Status, error) {
	c.once.Do(func() {
		c.running.Go(c.live)
		c.running.Go(c.feed)
		c.running.Go(c.acknowledge)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return stage.Idle, c.trouble
}

// live keeps a connection.
func (c *upstream) live() {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	pause := time.Duration(0)
	for c.ctx.Err() == nil {
		began := c.op.Env.Clock.Now()
		err := c.connection()
		if c.ctx.Err() != nil {
			return
		}
		c.op.Count("connections_lost", 1)
		c.tell(fmt.Errorf("%s: %w", c.opts.shown, err))
		if c.op.Env.Clock.Now().Sub(began) > most {
			pause = 0
		}
		pause = min(max(2*pause, first), most)
		c.sleep(time.Duration(rand.Int64N(int64(pause))))
	}
}

func (c *upstream) tell(err error) {
	c.mu.Lock()
	c.trouble = err
	c.mu.Unlock()
}

func (c *upstream) setUp(up bool) {
	c.mu.Lock()
	c.up = up
	c.mu.Unlock()
}

func (c *upstream) sleep(d time.Duration) bool {
	over := make(chan struct{})
	defer c.op.Env.Clock.After(d, func() { close(over) })()
	select {
	case <-over:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// connection is the life of one.
func (c *upstream) connection() error {
	l := c.newLink()
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.timeout)
	err := l.connect(ctx, c.take)
	cancel()
	if err != nil {
		_ = l.close() // err says it
		return err
	}
	c.op.Count("connections", 1)
	c.tell(nil)
	c.setUp(true)
	defer c.setUp(false)
	select {
	case <-l.lost():
	case <-c.ctx.Done():
	}
	if err := l.close(); err != nil {
		return err
	}
	return errors.New("the connection is lost")
}

// take brings a message in; it waits while the journal is behind by more than
// the receive maximum, and with it the connection.
func (c *upstream) take(m message) {
	m.received = c.op.Env.Clock.Now().UnixMicro()
	select {
	case c.in <- m:
	case <-c.ctx.Done():
	}
}

// feed appends what has come, as much at one time as is there.
func (c *upstream) feed() {
	const most = 512 // messages a batch
	for {
		b := &batch{}
		select {
		case m := <-c.in:
			b.messages = append(b.messages, m)
		case <-c.ctx.Done():
			return
		}
		for len(b.messages) < most && len(c.in) > 0 {
			b.messages = append(b.messages, <-c.in)
		}
		c.mu.Lock()
		c.owed = append(c.owed, b)
		c.mu.Unlock()
		if !c.append(b) {
			return
		}
	}
}

// append hands a batch to the journal, and waits for room there.
func (c *upstream) append(of *batch) bool {
	b := journal.Batch{Done: func(err error) { c.durable(of, err) }}
	var envelopes []byte
	for i := range of.messages {
		m := &of.messages[i]
		partition, ok := c.partition(m)
		if !ok {
			c.op.Count("other_topics", 1)
			continue
		}
		if n := len(m.payload); n > journal.MaxRecord { // 3.1.1 has no way to tell a broker what is too much
			c.op.Count("too_large", 1)
			c.op.Reject(stage.Reject{Reason: fmt.Sprintf("a message of %d bytes is left out; a record has at most %d", n, journal.MaxRecord)})
			continue
		}
		if m.resent {
			c.op.Count("sent_again", 1)
		}
		at := len(envelopes)
		envelopes = c.envelope(m).Append(envelopes)
		b.Records = append(b.Records, journal.Record{Partition: partition, Payload: m.payload, Topic: m.topic, Received: m.received,
			Envelope: envelopes[at:len(envelopes):len(envelopes)]})
	}
	if len(b.Records) == 0 {
		b.Done(nil)
		return true
	}
	const longest = 200 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := c.to.Journal.Append(b)
		var full *journal.ErrFull
		switch {
		case err == nil:
			return true
		case errors.As(err, &full):
			c.op.Count("waits_for_disk", 1)
			pause = longest
		case errors.Is(err, journal.ErrBusy):
			c.op.Count("waits_for_journal", 1)
		default:
			c.tell(err)
			return false
		}
		if !c.sleep(pause) {
			return false
		}
	}
}

func (c *upstream) partition(m *message) (int, bool) {
	memo, known := c.memos[m.topic]
	if !known {
		s := source{opts: c.opts.options, to: c.to}
		memo = s.memo(m.topic)
		if len(c.memos) >= maxTopics {
			clear(c.memos)
		}
		c.memos[m.topic] = memo
	}
	switch memo {
	case memoOther:
		return 0, false
	case memoSearch:
		return c.find(m.payload), true
	}
	return int(memo) - memoFirst, true
}

func (c *upstream) envelope(m *message) *decode.Envelope {
	e := &decode.Envelope{}
	if m.id != 0 {
		e.Session, e.Packet, e.Resent, e.Many = c.session, m.id, m.resent, true // as many as the broker likes to send at once
	}
	for _, name := range c.opts.properties {
		for _, p := range m.user {
			if p[0] == name {
				if !e.AddProperty(name, p[1]) {
					c.op.Count("properties_over_limit", 1)
				}
				break
			}
		}
	}
	return e
}

// durable is told by the journal, which must not wait. Acknowledgements go out in the
// order in which messages came [MQTT-4.6.0-2]: a batch of other topics only, which is settled at
// once, waits for those before it.
func (c *upstream) durable(b *batch, err error) {
	if err != nil {
		c.tell(err)
	}
	c.mu.Lock()
	b.settled = true
	if err != nil {
		b.messages = nil // not acknowledged: they come again
	}
	for len(c.owed) > 0 && c.owed[0].settled {
		for _, m := range c.owed[0].messages {
			if m.ack != nil {
				c.acks = append(c.acks, m)
			}
		}
		c.owed[0] = nil
		c.owed = c.owed[1:]
	}
	c.mu.Unlock()
	c.some.Signal()
}

// acknowledge sends acknowledgements, which may wait for the network.
func (c *upstream) acknowledge() {
	for {
		c.mu.Lock()
		for len(c.acks) == 0 && c.ctx.Err() == nil {
			c.some.Wait()
		}
		acks := c.acks
		c.acks = nil
		c.mu.Unlock()
		if len(acks) == 0 {
			return
		}
		for _, m := range acks {
			m.ack()
		}
		c.op.Count("acknowledged", int64(len(acks)))
	}
}

// Close ends the connection. The session stays with the broker.
func (c *upstream) Close() error {
	c.stop()
	c.mu.Lock()
	c.some.Broadcast()
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

var _ stage.Source = (*upstream)(nil)
