package replay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/replay"
)

// tabled is text with a table beside the rows of its rule.
func tabled(enrich string) string {
	return strings.NewReplacer("default = 10", "default = 100",
		`  window "tumbling"`, enrich+`  window "tumbling"`, "from  = rule.low", "from  = enrich.sites",
		`  sink "file" "out"`, `  sink "file" "rows" {
    from = enrich.sites
    path = "rows.ndjson"
  }
  sink "file" "out"`).Replace(text)
}

const table = `
  enrich %q "sites" {
    from    = rule.low
    by      = [device]
    with    = [id]
    columns = { id = string, site = string }
    refresh = "1s"
    %s
  }
`

const sites = "pipeline.p.enrich.sites"

// sitesOfA are the n of device a in rows, each with its site, in order of time.
func sitesOfA(rows []string) (out []string) {
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(part(a, `"ts":`), part(b, `"ts":`)) })
	for _, row := range rows {
		if s := part(row, `"n":`) + " " + part(row, `"site":`); strings.Contains(row, `"device":"a"`) {
			out = append(out, s)
		}
	}
	return out
}

// kept is how many versions of the table both partitions have.
func (h *past) kept() int {
	least := minutes
	for p := range 2 {
		list, err := h.machine.Env().FS.ReadDir(fmt.Sprintf("/p/.tidemill/enrich/%s.%d", sites, p))
		h.must(err)
		least = min(least, len(list)-1)
	}
	return least
}

func part(row, name string) string {
	_, rest, _ := strings.Cut(row, name)
	value, _, _ := strings.Cut(rest, ",")
	return strings.Trim(value, `"}`)
}

// A table that was another one every few minutes is in a replay what it was for each row, and nothing outside is asked:
// the file is gone, and the server too.
func TestTables(t *testing.T) {
	var now atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "id,site\na,site%d\n", now.Load())
	}))
	defer s.Close()
	for _, c := range []struct{ kind, args string }{
		{"file", `path = "sites.csv"`},
		{"http", fmt.Sprintf("url = %q\n    format = \"csv\"", s.URL+"/sites")},
	} {
		t.Run(c.kind, func(t *testing.T) {
			now.Store(0)
			h := newPastWith(t, tabled(fmt.Sprintf(table, c.kind, c.args)), minutes, right, func(h *past, n int) {
				if n%3 != 0 {
					return
				}
				now.Store(int64(n))
				h.write("/p/sites.csv", fmt.Sprintf("id,site\na,site%d\n", n))
				for limit := time.Now().Add(time.Minute); n > 0 && h.kept() < n/3+1; h.turn() {
					if time.Now().After(limit) {
						t.Fatal("another table is not taken")
					}
				}
			})
			want := sitesOfA(h.written("/p/rows.ndjson"))
			if len(want) != minutes || !strings.HasSuffix(want[minutes-1], "site9") || !strings.HasSuffix(want[1], "site0") {
				t.Fatalf("the engine wrote %q", want)
			}
			h.must(h.machine.Env().FS.Remove("/p/sites.csv"))
			if c.kind == "http" {
				s.Close() // whoever asks it now has something to report
			}
			for from := range minutes {
				var said []string
				o := replay.Options{Channel: "c", Edges: []string{"enrich.sites"}, From: h.at[from], Report: func(line string) { said = append(said, line) }}
				if got := sitesOfA(h.rows(o, sites)); !slices.Equal(got, want[from:]) || len(said) > 0 {
					t.Errorf("from %d: %q, not %q; %q", from, got, want[from:], said)
				}
			}
		})
	}
}

// A table that a what-if adds is taken as it is now, and that is said.
func TestTableOfNow(t *testing.T) {
	h := newPast(t)
	h.write("/p/sites.csv", "id,site\na,here\n")
	h.must(env.WriteWhole(h.machine.Env().FS, "/p/p.hcl", []byte(tabled(fmt.Sprintf(table, "file", `path = "sites.csv"`)))))
	var said []string
	o := replay.Options{Channel: "c", Device: "a", Edges: []string{"enrich.sites"}, Report: func(line string) { said = append(said, line) }}
	got := sitesOfA(h.rows(o, sites))
	if len(got) != minutes || !strings.HasSuffix(got[0], "here") {
		t.Errorf("%q", got)
	}
	if len(said) != 1 || !strings.Contains(said[0], sites+": no version of its table is kept") {
		t.Errorf("said %q", said)
	}
}
