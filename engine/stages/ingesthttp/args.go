package ingesthttp

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the ingest "http".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "ingest", Type: "http",
		Help: "Takes records by HTTP POST: JSON lines, a JSON array or a JSON value; answers when they are on disk.",
		Args: func() stage.Args {
			return &args{Path: "/", MaxBody: "4MiB", MaxConnections: 1024, Timeout: "30s", Wait: "10s", KeysFor: "10m"}
		},
	}
}

type args struct {
	Listen         string            `hcl:"listen" help:"Host and port to listen on, such as 127.0.0.1:8080."`
	Path           string            `hcl:"path,optional" help:"Path of the requests, / when left out."`
	Tokens         map[string]string `hcl:"tokens,optional" help:"Bearer tokens, by name of the sender."`
	Users          map[string]string `hcl:"users,optional" help:"Passwords, by name of the user."`
	MaxBody        config.Size       `hcl:"max_body,optional" help:"Bytes that an unpacked body may have, 4MiB when left out."`
	MaxConnections int               `hcl:"max_connections,optional" help:"Connections at a time, 1024 when left out; more are closed at once."`
	Timeout        config.Duration   `hcl:"timeout,optional" help:"How long a client may take to send a request, 30s when left out."`
	Wait           config.Duration   `hcl:"wait,optional" help:"How long a request waits for the disk, 10s when left out; then the answer is 503."`
	KeysFor        config.Duration   `hcl:"keys_for,optional" help:"How long an Idempotency-Key is remembered, 10m when left out."`
	Insecure       bool              `hcl:"insecure,optional" help:"Listen beyond this machine without TLS or without knowing who sends."`
	TLS            *tlsArgs          `hcl:"tls,block"`

	ListenRange hcl.Range `hcl:"listen,attr_value_range"`
	PathRange   hcl.Range `hcl:"path,attr_value_range"`
	TokensRange hcl.Range `hcl:"tokens,attr_value_range"`
	UsersRange  hcl.Range `hcl:"users,attr_value_range"`
	MaxRange    hcl.Range `hcl:"max_body,attr_value_range"`
	ConnRange   hcl.Range `hcl:"max_connections,attr_value_range"`
	TimeRange   hcl.Range `hcl:"timeout,attr_value_range"`
	WaitRange   hcl.Range `hcl:"wait,attr_value_range"`
	KeysRange   hcl.Range `hcl:"keys_for,attr_value_range"`
}

type tlsArgs struct {
	Cert     string `hcl:"cert" help:"PEM file of the server's certificate and those between it and the CA."`
	Key      string `hcl:"key" help:"PEM file of the certificate's private key."`
	ClientCA string `hcl:"client_ca,optional" help:"PEM file of the CA whose certificates clients show; the common name is the sender's name."`
}

// options are checked arguments.
type options struct {
	address     string
	listen      string
	path        string
	secrets     []secret // tokens and passwords
	maxBody     int64
	connections int
	timeout     time.Duration
	wait        time.Duration
	keysFor     time.Duration
	tls         *tlsArgs // with whole paths
	whole       bool     // a body is one record: a plugin decodes the channel's
	local       bool     // only this machine can come in, and senders are not known
}

const (
	leastBody = 1 << 10
	mostBody  = 15 << 20 // the journal takes 16 MiB at a time
	mostNames = 10_000
)

func (a *args) Bind(_ []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := options{address: at.Address, listen: a.Listen, path: a.Path, maxBody: a.MaxBody.Bytes(), connections: a.MaxConnections,
		timeout: a.Timeout.Length(), wait: a.Wait.Length(), keysFor: a.KeysFor.Length()}
	var diags hcl.Diagnostics
	fail := func(where hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, summary, detail, args...)...)
	}
	if clean := path.Clean("/" + a.Path); a.Path != clean {
		fail(a.PathRange, "Not a path", "path = %q. It starts with a slash and has no empty part and no dots: %q.", a.Path, clean)
	}
	if o.maxBody < leastBody || o.maxBody > mostBody {
		fail(a.MaxRange, "Out of range", "max_body goes from 1KiB to 15MiB.")
	}
	if o.connections < 1 || o.connections > 100_000 {
		fail(a.ConnRange, "Out of range", "max_connections goes from 1 to 100000; this is %d.", o.connections)
	}
	for _, d := range []struct {
		name        string
		at          hcl.Range
		is          time.Duration
		least, most time.Duration
	}{
		{"timeout", a.TimeRange, o.timeout, 100 * time.Millisecond, time.Hour},
		{"wait", a.WaitRange, o.wait, 100 * time.Millisecond, time.Hour},
		{"keys_for", a.KeysRange, o.keysFor, 0, 24 * time.Hour},
	} {
		if d.is < d.least || d.is > d.most {
			fail(d.at, "Out of range", "%s goes from %s to %s.", d.name, config.FormatDuration(d.least), config.FormatDuration(d.most))
		}
	}
	o.whole = at.Channel != nil && at.Channel.Decode != nil
	diags = append(diags, a.senders(&o)...)
	diags = append(diags, a.door(&o, at)...)
	return stage.Bound{
		Push:       true,
		OpenSource: func(op stage.Opening, env stage.SourceEnv) (stage.Source, error) { return open(op, env, o) },
	}, diags
}

// senders checks who may come in. No message holds a secret.
func (a *args) senders(o *options) hcl.Diagnostics {
	var diags hcl.Diagnostics
	named := map[string]bool{}
	for _, list := range []struct {
		what string
		at   hcl.Range
		all  map[string]string
		user bool
	}{{"tokens", a.TokensRange, a.Tokens, false}, {"users", a.UsersRange, a.Users, true}} {
		if len(list.all) > mostNames {
			diags = append(diags, config.Errorf(list.at, "Too many senders", "%s may name %d; these are %d.", list.what, mostNames, len(list.all))...)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(list.all)) {
			switch {
			case name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
				diags = append(diags, config.Errorf(list.at, "Not a name", "%s: a name has 1 to 255 characters, none of them a control character.", list.what)...)
			case list.user && strings.Contains(name, ":"):
				diags = append(diags, config.Errorf(list.at, "Not a name", "users: %q has a colon, which no user name can have.", name)...)
			case named[name]:
				diags = append(diags, config.Errorf(list.at, "Name used twice", "%q stands in tokens and in users. A sender has one name.", name)...)
			case len(list.all[name]) < 8:
				diags = append(diags, config.Errorf(list.at, "Secret too short", "%s: that of %q is shorter than 8 characters. Such secrets are soon guessed.", list.what, name)...)
			}
			named[name] = true
			o.secrets = append(o.secrets, newSecret(name, list.all[name], list.user))
		}
	}
	return diags
}

// door checks where the ingest listens, and that nobody unknown comes in from afar.
func (a *args) door(o *options, at stage.At) hcl.Diagnostics {
	if a.TLS != nil {
		whole := func(name string) string {
			if name == "" || path.IsAbs(name) {
				return name
			}
			return path.Join(at.Dir, name)
		}
		o.tls = &tlsArgs{Cert: whole(a.TLS.Cert), Key: whole(a.TLS.Key), ClientCA: whole(a.TLS.ClientCA)}
	}
	loopback, err := config.ParseListen(a.Listen)
	if err != nil {
		return config.Errorf(a.ListenRange, "Not an address", "listen: %v.", err)
	}
	known := len(o.secrets) > 0 || o.tls != nil && o.tls.ClientCA != ""
	o.local = loopback && !known
	switch {
	case loopback || a.Insecure:
	case o.tls == nil && !known:
		return config.Errorf(a.ListenRange, "Open to everybody",
			"%q can be reached from other machines. Add tls { ... } and tokens, users or a client_ca, listen on 127.0.0.1, or write insecure = true.", a.Listen)
	case o.tls == nil:
		return config.Errorf(a.ListenRange, "Secrets in the clear",
			"%q can be reached from other machines, and without tls { ... } everybody on the way reads the secrets. Add it, listen on 127.0.0.1, or write insecure = true.", a.Listen)
	case !known:
		return config.Errorf(a.ListenRange, "Open to everybody",
			"%q can be reached from other machines. Say who may send: tokens, users or a client_ca. Or listen on 127.0.0.1, or write insecure = true.", a.Listen)
	}
	return nil
}

var _ stage.Args = (*args)(nil)
