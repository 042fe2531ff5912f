package ingestmqtt

import (
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the ingest "mqtt".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "ingest", Type: "mqtt",
		Help: "Listens for MQTT clients (3.1.1 and 5.0), or takes messages from a broker, and acknowledges them when they are on disk.",
		Args: func() stage.Args { return &args{MaxPacket: "1MiB", QoS: 1, Protocol: "5"} },
	}
}

type args struct {
	Listen         hcl.Expression  `hcl:"listen,optional" help:"Address to listen on, or a list: tcp://, tls://, ws:// or wss://, host and port."`
	URL            string          `hcl:"url,optional" help:"Instead of listen: broker to take messages from, mqtt:// or mqtts://."`
	Share          string          `hcl:"share,optional" help:"With url: group that shares the messages, each of which goes to one of its members."`
	QoS            int             `hcl:"qos,optional" help:"With url: quality of service that is asked for, 0 to 2; 1 when left out."`
	User           string          `hcl:"user,optional" help:"With url: user name at the broker."`
	Password       string          `hcl:"password,optional" help:"With url: its password, by env(...)."`
	ClientID       string          `hcl:"client_id,optional" help:"With url: client identifier, by which the broker knows the session; tidemill- and the ingest's name when left out."`
	Protocol       string          `hcl:"protocol,optional" help:"With url: version of MQTT that the broker speaks, \"5\" or \"3.1.1\"; 5 when left out."`
	Topic          hcl.Expression  `hcl:"topic" help:"Topics whose messages are records, such as dt/{site}/{device}/telemetry, or a list; names become columns, which come from payloads where another ingest of the channel has none."`
	TLS            *tlsArgs        `hcl:"tls,block" help:"Certificates for tls:// and wss://."`
	Users          string          `hcl:"users,optional" help:"File of users, a line each: name:hash, by bcrypt or argon2id."`
	Allow          hcl.Expression  `hcl:"allow,optional" help:"Topic filters that clients may use; ${client_id}, ${username} and ${cn} stand for who the client is. A list, or { publish = [...], subscribe = [...] }."`
	UserProperties hcl.Expression  `hcl:"user_properties,optional" help:"Names of user properties (MQTT 5.0) that become columns, such as [\"firmware\"]; the first of a name counts."`
	Insecure       bool            `hcl:"insecure,optional" help:"Allows listening beyond this machine without TLS or without authentication."`
	MaxPacket      config.Size     `hcl:"max_packet,optional" help:"Largest packet taken."`
	MaxConnections int             `hcl:"max_connections,optional" help:"Connections at one time; default 20000."`
	MaxPerAddress  int             `hcl:"max_per_address,optional" help:"Connections from one address at one time, or from one network of 64 bits of IPv6, handshakes included. Default: no limit, since many devices may be behind one address."`
	MaxSessions    int             `hcl:"max_sessions,optional" help:"Sessions, connected or not; default 50000."`
	MaxSubs        int             `hcl:"max_subscriptions,optional" help:"Subscriptions of a session; default 100."`
	MaxQueued      int             `hcl:"max_queued,optional" help:"Messages that wait for a client at most; default 1000."`
	MaxRetained    int             `hcl:"max_retained,optional" help:"Retained messages; default 100000."`
	Rate           int             `hcl:"rate,optional" help:"Messages a second that one client may publish; it is read more slowly when it sends more. Default: no limit."`
	ReceiveMaximum int             `hcl:"receive_maximum,optional" help:"Messages of a client that are not acknowledged yet at most; default 1024."`
	SessionExpiry  config.Duration `hcl:"session_expiry,optional" help:"How long a session is kept without a connection at most; default 24h."`
	ConnectTimeout config.Duration `hcl:"connect_timeout,optional" help:"How long a new connection may take up to its CONNECT; default 10s."`
	MaxLevels      int             `hcl:"max_levels,optional" help:"Levels of a topic or a filter at most; default 32."`
	MaxKeepAlive   config.Duration `hcl:"max_keep_alive,optional" help:"Longest time that a client may keep silent: told to clients of MQTT 5.0 that ask for more or for none. Default: no limit."`

	URLRange       hcl.Range `hcl:"url,attr_value_range"`
	ShareRange     hcl.Range `hcl:"share,attr_value_range"`
	QoSRange       hcl.Range `hcl:"qos,attr_value_range"`
	UserRange      hcl.Range `hcl:"user,attr_value_range"`
	PasswordRange  hcl.Range `hcl:"password,attr_value_range"`
	ClientIDRange  hcl.Range `hcl:"client_id,attr_value_range"`
	ProtocolRange  hcl.Range `hcl:"protocol,attr_value_range"`
	InsecureRange  hcl.Range `hcl:"insecure,attr_value_range"`
	TimeoutRange   hcl.Range `hcl:"connect_timeout,attr_value_range"`
	UsersRange     hcl.Range `hcl:"users,attr_value_range"`
	MaxPacketRange hcl.Range `hcl:"max_packet,attr_value_range"`
	ConnRange      hcl.Range `hcl:"max_connections,attr_value_range"`
	AddressRange   hcl.Range `hcl:"max_per_address,attr_value_range"`
	SessionsRange  hcl.Range `hcl:"max_sessions,attr_value_range"`
	SubsRange      hcl.Range `hcl:"max_subscriptions,attr_value_range"`
	QueuedRange    hcl.Range `hcl:"max_queued,attr_value_range"`
	RetainedRange  hcl.Range `hcl:"max_retained,attr_value_range"`
	RateRange      hcl.Range `hcl:"rate,attr_value_range"`
	ReceiveRange   hcl.Range `hcl:"receive_maximum,attr_value_range"`
	LevelsRange    hcl.Range `hcl:"max_levels,attr_value_range"`
	KeepRange      hcl.Range `hcl:"max_keep_alive,attr_value_range"`
}

type tlsArgs struct {
	Cert       string `hcl:"cert,optional" help:"File with the certificate to show, and those that sign it, PEM. Listening needs one."`
	Key        string `hcl:"key,optional" help:"File with the certificate's key, PEM."`
	CA         string `hcl:"ca,optional" help:"With url: file with the certificates that sign the broker's, PEM; the system's when left out."`
	ClientCA   string `hcl:"client_ca,optional" help:"File with the certificates that sign clients' certificates, PEM."`
	ClientAuth string `hcl:"client_auth,optional" help:"require (default with client_ca) or optional."`
	CRL        string `hcl:"crl,optional" help:"File with lists of revoked certificates (RFC 5280), signed by those of client_ca, PEM."`

	CRLRange  hcl.Range `hcl:"crl,attr_value_range"`
	AuthRange hcl.Range `hcl:"client_auth,attr_value_range"`
	CARange   hcl.Range `hcl:"ca,attr_value_range"`
	Range     hcl.Range `hcl:",def_range"`
}

// door is one address to listen on.
type door struct {
	address           string // host:port
	encrypted, socket bool
}

// options are checked arguments.
type options struct {
	address  string
	doors    []door
	topics   []decode.TopicTemplate
	key      string // the channel's
	users    string
	tls      *tlsArgs
	needs    bool // a login
	allowed  [2][]mqtt.Pattern
	server   mqtt.Options
	optional bool // client certificates are
	// properties are the user properties that are columns.
	properties []string
}

func (a *args) Bind(_ []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := options{address: at.Address, server: mqtt.Options{
		MaxPacket: int(min(a.MaxPacket.Bytes(), mqtt.MaxPacket)), MaxConnections: a.MaxConnections, MaxPerAddress: a.MaxPerAddress, MaxSessions: a.MaxSessions,
		MaxSubscriptions: a.MaxSubs, MaxQueued: a.MaxQueued, MaxRetained: a.MaxRetained, Rate: a.Rate, ReceiveMaximum: a.ReceiveMaximum,
		MaxSessionExpiry: a.SessionExpiry.Length(), ConnectTimeout: a.ConnectTimeout.Length(),
		MaxLevels: a.MaxLevels, MaxKeepAlive: a.MaxKeepAlive.Length(),
	}}
	if at.Channel != nil {
		o.key = at.Channel.Key
	}
	var diags hcl.Diagnostics
	diags = append(diags, a.bindTopics(&o, at)...)
	diags = append(diags, a.bindProperties(&o, at)...)
	if a.URL != "" {
		return a.bindClient(&o, at, diags)
	}
	diags = append(diags, a.refuseClient(at)...)
	diags = append(diags, a.bindTLS(&o, at)...)
	diags = append(diags, a.bindDoors(&o, at)...)
	diags = append(diags, a.bindAllow(&o, at)...)
	diags = append(diags, a.checkNumbers(at)...)
	return stage.Bound{
		Topics:     o.topics,
		Properties: o.properties,
		Push:       true,
		OpenSource: func(op stage.Opening, env stage.SourceEnv) (stage.Source, error) { return open(op, env, o) },
	}, diags
}

func (a *args) checkNumbers(at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, n := range []struct {
		name        string
		value, most int
		at          hcl.Range
	}{
		{"max_connections", a.MaxConnections, 10_000_000, a.ConnRange}, {"max_per_address", a.MaxPerAddress, 10_000_000, a.AddressRange}, {"max_sessions", a.MaxSessions, 100_000_000, a.SessionsRange},
		{"max_subscriptions", a.MaxSubs, 1_000_000, a.SubsRange}, {"max_queued", a.MaxQueued, 10_000_000, a.QueuedRange}, {"max_retained", a.MaxRetained, 100_000_000, a.RetainedRange},
		{"rate", a.Rate, 100_000_000, a.RateRange}, {"receive_maximum", a.ReceiveMaximum, 65_535, a.ReceiveRange},
		{"max_levels", a.MaxLevels, 65_535, a.LevelsRange},
	} {
		if n.value < 0 || n.value > n.most || n.value == 0 && n.at.Filename != "" {
			diags = append(diags, config.Errorf(where(n.at, at), "Number out of range", "%s = %d. It takes a number from 1 to %d; leave it out for the default.", n.name, n.value, n.most)...)
		}
	}
	if size := a.MaxPacket.Bytes(); size < 128 || size > journal.MaxRecord {
		diags = append(diags, config.Errorf(where(a.MaxPacketRange, at), "Impossible packet size", "max_packet = %q. It takes a size from 128 B to 64MiB, which is the most that a record can have.", string(a.MaxPacket))...)
	}
	if e := a.SessionExpiry.Length(); e < 0 || e > 100*365*24*time.Hour {
		diags = append(diags, config.Errorf(at.Range, "Impossible duration", "session_expiry takes a duration such as \"24h\".")...)
	}
	const longest = 65_535 * time.Second // what the protocol can express
	if k := a.MaxKeepAlive.Length(); k != 0 && (k < time.Second || k > longest) || k == 0 && a.KeepRange.Filename != "" {
		diags = append(diags, config.Errorf(where(a.KeepRange, at), "Impossible duration", "max_keep_alive = %q. It takes a duration from \"1s\" to \"18h12m15s\"; leave it out for no limit.", string(a.MaxKeepAlive))...)
	}
	return diags
}

// where is r, or the block's header where the argument was not written.
func where(r hcl.Range, at stage.At) hcl.Range {
	if r.Filename == "" {
		return at.Range
	}
	return r
}

func (a *args) bindTopics(o *options, at stage.At) hcl.Diagnostics {
	texts, diags := texts(a.Topic, at.Eval, "topic", `the template of a topic, such as "dt/{site}/{device}/telemetry"`)
	for _, text := range texts {
		t, err := decode.ParseTopicTemplate(text)
		if err != nil {
			diags = append(diags, config.Errorf(a.Topic.Range(), "Not a topic template", "%s.", upper(err.Error()))...)
			continue
		}
		o.topics = append(o.topics, t)
	}
	if at.Channel == nil {
		return diags
	}
	for _, t := range o.topics {
		for _, f := range at.Channel.Schema {
			if slices.Contains(t.Columns(), f.Name) && f.Type.ID() != arrow.STRING {
				diags = append(diags, config.Errorf(a.Topic.Range(), "A name of another type",
					"{%s} gives texts, and the schema of channel.%s says that %s is something else. Make it a string there, or give the level another name.", f.Name, at.Channel.Name, f.Name)...)
			}
		}
	}
	return diags
}

func (a *args) bindTLS(o *options, at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if a.Users != "" {
		o.users = absolute(a.Users, at)
		o.needs = true
	}
	if a.TLS == nil {
		return nil
	}
	t := *a.TLS
	for _, file := range []*string{&t.Cert, &t.Key, &t.ClientCA, &t.CRL} {
		if *file != "" {
			*file = absolute(*file, at)
		}
	}
	switch {
	case t.ClientAuth != "" && t.ClientAuth != "require" && t.ClientAuth != "optional":
		diags = config.Errorf(t.AuthRange, "Unknown client_auth", "client_auth = %q. It takes \"require\" or \"optional\".", t.ClientAuth)
	case t.ClientAuth != "" && t.ClientCA == "":
		diags = config.Errorf(t.AuthRange, "Client certificates without a CA", "client_auth needs client_ca, the certificates that sign those of clients.")
	}
	if t.CRL != "" && t.ClientCA == "" {
		diags = append(diags, config.Errorf(t.CRLRange, "Revoked certificates without a CA", "crl needs client_ca, the certificates that sign those of clients.")...)
	}
	o.optional = t.ClientAuth == "optional"
	o.needs = o.needs || t.ClientCA != "" && !o.optional
	o.tls = &t
	return diags
}

func absolute(name string, at stage.At) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(at.Dir, name)
}

func (a *args) bindDoors(o *options, at stage.At) hcl.Diagnostics {
	const detail = `an address such as "tcp://127.0.0.1:1883" or "tls://0.0.0.0:8883"`
	if config.Absent(a.Listen) {
		return config.Errorf(a.Listen.Range(), "Neither listen nor url", "An ingest \"mqtt\" listens at %s, or takes messages from a broker: url = \"mqtt://broker:1883\".", detail)
	}
	addresses, diags := texts(a.Listen, at.Eval, "listen", detail)
	for _, text := range addresses {
		u, err := url.Parse(text)
		schemes := []string{"tcp", "tls", "ws", "wss"}
		aliases := map[string]string{"mqtt": "tcp", "mqtts": "tls", "ssl": "tls"}
		switch {
		case err != nil || u.Host == "" || u.Port() == "":
			diags = append(diags, config.Errorf(a.Listen.Range(), "Not an address", "%q is not %s.", text, detail)...)
			continue
		case aliases[u.Scheme] != "":
			diags = append(diags, config.Errorf(a.Listen.Range(), "Unknown scheme", "%q: write %s://%s.", text, aliases[u.Scheme], u.Host)...)
			continue
		case !slices.Contains(schemes, u.Scheme):
			diags = append(diags, config.Errorf(a.Listen.Range(), "Unknown scheme", "%q begins with %s://. There are tcp://, tls://, ws:// and wss://.", text, u.Scheme)...)
			continue
		}
		if !config.IsPort(u.Port()) {
			diags = append(diags, config.Errorf(a.Listen.Range(), "Not an address", "%q: a port goes up to 65535.", text)...)
			continue
		}
		d := door{address: u.Host, encrypted: u.Scheme == "tls" || u.Scheme == "wss", socket: u.Scheme[0] == 'w'}
		if d.encrypted && a.TLS == nil {
			diags = append(diags, config.Errorf(a.Listen.Range(), "No certificate", "%q needs a block tls { cert = ... key = ... }.", text)...)
		}
		if !a.Insecure && !loopback(u.Hostname()) && (!d.encrypted || !o.needs) {
			diags = append(diags, config.Errorf(a.Listen.Range(), "An open door", "%q is reachable from other machines %s. %s, listen on 127.0.0.1, or write insecure = true if that is what you want.", text, lack(d, o), remedy(d, o))...)
		}
		o.doors = append(o.doors, d)
	}
	return diags
}

func lack(d door, o *options) string {
	switch {
	case !d.encrypted && !o.needs:
		return "without encryption, and lets everybody in"
	case !d.encrypted:
		return "without encryption"
	}
	return "and lets everybody in"
}

func remedy(d door, o *options) string {
	var steps []string
	if !d.encrypted {
		steps = append(steps, "use tls:// or wss://")
	}
	switch {
	case o.needs:
	case o.optional:
		steps = append(steps, "give users, or let client_auth be \"require\"")
	default:
		steps = append(steps, "give users, or tls { client_ca }")
	}
	return upper(strings.Join(steps, " and "))
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var _ stage.Args = (*args)(nil)
