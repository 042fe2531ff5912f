package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/query"
)

// TestQuery: what becomes of an answer, by how it ends. The real one is asked in conformance/query.
func TestQuery(t *testing.T) {
	wrong := &query.Problem{Message: "wrong", Line: 1, Column: 2}
	for _, c := range []struct {
		name, format, part string
		err                error
		code               int
		says               string
		broken             bool
	}{
		{"answer", "csv", "a\n1\n", nil, 200, "a\n1\n", false},
		{"nothing", "json", "", nil, 200, "", false},
		{"the author's mistake", "csv", "", wrong, 400, `{"error":"wrong","line":1,"column":2}`, false},
		{"ours", "csv", "", &query.Problem{Message: "x", Ours: true}, 500, `"ours":true`, false},
		{"something", "csv", "", errors.New("something"), 500, "something", false},
		{"a part", "csv", strings.Repeat("x", 10_000), wrong, 200, "", true},
		{"a part of a document", "document", `{"problem":{}}`, wrong, 200, `{"problem":{}}`, false},
	} {
		s := &Server{Env: env.Real(), Query: func(_ context.Context, q *query.Request, out io.Writer) (query.Summary, error) {
			if q.SQL != "SELECT 1" || q.Format != c.format || q.Rows != queryRows || q.Memory != queryMemory || !q.Polite || q.Timeout != queryTime {
				t.Errorf("%s: asked was %+v", c.name, q)
			}
			if c.part != "" {
				if _, err := io.WriteString(out, c.part); err != nil {
					t.Error(err)
				}
			}
			return query.Summary{Rows: 1}, c.err
		}}
		web := httptest.NewServer(http.HandlerFunc(s.query))
		res, err := http.Post(web.URL, "application/json", strings.NewReader(`{"sql": "SELECT 1", "format": "`+c.format+`"}`))
		if err != nil {
			t.Fatal(c.name, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if (err != nil) != c.broken || res.StatusCode != c.code || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %d, %.100q, %v; want %d, %s, broken %t", c.name, res.StatusCode, body, err, c.code, c.says, c.broken)
		}
		if c.err == nil && !strings.Contains(res.Trailer.Get(summaryTrailer), `"rows":1`) {
			t.Errorf("%s: trailer %v", c.name, res.Trailer)
		}
		if n := s.queries.Load(); n != 0 {
			t.Errorf("%s: %d are still being answered", c.name, n)
		}
		web.Close()
	}
	without := httptest.NewServer(http.HandlerFunc((&Server{Env: env.Real()}).query))
	defer without.Close()
	res, err := http.Post(without.URL, "application/json", strings.NewReader(`{"sql": "SELECT 1"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotImplemented {
		t.Errorf("without DuckDB: %d", res.StatusCode)
	}
}
