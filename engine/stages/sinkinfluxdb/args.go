package sinkinfluxdb

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/lineproto"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "influxdb".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "influxdb",
		Help: "Writes rows to InfluxDB as line protocol, by the API of version 2 or 1.",
		Args: func() stage.Args {
			return &args{BatchRows: 5000, BatchBytes: "1MiB", BatchAge: "1s", Timeout: "10s", Precision: "us", SeriesLimit: 100_000}
		},
	}
}

type args struct {
	URL         string          `hcl:"url" help:"The server, such as http://127.0.0.1:8086."`
	Org         string          `hcl:"org,optional" help:"Organization, by the API of version 2."`
	Bucket      string          `hcl:"bucket,optional" help:"Bucket, by the API of version 2; database/retention_policy for a server 1.8."`
	Token       string          `hcl:"token,optional" help:"Token, by env(...); user:password for a server 1.8."`
	Database    string          `hcl:"database,optional" help:"Database: chooses the API of version 1."`
	Retention   string          `hcl:"retention_policy,optional" help:"Retention policy of the database; its default when left out."`
	Username    string          `hcl:"username,optional" help:"User, by the API of version 1."`
	Password    string          `hcl:"password,optional" help:"Password, by env(...)."`
	Measurement hcl.Expression  `hcl:"measurement,optional" help:"Measurement, a text or an expression; the name of the stage or channel when left out."`
	Tags        hcl.Expression  `hcl:"tags,optional" help:"Names of columns, or an object of expressions; the key and what rows are grouped by when left out."`
	Fields      hcl.Expression  `hcl:"fields,optional" help:"Names of columns, or an object of expressions; all other columns when left out."`
	Time        hcl.Expression  `hcl:"time,optional" help:"Time of the point; window_start, or the event time, when left out."`
	Precision   string          `hcl:"precision,optional" help:"Unit of times: ns, us, ms or s; us when left out, which is what rows have."`
	Gzip        *bool           `hcl:"gzip,optional" help:"Compress requests; when left out, unless the server is this machine."`
	BatchRows   int             `hcl:"batch_rows,optional" help:"Rows a request at most, 5000 when left out."`
	BatchBytes  config.Size     `hcl:"batch_bytes,optional" help:"Bytes of lines a request at most, 1MiB when left out; one row may have more."`
	BatchAge    config.Duration `hcl:"batch_age,optional" help:"How long rows wait for company after a checkpoint, 1s when left out."`
	Timeout     config.Duration `hcl:"timeout,optional" help:"How long a request may take, 10s when left out."`
	SeriesLimit int             `hcl:"series_limit,optional" help:"Series after which the sink warns, 100000 when left out."`

	URLRange         hcl.Range `hcl:"url,attr_value_range"`
	OrgRange         hcl.Range `hcl:"org,attr_value_range"`
	BucketRange      hcl.Range `hcl:"bucket,attr_value_range"`
	TokenRange       hcl.Range `hcl:"token,attr_value_range"`
	DatabaseRange    hcl.Range `hcl:"database,attr_value_range"`
	RetentionRange   hcl.Range `hcl:"retention_policy,attr_value_range"`
	UsernameRange    hcl.Range `hcl:"username,attr_value_range"`
	PasswordRange    hcl.Range `hcl:"password,attr_value_range"`
	PrecisionRange   hcl.Range `hcl:"precision,attr_value_range"`
	BatchRowsRange   hcl.Range `hcl:"batch_rows,attr_value_range"`
	BatchBytesRange  hcl.Range `hcl:"batch_bytes,attr_value_range"`
	BatchAgeRange    hcl.Range `hcl:"batch_age,attr_value_range"`
	TimeoutRange     hcl.Range `hcl:"timeout,attr_value_range"`
	SeriesLimitRange hcl.Range `hcl:"series_limit,attr_value_range"`
}

// options are checked arguments.
type options struct {
	base      string // the server, with a slash at the end
	write     string // where lines go, relative to base
	shown     string // as messages may show it
	auth      string // value of the Authorization header
	precision lineproto.Precision
	gzip      bool
	rows      int
	bytes     int
	age       time.Duration
	timeout   time.Duration
	series    int
}

// precisions in the order of their names in messages; version 1 has names of its own.
var precisions = [...]struct {
	name, v1 string
	unit     lineproto.Precision
}{{"ns", "ns", lineproto.Nanos}, {"us", "u", lineproto.Micros}, {"ms", "ms", lineproto.Millis}, {"s", "s", lineproto.Seconds}}

func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := &options{rows: a.BatchRows, bytes: int(a.BatchBytes.Bytes()), age: a.BatchAge.Length(), timeout: a.Timeout.Length(), series: a.SeriesLimit}
	diags := a.bindLimits(o)
	diags = append(diags, a.bindServer(o)...)
	inputs := make([]*input, len(in))
	for i := range in {
		var more hcl.Diagnostics
		inputs[i], more = a.bindInput(in[i], at, i)
		diags = append(diags, more...)
	}
	return stage.Bound{
		Delivery: stage.Idempotent, Reads: reads(inputs),
		OpenSink: func(op stage.Opening) (stage.Sink, error) { return newSink(op, o, inputs), nil },
	}, config.Sort(diags)
}

func (a *args) bindLimits(o *options) (diags hcl.Diagnostics) {
	fail := func(where hcl.Range, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, "Out of range", detail, args...)...)
	}
	if a.BatchRows < 1 || a.BatchRows > 100_000 {
		fail(a.BatchRowsRange, "batch_rows goes from 1 to 100000; this is %d.", a.BatchRows)
	}
	if o.bytes < 1<<10 || o.bytes > 16<<20 {
		fail(a.BatchBytesRange, "batch_bytes goes from 1KiB to 16MiB; servers take no more than 25MB at once.")
	}
	if o.age < 0 || o.age > time.Minute {
		fail(a.BatchAgeRange, "batch_age goes from 0s to 1m.")
	}
	if o.timeout < 100*time.Millisecond || o.timeout > 10*time.Minute {
		fail(a.TimeoutRange, "timeout goes from 100ms to 10m.")
	}
	if a.SeriesLimit < 1 || a.SeriesLimit > 10_000_000 {
		fail(a.SeriesLimitRange, "series_limit goes from 1 to 10000000; this is %d.", a.SeriesLimit)
	}
	return diags
}

// bindServer checks where to write. No message holds what may be a secret.
func (a *args) bindServer(o *options) hcl.Diagnostics {
	const right = "Write it as in \"http://127.0.0.1:8086\"."
	u, wrong := config.ParseHTTP(a.URL)
	switch {
	case wrong != "":
		return config.Errorf(a.URLRange, "Not a URL", "url %s. %s", wrong, right)
	case u.User != nil:
		return config.Errorf(a.URLRange, "Password in a URL", "Write token = env(\"NAME\"), or username and password = env(\"NAME\").")
	case u.RawQuery != "" || u.Fragment != "":
		return config.Errorf(a.URLRange, "Not a URL", "url is the server alone; bucket or database say where on it. %s", right)
	}
	path := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(u.EscapedPath(), "/"), "/api/v2/write"), "/write")
	if path != strings.TrimSuffix(u.EscapedPath(), "/") {
		return config.Errorf(a.URLRange, "Not a URL", "url is the server alone, without %s; the sink knows the way from there.", strings.TrimPrefix(u.EscapedPath(), path))
	}
	o.base = u.Scheme + "://" + u.Host + path + "/"
	o.shown = strings.TrimSuffix(o.base, "/")
	o.gzip = !config.Loopback(u.Hostname())
	if a.Gzip != nil {
		o.gzip = *a.Gzip
	}
	diags := a.bindAPI(o)
	if u.Scheme == "http" && !config.Loopback(u.Hostname()) && o.auth != "" {
		diags = append(diags, config.Warnf(a.URLRange, "Secrets in the clear", "Over http:// everybody on the way to %s reads the token or password. Write https://.", u.Host)...)
	}
	return diags
}

// bindAPI chooses between the two APIs by what is given.
func (a *args) bindAPI(o *options) (diags hcl.Diagnostics) {
	fail := func(where hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, summary, detail, args...)...)
	}
	q := url.Values{}
	p := slices.IndexFunc(precisions[:], func(p struct {
		name, v1 string
		unit     lineproto.Precision
	}) bool {
		return p.name == a.Precision
	})
	if p < 0 {
		fail(a.PrecisionRange, "Unknown precision", "precision = %q. There are: ns, us, ms, s.", a.Precision)
		p = 1
	}
	o.precision = precisions[p].unit
	first := a.Database != ""
	switch {
	case first && a.Bucket != "":
		fail(a.DatabaseRange, "Bucket and database", "bucket chooses the API of version 2, database that of version 1. Write one of them.")
	case !first && a.Bucket == "":
		fail(a.URLRange, "No bucket", "Write bucket = \"NAME\" for a server of version 2, or database = \"NAME\" for version 1.")
	}
	for _, x := range []struct {
		name  string
		where hcl.Range
		v1    bool
	}{{"org", a.OrgRange, false}, {"retention_policy", a.RetentionRange, true}, {"username", a.UsernameRange, true}, {"password", a.PasswordRange, true}} {
		if !x.where.Empty() && x.v1 != first && (first || a.Bucket != "") {
			fail(x.where, "Of the other API", "%s belongs to the API of version %d; %s chooses version %d.", x.name, 1+b2i(!x.v1), [2]string{"bucket", "database"}[b2i(first)], 1+b2i(!first))
		}
	}
	if a.Token != "" && a.Username != "" {
		fail(a.TokenRange, "Token and user", "Write either token, or username and password.")
	}
	for _, x := range []struct {
		text  string
		where hcl.Range
	}{{a.Token, a.TokenRange}, {a.Username, a.UsernameRange}, {a.Password, a.PasswordRange}} {
		if strings.ContainsFunc(x.text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			fail(x.where, "Not a secret", "It has a line break or another control character, which cannot be sent.")
		}
	}
	switch {
	case a.Username != "":
		o.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password))
	case a.Token != "":
		o.auth = "Token " + a.Token
	}
	if first {
		q.Set("db", a.Database)
		if a.Retention != "" {
			q.Set("rp", a.Retention)
		}
		q.Set("precision", precisions[p].v1)
		o.write = "write?" + q.Encode()
		o.shown += fmt.Sprintf(", database %s", a.Database)
		return diags
	}
	q.Set("org", a.Org)
	q.Set("bucket", a.Bucket)
	q.Set("precision", precisions[p].name)
	o.write = "api/v2/write?" + q.Encode()
	o.shown += fmt.Sprintf(", bucket %s", a.Bucket)
	return diags
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

var _ stage.Args = (*args)(nil)
