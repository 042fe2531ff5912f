package ingestmqtt

import (
	"net"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/publish"
	"github.com/tidemill/tidemill/engine/stage"
)

// clientOptions are the checked arguments of an ingest that is a broker's client.
type clientOptions struct {
	options
	broker, shown  string // host:port, and the URL as messages may show it
	filters        []string
	id             string
	user, password string
	version        mqtt.Version
	qos            byte
	receive        int // messages that are not acknowledged yet, at most
	expiry         time.Duration
	timeout        time.Duration
	encrypted      bool
}

// refuseClient finds arguments of a client where there is no url.
func (a *args) refuseClient(at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, x := range []struct {
		name string
		at   hcl.Range
	}{{"share", a.ShareRange}, {"qos", a.QoSRange}, {"user", a.UserRange}, {"password", a.PasswordRange}, {"client_id", a.ClientIDRange}, {"protocol", a.ProtocolRange}} {
		if !x.at.Empty() {
			diags = append(diags, config.Errorf(x.at, "No broker", "%s is for an ingest that takes messages from a broker. Write url = \"mqtt://...\", or leave %s out.", x.name, x.name)...)
		}
	}
	if t := a.TLS; t != nil {
		if t.CA != "" {
			diags = append(diags, config.Errorf(t.CARange, "No broker", "ca signs a broker's certificate; client_ca those of clients.")...)
		}
		if t.Cert == "" || t.Key == "" {
			diags = append(diags, config.Errorf(t.Range, "No certificate", "An ingest that listens needs cert and key.")...)
		}
	}
	return diags
}

// refuseServer finds arguments of a listener beside url.
func (a *args) refuseServer(at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	refuse := func(name string, r hcl.Range) {
		if !r.Empty() {
			diags = append(diags, config.Errorf(r, "Not for a broker's client", "%s is for an ingest that listens. Leave it out, or write listen instead of url.", name)...)
		}
	}
	if !config.Absent(a.Listen) {
		refuse("listen", a.Listen.Range())
	}
	if !config.Absent(a.Allow) {
		refuse("allow", a.Allow.Range())
	}
	for _, x := range []struct {
		name string
		at   hcl.Range
	}{{"users", a.UsersRange}, {"insecure", a.InsecureRange}, {"max_connections", a.ConnRange}, {"max_per_address", a.AddressRange}, {"max_sessions", a.SessionsRange},
		{"max_subscriptions", a.SubsRange}, {"max_queued", a.QueuedRange}, {"max_retained", a.RetainedRange}, {"rate", a.RateRange}, {"max_levels", a.LevelsRange}, {"max_keep_alive", a.KeepRange}} {
		refuse(x.name, x.at)
	}
	if t := a.TLS; t != nil && (t.ClientCA != "" || t.ClientAuth != "" || t.CRL != "") {
		refuse("client_ca, client_auth or crl", t.Range)
	}
	return diags
}

// bindClient checks how a broker is reached. No message holds a secret.
func (a *args) bindClient(base *options, at stage.At, diags hcl.Diagnostics) (stage.Bound, hcl.Diagnostics) {
	_, name, _ := strings.Cut(at.Address, ".")
	o := clientOptions{id: a.ClientID, user: a.User, password: a.Password, qos: byte(a.QoS & 3), receive: a.ReceiveMaximum,
		expiry: a.SessionExpiry.Length(), timeout: a.ConnectTimeout.Length()}
	if o.id == "" {
		o.id = "tidemill-" + name
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.expiry, 24 * time.Hour}, {&o.timeout, 10 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.receive == 0 {
		const usual = 1_024
		o.receive = usual
	}
	diags = append(diags, a.refuseServer(at)...)
	diags = append(diags, a.bindBroker(&o, base, at)...)
	diags = append(diags, a.checkNumbers(at)...)
	versions := map[string]mqtt.Version{"5": mqtt.V5, "3.1.1": mqtt.V311}
	if o.version = versions[a.Protocol]; o.version == 0 {
		diags = append(diags, config.Errorf(a.ProtocolRange, "Unknown protocol", "protocol = %q. It takes \"5\" or \"3.1.1\".", a.Protocol)...)
	}
	if a.QoS < 0 || a.QoS > 2 {
		diags = append(diags, config.Errorf(a.QoSRange, "Out of range", "qos is 0, 1 or 2; this is %d.", a.QoS)...)
	}
	if strings.ContainsAny(a.Share, "/+#\x00") {
		diags = append(diags, config.Errorf(a.ShareRange, "Not a group", "share = %q. A group's name has no /, + or #.", a.Share)...)
	}
	if o.version == mqtt.V311 && len(base.properties) > 0 {
		diags = append(diags, config.Errorf(a.UserProperties.Range(), "No user properties", "MQTT 3.1.1 has no user properties.")...)
	}
	for _, t := range base.topics {
		filter := t.Filter()
		if a.Share != "" {
			filter = "$share/" + a.Share + "/" + filter
		}
		o.filters = append(o.filters, filter)
	}
	o.options = *base
	return stage.Bound{
		Topics: base.topics, Properties: base.properties,
		OpenSource: func(op stage.Opening, env stage.SourceEnv) (stage.Source, error) { return openClient(op, env, o) },
	}, diags
}

func (a *args) bindBroker(o *clientOptions, base *options, at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	address, encrypted, err := publish.ParseURL(a.URL)
	if err != nil {
		return config.Errorf(a.URLRange, "Not a broker's URL", "%s.", upper(err.Error()))
	}
	o.broker, o.shown, o.encrypted = address, "mqtt://"+address, encrypted
	host, _, _ := net.SplitHostPort(address)
	switch {
	case !encrypted && a.TLS != nil:
		diags = config.Errorf(a.TLS.Range, "Certificates without TLS", "tls is for mqtts://. Write url = \"mqtts://...\".")
	case !encrypted && a.Password != "" && !config.Loopback(host):
		diags = config.Warnf(a.URLRange, "Secrets in the clear", "Over mqtt:// everybody on the way to the broker reads the password. Write mqtts://.")
	case encrypted:
		o.shown = "mqtts://" + address
		base.tls = &tlsArgs{}
		if a.TLS == nil {
			break
		}
		*base.tls = *a.TLS
		for _, file := range []*string{&base.tls.CA, &base.tls.Cert, &base.tls.Key} {
			if *file != "" {
				*file = absolute(*file, at)
			}
		}
		if (a.TLS.Cert == "") != (a.TLS.Key == "") {
			diags = config.Errorf(a.TLS.Range, "Half a pair", "cert and key belong together.")
		}
	}
	if a.Password != "" && a.User == "" {
		diags = append(diags, config.Errorf(a.PasswordRange, "Password without a user", "Write user = \"...\" too.")...)
	}
	return diags
}

// maxMessage is the largest message that is asked of a broker.
const maxMessage = journal.MaxRecord
