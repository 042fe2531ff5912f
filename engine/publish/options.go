package publish

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/mqtt"
)

// Options are what all clients of a crowd have in common.
type Options struct {
	Env     *env.Env
	Address string      // host:port of the broker
	TLS     *tls.Config // nil: not encrypted; a ServerName that is empty is the address's host
	Version mqtt.Version
	User    string // "" for none
	// Password is sent where User is set.
	Password string
	QoS      byte
	Retain   bool

	// Inflight is how many messages of a client may be without an acknowledgement;
	// default 16. A broker's receive maximum lowers it.
	Inflight int
	// KeepAlive closes a connection whose broker says nothing; default 60 s.
	KeepAlive time.Duration
	// SessionExpiry is how long the broker is asked to keep a session; default 1 h.
	SessionExpiry time.Duration
	// Timeout is how long connecting may take; default 10 s.
	Timeout time.Duration
	Dials   int // connections that are made at one time; default 64
	Writers int // goroutines that write; default 2
	// RetryFirst and RetryMost are the pauses between attempts to connect: each is
	// drawn from zero up to a bound that doubles; defaults 100 ms and 10 s.
	RetryFirst, RetryMost time.Duration
	// Random draws from [0, n) for these pauses. Any goroutine may call it; nil: always the middle.
	Random func(n int64) int64

	// Done is told of every message what became of it: Success, or the reason that
	// the broker gave for not taking it. No locks are held. May be nil.
	Done func(tag int, r mqtt.Reason)
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.KeepAlive, time.Minute}, {&o.SessionExpiry, time.Hour}, {&o.Timeout, 10 * time.Second},
		{&o.RetryFirst, 100 * time.Millisecond}, {&o.RetryMost, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Inflight, 16}, {&o.Dials, 64}, {&o.Writers, 2}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	o.Inflight = min(o.Inflight, 65_534) // one identifier stays free
	if o.Version == 0 {
		o.Version = mqtt.V5
	}
	if o.Random == nil {
		o.Random = func(n int64) int64 { return n / 2 }
	}
	if o.Done == nil {
		o.Done = func(int, mqtt.Reason) {}
	}
	if o.TLS != nil && o.TLS.ServerName == "" {
		host, _, _ := net.SplitHostPort(o.Address)
		o.TLS = o.TLS.Clone()
		o.TLS.ServerName = host
	}
}

// ParseURL takes the address of a broker apart: mqtt://host[:1883] or
// mqtts://host[:8883]; tcp, ssl and tls are other names of these. The error says what
// would be right, and repeats nothing that may be a password.
func ParseURL(text string) (address string, encrypted bool, err error) {
	const right = `write it as in "mqtt://broker.example:1883", or mqtts:// with TLS`
	u, err := url.Parse(text)
	if err != nil {
		return "", false, errors.New("the URL cannot be understood; " + right)
	}
	port := "1883"
	switch u.Scheme {
	case "mqtt", "tcp":
	case "mqtts", "tls", "ssl":
		encrypted, port = true, "8883"
	case "ws", "wss":
		return "", false, fmt.Errorf("MQTT over WebSocket (%s://) is for clients that connect to an ingest; %s", u.Scheme, right)
	default:
		return "", false, errors.New("the URL begins with mqtt:// or mqtts://; " + right)
	}
	switch {
	case u.User != nil:
		return "", false, errors.New("the URL holds a user or a password; they are settings of their own")
	case u.Hostname() == "":
		return "", false, errors.New("the URL names no host; " + right)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return "", false, errors.New("a broker's URL ends behind the port; " + right)
	case u.Port() != "":
		if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return "", false, errors.New("a port goes up to 65535; " + right)
		}
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), encrypted, nil
}
