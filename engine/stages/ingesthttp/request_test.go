package ingesthttp

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRequests sends requests and looks at the answer and at what is in the
// journal. A request that is refused leaves nothing there.
func TestRequests(t *testing.T) {
	const lines = "application/x-ndjson"
	big := `"` + strings.Repeat("x", 3000) + `"`
	for _, c := range []struct {
		name, body string
		headers    []string
		code       int
		says       string   // of a refusal
		records    []string // in the journal
	}{
		{"one value", `{"a":1}`, nil, 200, "", []string{`{"a":1}`}},
		{"over several lines", "\n{\n \"a\": [1,\n2]}\n", nil, 200, "", []string{"{\n \"a\": [1,\n2]}"}},
		{"lines", "{\"a\":1}\n\n  {\"a\":2} \r\n{\"a\":3}", []string{"Content-Type", lines}, 200, "", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"lines called JSON", "{\"a\":1}\n{\"a\":2}\n", nil, 200, "", []string{`{"a":1}`, `{"a":2}`}},
		{"values in a row", `{"a":1}{"a":2} 7 "}" []`, nil, 200, "", []string{`{"a":1}`, `{"a":2}`, `7`, `"}"`, `[]`}},
		{"array", ` [ {"a":"],"} , [1,[2]], "\"]" ,null,-1.5e3 ] `, nil, 200, "", []string{`{"a":"],"}`, `[1,[2]]`, `"\"]"`, `null`, `-1.5e3`}},
		{"array on a line", "[1,2]\n[3]\n", []string{"Content-Type", lines}, 200, "", []string{`[1,2]`, `[3]`}},
		{"empty array", ` [ ] `, nil, 200, "", nil},
		{"spaces", " \n", nil, 200, "", nil},
		{"charset", `{"a":1}`, []string{"Content-Type", "application/json; charset=utf-8"}, 200, "", []string{`{"a":1}`}},
		{"cloud events", `{"a":1}`, []string{"Content-Type", "application/cloudevents+json"}, 200, "", []string{`{"a":1}`}},
		{"gzip", packed(t, `[{"a":1},{"a":2}]`), []string{"Content-Encoding", "gzip"}, 200, "", []string{`{"a":1}`, `{"a":2}`}},

		{"empty", "", nil, 400, "empty", nil},
		{"cut", `{"a":1`, nil, 400, "record 1, which begins on line 1, is not JSON: unexpected end", nil},
		{"third line", "{}\n{}\n{\"a\":x}\n{}", []string{"Content-Type", lines}, 400, "record 3, which begins on line 3", nil},
		{"array cut", `[{"a":1},{"a":2}`, nil, 400, "is not closed; it has 2 whole", nil},
		{"array cut in an element", `[{"a":1},{"a":`, nil, 400, "record 2", nil},
		{"array without comma", `[1 2]`, nil, 400, "comma", nil},
		{"array with a comma too many", `[1,]`, nil, 400, "record 2", nil},
		{"array of nothing", `[,]`, nil, 400, "record 1", nil},
		{"after the array", `[1] 2`, nil, 400, "follows the array", nil},
		{"bracket of nobody", `]`, nil, 400, "record 1", nil},
		{"brace of nobody", `{}}`, nil, 400, "record 2", nil},
		{"wrong bracket", `{]`, nil, 400, "record 1", nil},
		{"text", `hello`, nil, 400, "record 1", nil},
		{"open text", `"abc`, nil, 400, "record 1", nil},
		{"bytes", "\x00\xff\xfe", nil, 400, "record 1", nil},
		{"not gzip", `{"a":1}`, []string{"Content-Encoding", "gzip"}, 400, "cannot be read", nil},
		{"gzip cut", packed(t, big)[:20], []string{"Content-Encoding", "gzip"}, 400, "cannot be read", nil},
		{"deep", strings.Repeat("[", 1900) + strings.Repeat("]", 1900), []string{"Content-Type", lines}, 200, "", []string{strings.Repeat("[", 1900) + strings.Repeat("]", 1900)}},
		{"large", "[" + big + "," + big + "]", nil, 413, "4096 bytes", nil},
		{"bomb", packed(t, strings.Repeat(" ", 40<<20)), []string{"Content-Encoding", "gzip"}, 413, "bytes", nil},
		{"bomb of bombs", packed(t, packed(t, strings.Repeat(" ", 4<<20))), []string{"Content-Encoding", "gzip, gzip"}, 415, "gzip, gzip", nil},
		{"form", `a=1`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/x-www-form-urlencoded", nil},
		{"no type", `{}`, []string{"Content-Type", ""}, 415, "no Content-Type", nil},
		{"plain text", `{}`, []string{"Content-Type", "text/plain"}, 415, "text/plain", nil},
		{"brotli", `{}`, []string{"Content-Encoding", "br"}, 415, "br", nil},
		{"key too long", `{}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "Idempotency-Key", nil},
		{"key with a space", `{}`, []string{"Idempotency-Key", "a b"}, 400, "Idempotency-Key", nil},
		{"a page's", `{}`, []string{"Origin", "https://evil.example"}, 403, "another origin", nil},
		{"a page's, says the browser", `{}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another origin", nil},
		{"another host's name", `{}`, []string{"Host", "evil.example:80"}, 403, "evil.example", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, env.Real(), t.TempDir(), "listen = \"127.0.0.1:0\"\nmax_body = \"4KiB\"\n", journal.Options{})
			a := mustPost(t, r.url(), c.body, c.headers...)
			r.close2(func() {
				got := r.records()
				want := slices.Clone(c.records)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("in the journal: %q, want %q", got, want)
				}
			})
			if a.code != c.code || !strings.Contains(a.text, c.says) || a.accepted != len(c.records) {
				t.Errorf("%d %s, want %d with %q", a.code, a.text, c.code, c.says)
			}
		})
	}
}

// close2 closes the source, looks at the journal and closes that.
func (r *rig) close2(look func()) {
	r.halt()
	if err := r.src.Close(); err != nil {
		r.t.Error(err)
	}
	look()
	if err := r.log.Close(); err != nil {
		r.t.Error(err)
	}
}

func TestManyRecords(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), "listen = \"127.0.0.1:0\"\n", journal.Options{})
	defer r.close()
	if a := mustPost(t, r.url(), strings.Repeat("1\n", maxRecords)); a.code != 200 || a.accepted != maxRecords {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := mustPost(t, r.url(), strings.Repeat("1\n", maxRecords+1)); a.code != 413 || !strings.Contains(a.text, "50000") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if n := len(r.records()); n != maxRecords {
		t.Errorf("%d records", n)
	}
}

func TestPathAndMethod(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), "listen = \"127.0.0.1:0\"\npath = \"/in\"\n", journal.Options{})
	defer r.close()
	base := strings.TrimSuffix(r.url(), "/in")
	for _, c := range []struct {
		path string
		code int
	}{{"/in", 200}, {"/", 404}, {"/in/x", 404}, {"/../in", 404}, {"/%69n", 200}} {
		if a := mustPost(t, base+c.path, "{}"); a.code != c.code {
			t.Errorf("%s: %d %s", c.path, a.code, a.text)
		}
	}
}

// FuzzSplit: whatever comes, records are valid JSON, in order, and lie in the body.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "[1,2]", "[1,[2,\"]\"]]", "{}\n{}\n", `]`, `{]`, "\"\\\"", "[", "1 2", "[1 2]"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(checkSplit)
}

// TestWhole: where a plugin decodes the channel, a body is a record.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		whole      bool
		code, n    int
	}{
		{"application/json", `[{"n":"a"},{"n":"b"}]`, true, 200, 1},
		{"application/json", `[{"n":"a"},{"n":"b"}]`, false, 200, 2},
		{"application/senml+cbor", "\x81\xff", true, 200, 1},
		{"application/senml+cbor", "\x81\xff", false, 415, 0},
		{"application/octet-stream", packed(t, "\x81\xff"), true, 200, 1},
		{"application/senml+cbor", "", true, 400, 0},
	} {
		r := start(t, env.Real(), t.TempDir(), "listen = \"127.0.0.1:0\"\n", journal.Options{})
		r.src.opts.whole = c.whole
		headers := []string{"Content-Type", c.kind}
		if strings.HasPrefix(c.body, "\x1f\x8b") {
			headers = append(headers, "Content-Encoding", "gzip")
		}
		a := mustPost(t, r.url(), c.body, headers...)
		r.close2(func() {
			if got := r.records(); a.code != c.code || len(got) != c.n {
				t.Errorf("%s, whole %v: %d, %s, %d records; want %d, %d", c.kind, c.whole, a.code, a.text, len(got), c.code, c.n)
			}
		})
	}
}
