package mqtt

import (
	"crypto/x509"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// Options are a server's settings. Zero values of limits take the defaults.
type Options struct {
	Env *env.Env
	// Inlet takes what clients publish. nil: messages go to subscribers only.
	Inlet Inlet
	// Access decides who may do what. nil: everybody may do everything.
	Access Access
	// Count adds to a counter, such as "refused"; Report takes a line for a
	// person. Both may be called from any goroutine. May be nil.
	Count  func(name string, n int64)
	Report func(line string)

	MaxPacket        int // bytes; default 1 MiB
	MaxLevels        int // of topics and filters; default 32
	MaxConnections   int // default 20,000
	MaxPerAddress    int // connections from one address, or one network of 64 bits of IPv6, handshakes included; default 0: no limit
	MaxSessions      int // connected or not; default 50,000
	MaxSubscriptions int // of a session; default 100
	MaxRetained      int // messages; default 100,000
	MaxRetainedBytes int // default 64 MiB
	MaxQueued        int // messages that wait for a client; default 1,000
	MaxQueuedBytes   int // of messages to one client that wait or are not acknowledged; one message more may pass; default 1 MiB
	MaxBacklog       int // bytes of messages to all clients that are queued or not written yet; default 256 MiB
	ReceiveMaximum   int // messages of QoS 1 and 2 of a client not acknowledged yet; default 1,024
	Inflight         int // messages of QoS 1 and 2 to a client not acknowledged yet; default 64
	TopicAliases     int // that a client may set; default 32
	Handshakes       int // TLS handshakes and password checks that compute at one time; default: a processor stays free of them
	Writers          int // goroutines that write; default: one for two processors
	Sweepers         int // goroutines that read connections which keep still between messages; default 1
	// Rate is how many messages a second a client may publish; it is read more
	// slowly when it sends more. Default 0: no limit.
	Rate int
	// ConnectTimeout is how long a new connection may take up to its CONNECT; default 10 s.
	ConnectTimeout time.Duration
	// WriteTimeout closes a connection that takes nothing for that long; default 30 s.
	WriteTimeout time.Duration
	// MaxKeepAlive replaces a longer keep-alive, or none, of a client of MQTT 5.0. Default 0: no limit.
	MaxKeepAlive time.Duration
	// MaxSessionExpiry is how long a session is kept at most without a
	// connection; MQTT 3.1.1 sessions that are not clean are kept that long. Default 24 h.
	MaxSessionExpiry time.Duration
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxPacket, 1 << 20}, {&o.MaxLevels, 32}, {&o.MaxConnections, 20_000}, {&o.MaxSessions, 50_000},
		{&o.MaxSubscriptions, 100}, {&o.MaxRetained, 100_000}, {&o.MaxRetainedBytes, 64 << 20},
		{&o.MaxQueued, 1_000}, {&o.MaxQueuedBytes, 1 << 20}, {&o.MaxBacklog, 256 << 20}, {&o.ReceiveMaximum, 1_024}, {&o.Inflight, 64},
		{&o.TopicAliases, 32}, {&o.Handshakes, max(1, o.Env.Processors()-1)}, {&o.Writers, max(1, o.Env.Processors()/2)}, {&o.Sweepers, 1},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.ConnectTimeout, 10 * time.Second}, {&o.WriteTimeout, 30 * time.Second}, {&o.MaxSessionExpiry, 24 * time.Hour}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Count == nil {
		o.Count = func(string, int64) {}
	}
	if o.Report == nil {
		o.Report = func(string) {}
	}
	if o.Access == nil {
		o.Access = open{}
	}
	o.MaxPacket = min(o.MaxPacket, MaxPacket)
	o.ReceiveMaximum = min(o.ReceiveMaximum, 65_535)
	o.TopicAliases = min(o.TopicAliases, 65_535)
}

// Inlet is where published messages go.
type Inlet interface {
	// Append takes the messages of one read of one or several connections, in order. It
	// may wait while there is no room: meanwhile that connection is not read, so
	// that its client is slowed down. What a batch points to is the server's
	// again when Append returns. done, which may be nil, is called once, from any goroutine, with nil
	// when all of the batch is durable, which acknowledges it to the client; with an error
	// when it is not, which closes the connection, so that the client sends again. An error of Append
	// itself closes the connection too, and done is not called.
	Append(batch []Inbound, done func(error)) error
}

// Inbound is one published message.
type Inbound struct {
	Topic   string
	Payload []byte
	// Props is the message's property section; DecodeProps reads it. nil in MQTT 3.1.1.
	Props  []byte
	Client *Client
	// Memo is the inlet's to write to: what it remembers of this topic of this
	// connection. It is 0 at first; only this connection's goroutine sees it.
	Memo     *int32
	Received int64 // us since 1970
	// Session is the number of the client's session, and Packet the message's identifier in it; 0 where the
	// session ends with the connection, and with QoS 0.
	Session uint64
	// Settled is a time, us since 1970: what the client has published with QoS 1 in this session up to then, exclusive,
	// it knows to be acknowledged. 0: not known, and where the message is not sent again.
	Settled int64
	// Uses tells, with QoS 2, one use of the identifier from another: it is the same for a message however often it is sent, and
	// another one once the identifier was released.
	Uses uint32
	// Many says that more than 32 messages of the session were unanswered at one time within the last minute, or may have been before the
	// server's start, or that the message is sent again.
	Many   bool
	Packet uint16
	QoS    byte
	Retain bool
	// Resent says that the client has sent the message before: it says so, or cannot have got an answer to the one
	// before with the identifier.
	Resent bool
}

// Access decides who may do what. Safe for concurrent use.
type Access interface {
	// Connect checks a client that wants to connect, and sets its Principal. It may compute for long.
	Connect(c *Client) Reason
	// Publish says whether a connected client may publish to a topic.
	Publish(c *Client, topic string) bool
	// Subscribe says whether it may subscribe to a filter (without share prefix).
	Subscribe(c *Client, filter string) bool
}

// Client is who is connected.
type Client struct {
	ID       string
	Username string // as claimed in CONNECT; worth something only if Access checked it
	Password []byte // set during Access.Connect only
	// CN is the common name of the verified client certificate; "" without one.
	CN string
	// Chain is that certificate and those that sign it, up to one that is trusted; nil without one.
	Chain []*x509.Certificate
	// Principal is who Access found the client to be; "" for nobody in
	// particular. A session belongs to its principal.
	Principal string
	Remote    string // address
	Encrypted bool
	Version   Version
}

// open is the Access of a server that has none.
type open struct{}

func (open) Connect(*Client) Reason         { return Success }
func (open) Publish(*Client, string) bool   { return true }
func (open) Subscribe(*Client, string) bool { return true }
