package sinkmqtt

import (
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/publish"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "mqtt".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "mqtt",
		Help: "Publishes rows over MQTT: to the subscribers of this configuration's own ingest, or to a broker.",
		Args: func() stage.Args { return &args{QoS: 1, Protocol: "5", Inflight: 64, Timeout: "10s"} },
	}
}

type args struct {
	Topic    hcl.Expression `hcl:"topic" help:"Topic of a row, such as \"alarms/${device}\"."`
	Payload  hcl.Expression `hcl:"payload,optional" help:"An object of expressions, or a text, a row; the row as JSON when left out."`
	URL      string         `hcl:"url,optional" help:"Broker, mqtt:// or mqtts://; when left out, rows go to the subscribers of the ingest \"mqtt\" that listens."`
	Through  hcl.Expression `hcl:"through,optional" help:"Which ingest \"mqtt\", such as ingest.trucks, where several listen."`
	QoS      int            `hcl:"qos,optional" help:"Quality of service, 0 to 2; 1 when left out."`
	Retain   bool           `hcl:"retain,optional" help:"Has the broker keep the last row of each topic for those who subscribe later."`
	User     string         `hcl:"user,optional" help:"User name at the broker."`
	Password string         `hcl:"password,optional" help:"Its password, by env(...)."`
	ClientID string         `hcl:"client_id,optional" help:"Client identifier at the broker; tidemill- and the sink's address when left out."`
	Protocol string         `hcl:"protocol,optional" help:"Version of MQTT that the broker speaks, \"5\" or \"3.1.1\"; 5 when left out."`
	Inflight int            `hcl:"in_flight,optional" help:"Rows that the broker has not confirmed yet at most; 64 when left out."`

	Timeout config.Duration `hcl:"timeout,optional" help:"How long connecting, and waiting for the broker's next confirmation, may take; 10s when left out."`
	Meta    bool            `hcl:"meta,optional" help:"Also publish the metadata columns _offset, _index, _received, _time, _slot and _mark."`
	TLS     *tlsArgs        `hcl:"tls,block" help:"Certificates for mqtts://."`

	URLRange      hcl.Range `hcl:"url,attr_value_range"`
	QoSRange      hcl.Range `hcl:"qos,attr_value_range"`
	UserRange     hcl.Range `hcl:"user,attr_value_range"`
	PasswordRange hcl.Range `hcl:"password,attr_value_range"`
	ClientRange   hcl.Range `hcl:"client_id,attr_value_range"`
	ProtocolRange hcl.Range `hcl:"protocol,attr_value_range"`
	InflightRange hcl.Range `hcl:"in_flight,attr_value_range"`
	TimeoutRange  hcl.Range `hcl:"timeout,attr_value_range"`
	MetaRange     hcl.Range `hcl:"meta,attr_value_range"`
}

type tlsArgs struct {
	CA   string `hcl:"ca,optional" help:"File with the certificates that sign the broker's, PEM; the system's when left out."`
	Cert string `hcl:"cert,optional" help:"File with the certificate that this client shows, PEM."`
	Key  string `hcl:"key,optional" help:"File with the certificate's key, PEM."`

	Range hcl.Range `hcl:",def_range"`
}

// options are checked arguments.
type options struct {
	topics  []*expr.Program // by input
	bodies  *stage.Bodies
	through string // address of the ingest; "": a broker
	url     string // of the broker, as messages may show it
	id      string
	tls     *tlsArgs // nil: not encrypted
	timeout time.Duration
	publish publish.Options
}

func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := &options{timeout: a.Timeout.Length(), id: a.ClientID, publish: publish.Options{
		QoS: byte(a.QoS & 3), Retain: a.Retain, User: a.User, Password: a.Password, Inflight: a.Inflight, Timeout: a.Timeout.Length(), Writers: 1}}
	if o.id == "" {
		o.id = "tidemill-" + at.Address
	}
	diags := a.checkNumbers(o)
	for i := range in {
		p, more := expr.CompileAs(a.Topic, at.Scope(i), arrow.BinaryTypes.String, "topic")
		diags = append(diags, more...)
		o.topics = append(o.topics, p)
	}
	diags = append(diags, a.checkTopic()...)
	bodies, reads, more := stage.BindBodies(a.Payload, "payload", in, at, a.Meta)
	o.bodies = bodies
	diags = append(diags, more...)
	for _, p := range o.topics {
		if reads != nil && p != nil {
			reads = append(reads, p.Columns()...)
		}
	}
	slices.Sort(reads)
	if a.Meta && !config.Absent(a.Payload) {
		diags = append(diags, config.Errorf(a.MetaRange, "meta beside payload", "payload says what is published. Name the columns there, as in { offset = _offset }, and leave meta out.")...)
	}
	if a.URL != "" {
		diags = append(diags, a.bindBroker(o, at)...)
	} else {
		diags = append(diags, a.bindOwn(o, at)...)
	}
	return stage.Bound{
		Delivery: stage.AtLeastOnce, Reads: slices.Compact(reads),
		OpenSink: func(op stage.Opening) (stage.Sink, error) { return open(op, o) },
	}, config.Sort(diags)
}

func (a *args) checkNumbers(o *options) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if a.QoS < 0 || a.QoS > 2 {
		diags = append(diags, config.Errorf(a.QoSRange, "Out of range", "qos is 0, 1 or 2; this is %d.", a.QoS)...)
	}
	if a.Inflight < 1 || a.Inflight > 65_534 {
		diags = append(diags, config.Errorf(a.InflightRange, "Out of range", "in_flight goes from 1 to 65534; this is %d.", a.Inflight)...)
	}
	if o.timeout < 100*time.Millisecond || o.timeout > 10*time.Minute {
		diags = append(diags, config.Errorf(a.TimeoutRange, "Out of range", "timeout goes from 100ms to 10m.")...)
	}
	versions := map[string]mqtt.Version{"5": mqtt.V5, "3.1.1": mqtt.V311}
	if o.publish.Version = versions[a.Protocol]; o.publish.Version == 0 {
		diags = append(diags, config.Errorf(a.ProtocolRange, "Unknown protocol", "protocol = %q. It takes \"5\" or \"3.1.1\".", a.Protocol)...)
	}
	if len(o.id) > 1024 || badText(o.id) {
		diags = append(diags, config.Errorf(a.ClientRange, "Not a client identifier", "client_id is a text of at most 1024 bytes without control characters.")...)
	}
	return diags
}

// checkTopic finds wildcards that stand in the template itself.
func (a *args) checkTopic() hcl.Diagnostics {
	t, ok := a.Topic.(*hclsyntax.TemplateExpr)
	if !ok {
		return nil
	}
	for _, part := range t.Parts {
		v, diags := part.Value(nil)
		if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type().FriendlyName() != "string" {
			continue
		}
		if text := v.AsString(); strings.ContainsAny(text, "+#\x00") {
			return config.Errorf(a.Topic.Range(), "Not a topic", "%q has a wildcard. Those who subscribe may write + and #; what is published has one topic.", text)
		}
	}
	return nil
}

// bindBroker checks how a broker is reached. No message holds a secret.
func (a *args) bindBroker(o *options, at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	address, encrypted, err := publish.ParseURL(a.URL)
	if err != nil {
		text := err.Error()
		return config.Errorf(a.URLRange, "Not a broker's URL", "%s.", strings.ToUpper(text[:1])+text[1:])
	}
	o.publish.Address, o.url = address, "mqtt://"+address
	if !config.Absent(a.Through) {
		diags = append(diags, config.Errorf(a.Through.Range(), "through beside url", "url leads to a broker, and through to an ingest of this configuration. Leave one out.")...)
	}
	host, _, _ := net.SplitHostPort(address)
	switch {
	case !encrypted && a.TLS != nil:
		diags = append(diags, config.Errorf(a.TLS.Range, "Certificates without TLS", "tls is for mqtts://. Write url = \"mqtts://...\".")...)
	case !encrypted && a.Password != "" && !config.Loopback(host):
		diags = append(diags, config.Warnf(a.URLRange, "Secrets in the clear", "Over mqtt:// everybody on the way to the broker reads the password. Write mqtts://.")...)
	case encrypted:
		o.url, o.tls = "mqtts://"+address, &tlsArgs{}
		if a.TLS != nil {
			t := *a.TLS
			for _, file := range []*string{&t.CA, &t.Cert, &t.Key} {
				if *file != "" && !path.IsAbs(*file) {
					*file = path.Join(at.Dir, *file)
				}
			}
			o.tls = &t
			if (t.Cert == "") != (t.Key == "") {
				diags = append(diags, config.Errorf(t.Range, "Half a pair", "cert and key belong together.")...)
			}
		}
	}
	if a.Password != "" && a.User == "" {
		diags = append(diags, config.Errorf(a.PasswordRange, "Password without a user", "Write user = \"...\" too.")...)
	}
	return diags
}

// bindOwn finds the ingest whose subscribers are meant.
func (a *args) bindOwn(o *options, at stage.At) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, x := range []struct {
		name string
		at   hcl.Range
	}{{"user", a.UserRange}, {"password", a.PasswordRange}, {"client_id", a.ClientRange}, {"protocol", a.ProtocolRange}, {"in_flight", a.InflightRange}} {
		if !x.at.Empty() {
			diags = append(diags, config.Errorf(x.at, "No broker", "%s is for a broker. Write url = \"mqtt://...\", or leave %s out.", x.name, x.name)...)
		}
	}
	if a.TLS != nil {
		diags = append(diags, config.Errorf(a.TLS.Range, "No broker", "tls is for a broker. Write url = \"mqtts://...\", or leave tls out.")...)
	}
	listening := listening(at.Ingests)
	if !config.Absent(a.Through) {
		name, ok := stage.ColumnName(a.Through)
		name, isIngest := strings.CutPrefix(name, "ingest.")
		if !ok || !isIngest || !slices.Contains(listening, name) {
			return append(diags, config.Errorf(a.Through.Range(), "Not an ingest that listens", "through names an ingest \"mqtt\" with listen, such as through = ingest.trucks.%s", stage.Suggest(name, listening))...)
		}
		o.through = "ingest." + name
		return diags
	}
	switch len(listening) {
	case 0:
		return append(diags, config.Errorf(at.Range, "Nobody to publish to",
			"Without url, rows go to the subscribers of an ingest \"mqtt\" that listens, and this configuration has none that is switched on. Write url = \"mqtt://broker:1883\", or add such an ingest.")...)
	case 1:
		o.through = "ingest." + listening[0]
	default:
		diags = append(diags, config.Errorf(at.Range, "Which ingest?", "Several ingests \"mqtt\" listen: %s. Write through = ingest.%s, or another of them.", config.List(listening), listening[0])...)
	}
	return diags
}

// listening lists the ingests "mqtt" that have an argument listen.
func listening(ingests []*config.Block) []string {
	var names []string
	for _, b := range ingests {
		if b.Type != "mqtt" {
			continue
		}
		content, _, _ := b.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "listen"}}})
		if content != nil && content.Attributes["listen"] != nil {
			names = append(names, b.Name)
		}
	}
	return names
}

func badText(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' })
}

var _ stage.Args = (*args)(nil)
