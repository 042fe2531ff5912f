package sinkhttp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "http".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "http",
		Help: "Sends rows to a web server, one or many a request, until it has taken them.",
		Args: func() stage.Args {
			return &args{Method: "POST", Format: "json", BatchRows: 1, BatchBytes: "1MiB", Timeout: "10s", SignatureHeader: "X-Signature-256"}
		},
	}
}

type args struct {
	URL             string            `hcl:"url" help:"Where to send rows, such as https://example.com/hook."`
	Method          string            `hcl:"method,optional" help:"POST, PUT or PATCH; POST when left out."`
	Headers         map[string]string `hcl:"headers,optional" help:"Headers of every request; secrets by env(...)."`
	Body            hcl.Expression    `hcl:"body,optional" help:"An object of expressions, or a text, a row; the row as JSON when left out."`
	Format          string            `hcl:"format,optional" help:"json (an object, or an array where batch_rows is over 1) or ndjson (a row a line)."`
	BatchRows       int               `hcl:"batch_rows,optional" help:"Rows a request at most, 1 when left out."`
	BatchBytes      config.Size       `hcl:"batch_bytes,optional" help:"Bytes a request at most, 1MiB when left out; one row may have more."`
	Timeout         config.Duration   `hcl:"timeout,optional" help:"How long a request may take, 10s when left out."`
	Secret          string            `hcl:"secret,optional" help:"Signs the body by HMAC-SHA256."`
	SignatureHeader string            `hcl:"signature_header,optional" help:"Header of the signature, X-Signature-256 when left out; its value is sha256=HEX."`
	Meta            bool              `hcl:"meta,optional" help:"Also send the metadata columns _offset, _index, _received, _time, _slot and _mark."`

	URLRange       hcl.Range `hcl:"url,attr_value_range"`
	MethodRange    hcl.Range `hcl:"method,attr_value_range"`
	HeadersRange   hcl.Range `hcl:"headers,attr_value_range"`
	FormatRange    hcl.Range `hcl:"format,attr_value_range"`
	RowsRange      hcl.Range `hcl:"batch_rows,attr_value_range"`
	BytesRange     hcl.Range `hcl:"batch_bytes,attr_value_range"`
	TimeoutRange   hcl.Range `hcl:"timeout,attr_value_range"`
	SecretRange    hcl.Range `hcl:"secret,attr_value_range"`
	SignatureRange hcl.Range `hcl:"signature_header,attr_value_range"`
	MetaRange      hcl.Range `hcl:"meta,attr_value_range"`
}

// options are checked arguments.
type options struct {
	address   string
	url       string
	shown     string // the URL as messages may show it
	method    string
	headers   http.Header
	bodies    *stage.Bodies
	lines     bool
	rows      int
	bytes     int
	timeout   time.Duration
	secret    []byte
	signature string
}

func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	o := &options{address: at.Address, method: a.Method, lines: a.Format == "ndjson", rows: a.BatchRows, bytes: int(a.BatchBytes.Bytes()),
		timeout: a.Timeout.Length(), secret: []byte(a.Secret), signature: http.CanonicalHeaderKey(a.SignatureHeader)}
	var diags hcl.Diagnostics
	fail := func(where hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, summary, detail, args...)...)
	}
	if methods := []string{"POST", "PUT", "PATCH"}; !slices.Contains(methods, a.Method) {
		fail(a.MethodRange, "Unknown method", "method = %q. There are: %s.", a.Method, config.List(methods))
	}
	if formats := []string{"json", "ndjson"}; !slices.Contains(formats, a.Format) {
		fail(a.FormatRange, "Unknown format", "There is no format %q.%s", a.Format, config.DidYouMean(a.Format, formats))
	}
	if a.BatchRows < 1 || a.BatchRows > 100_000 {
		fail(a.RowsRange, "Out of range", "batch_rows goes from 1 to 100000; this is %d.", a.BatchRows)
	}
	if o.bytes < 1<<10 || o.bytes > 64<<20 {
		fail(a.BytesRange, "Out of range", "batch_bytes goes from 1KiB to 64MiB.")
	}
	if o.timeout < 100*time.Millisecond || o.timeout > 10*time.Minute {
		fail(a.TimeoutRange, "Out of range", "timeout goes from 100ms to 10m.")
	}
	diags = append(diags, a.bindURL(o)...)
	diags = append(diags, a.bindHeaders(o)...)
	if a.Meta && !config.Absent(a.Body) {
		fail(a.MetaRange, "meta beside body", "body says what is sent. Name the columns there, as in { offset = _offset }, and leave meta out.")
	}
	bodies, reads, more := stage.BindBodies(a.Body, "body", in, at, a.Meta)
	o.bodies = bodies
	diags = append(diags, more...)
	return stage.Bound{
		Delivery: stage.AtLeastOnce, Reads: reads,
		OpenSink: func(op stage.Opening) (stage.Sink, error) { return newSink(op, o), nil },
	}, diags
}

// bindURL checks the URL. No message holds what may be a secret in it.
func (a *args) bindURL(o *options) hcl.Diagnostics {
	const right = "Write it as in \"https://example.com/hook\"."
	u, wrong := config.ParseHTTP(a.URL)
	switch {
	case wrong != "":
		return config.Errorf(a.URLRange, "Not a URL", "url %s. %s", wrong, right)
	case u.User != nil:
		return config.Errorf(a.URLRange, "Password in a URL", "A password stands in a header: headers = { Authorization = env(\"NAME\") }.")
	case u.Fragment != "":
		return config.Errorf(a.URLRange, "Not a URL", "What stands behind # in a URL is for browsers; no server sees it. Leave it out.")
	}
	o.url, o.shown = a.URL, fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.EscapedPath())
	_, signs := a.Headers["Authorization"]
	if u.Scheme == "http" && !config.Loopback(u.Hostname()) && signs {
		return config.Warnf(a.URLRange, "Secrets in the clear", "Over http:// everybody on the way to %s reads the Authorization header. Write https://.", u.Host)
	}
	return nil
}

// bindHeaders checks names and values. No message holds a value.
func (a *args) bindHeaders(o *options) hcl.Diagnostics {
	var diags hcl.Diagnostics
	o.headers = http.Header{}
	ours := []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Content-Encoding", "Expect", "Trailer", "Idempotency-Key"}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		key := http.CanonicalHeaderKey(name)
		switch {
		case !headerName(name):
			diags = append(diags, config.Errorf(a.HeadersRange, "Not a header", "%q cannot be the name of a header. Letters, digits and hyphens can.", name)...)
		case slices.Contains(ours, key):
			diags = append(diags, config.Errorf(a.HeadersRange, "Header is taken", "The sink writes %s itself. Leave it out.", key)...)
		case !headerValue(a.Headers[name]):
			diags = append(diags, config.Errorf(a.HeadersRange, "Not a header", "The value of %s has a line break or another control character.", key)...)
		case o.headers[key] != nil:
			diags = append(diags, config.Errorf(a.HeadersRange, "Header named twice", "headers has %s twice, in different spellings.", key)...)
		}
		o.headers[key] = []string{a.Headers[name]}
	}
	if name := a.SignatureHeader; !headerName(name) || slices.Contains(ours, o.signature) {
		diags = append(diags, config.Errorf(a.SignatureRange, "Not a header", "signature_header = %q. Write the name of a header, such as X-Signature-256.", name)...)
	}
	if !a.SecretRange.Empty() && len(a.Secret) < 8 {
		diags = append(diags, config.Errorf(a.SecretRange, "Secret too short", "secret is shorter than 8 characters. Such secrets are soon guessed.")...)
	}
	if a.SecretRange.Empty() && !a.SignatureRange.Empty() {
		diags = append(diags, config.Errorf(a.SignatureRange, "No secret", "signature_header says where the signature stands; secret = env(\"NAME\") makes it.")...)
	}
	return diags
}

// headerName tells whether a text is a token (RFC 9110, section 5.6.2).
func headerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// headerValue tells whether a text can stand behind a header's name.
func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

var _ stage.Args = (*args)(nil)
