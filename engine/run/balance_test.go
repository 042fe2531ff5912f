package run_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// records makes n records of a few devices, a second apart.
func records(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `{"device":"d%d","ts":"2025-06-01T00:%02d:%02dZ","temp":%d.5,"n":%d}`+"\n", i%7, i/60%60, i%60, i%40, i)
	}
	return b.String()
}

const quick = `engine { checkpoint = "20ms" }` + "\n"

// balances are runs of which it is known how many rows come out, how many
// records are refused as a whole, and how many values are.
var balances = []struct {
	name    string
	config  string
	input   string
	rows    int // lines of /out/rows.ndjson
	rejects int // lines of /data/rejects/p.ndjson
	want    []string
}{
	{"a string key", `channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number, n = integer }
}`, records(0, 500) + "rubbish\n" + `{"device":"d1","ts":"2025-06-01T00:00:00Z","temp":"x","n":500}` + "\n", 501, 2, nil},
	{"a number key", `channel "c" {
  key    = device
  schema = { device = number, n = integer }
}`, `{"device":1,"n":1}
{"device":1.0,"n":2}
{"device":10e-1,"n":3}
{"device":2,"n":4}
{"device":null,"n":5}
{"n":6}
{"device":-0,"n":7}
{"device":0,"n":8}
{"device":1e400,"n":9}
{"device":"x","n":10}
`, 10, 2, []string{`{"device":1,"n":1}`, `{"device":null,"n":9}`}},
	{"an integer key", `channel "c" {
  key    = device
  schema = { device = integer, n = integer }
}`, `{"device":1,"n":1}
{"device":9007199254740993,"n":2}
{"device":9007199254740992,"n":3}
{"device":1.5,"n":4}
`, 4, 1, []string{`{"device":9007199254740993,"n":2}`}},
	{"a bool key", `channel "c" {
  key    = door
  schema = { door = bool, n = integer }
}`, `{"door":true,"n":1}
{"door":false,"n":2}
{"door":null,"n":3}
`, 3, 0, []string{`{"door":null,"n":3}`}},
	{"a learned key", `channel "c" { key = device }`,
		`{"device":"a","n":1}
{"device":null,"n":2}
{"n":3}
{"device":7,"n":4}
{"n":5,"more":true}
{"device":"a","over":5,"window_start":1}
`, 6, 1, []string{`{"device":"a","n":1,`, `"over":5,"window_start":1}`}},
	{"exploded", `channel "c" {
  key     = device
  explode = list
  schema  = { device = string, list = list({ v = number }) }
}`, `{"device":"a","list":[{"v":1},{"v":2},{"v":"x"}]}
{"device":"b","list":[]}
{"device":"c"}
{"device":"d","list":7}
{"device":"e","list":[{"v":4}]}
`, 4, 2, []string{`{"device":"a","list":{"v":2}}`}},
	{"too many keys", `channel "c" {
  key        = device
  partitions = 1
  max_keys   = 2
  schema     = { device = string, n = integer }
}`, `{"device":"a","n":1}
{"device":"b","n":2}
{"device":"c","n":3}
{"device":"a","n":4}
`, 3, 1, []string{`{"device":"a","n":4}`}},
	{"a key that is too long", `channel "c" {
  key    = device
  schema = { device = string, n = integer }
}`, `{"device":"a","n":1}
{"device":"` + strings.Repeat("x", 65537) + `","n":2}
{"device":"` + strings.Repeat("x", 65536) + `","n":3}
{"device":"a","n":4}
`, 3, 1, []string{`{"device":"a","n":4}`}},
	{"a column called revision", `channel "c" {
  key    = device
  schema = { device = string, revision = integer, n = integer }
}`, `{"device":"a","revision":3,"n":1}
{"device":"a","revision":0,"n":2}
`, 2, 0, nil},
	{"a number called revision", `channel "c" {
  key    = device
  schema = { device = string, revision = number, n = integer }
}`, `{"device":"a","revision":3.1,"n":1}
{"device":"a","revision":0,"n":2}
`, 2, 0, nil},
	{"no event time", `channel "c" {
  time   = ts
  schema = { ts = timestamp, n = integer }
}`, `{"ts":"2025-06-01T00:00:00Z","n":1}
{"n":2}
{"ts":"yesterday","n":3}
`, 1, 3, []string{`{"ts":"2025-06-01T00:00:00Z","n":1}`}},
}

// key finds the name of a channel's key.
var key = regexp.MustCompile(`\b(device|door)\b`)

// TestBalance: nothing is lost on the way, nothing is doubled, and every batch
// is given back.
func TestBalance(t *testing.T) {
	for _, b := range balances {
		t.Run(b.name, func(t *testing.T) {
			l := newLab(t)
			l.write("/in/a.ndjson", b.input)
			l.write("/out/x", "")
			s := l.complete(quick + b.config + `
ingest "file" "a" {
  to   = channel.c
  path = "/in/a.ndjson"
}
pipeline "p" {
  from = channel.c
  rule "all" { set = { over = 3 } }
  window "tumbling" "w" {
    from  = rule.all
    by    = [` + key.FindString(b.config) + `]
    every = "1h"
    emit  = { n = count() }
  }
  sink "file" "windows" {
    from = window.w
    path = "/out/windows.ndjson"
  }
  sink "file" "rows" {
    from = channel.c
    path = "/out/rows.ndjson"
  }
  sink "far" "server" { from = rule.all }
}`)
			rows, rejects := l.lines("/out/rows.ndjson"), l.lines("/data/rejects/p.ndjson")
			if len(rows) != b.rows || len(rejects) != b.rejects {
				t.Errorf("%d rows and %d rejects came, not %d and %d:\n%s\n%s", len(rows), len(rejects), b.rows, b.rejects, head(rows), head(rejects))
			}
			for _, want := range b.want {
				if !strings.Contains(strings.Join(rows, "\n")+"\n", want) {
					t.Errorf("no row has %s:\n%s", want, head(rows))
				}
			}
			total := s.Totals()
			if n := strings.Count(b.input, "\n"); int(total.Records) != n || int(total.Rows) != b.rows || int(total.Rejects) != b.rejects || total.Lag != 0 {
				t.Errorf("%d records, %d rows, %d rejects, lag %d are counted of %d records", total.Records, total.Rows, total.Rejects, total.Lag, n)
			}
			if n := counted(t, l.lines("/out/windows.ndjson")); n != b.rows {
				t.Errorf("%d rows were counted in windows", n)
			}
			if n := l.sum(); n != b.rows {
				t.Errorf("the server has %d rows", n)
			}
		})
	}
}

// counted sums the member n of rows.
func counted(t *testing.T, rows []string) (sum int) {
	for _, row := range rows {
		var r struct{ N int }
		if err := json.Unmarshal([]byte(row), &r); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		sum += r.N
	}
	return sum
}

func head(lines []string) string {
	return strings.Join(lines[:min(12, len(lines))], "\n")
}

// sum is how many rows the server has, doubles included.
func (l *lab) sum() int {
	l.far.mu.Lock()
	defer l.far.mu.Unlock()
	n := 0
	for _, k := range l.far.rows {
		n += k
	}
	return n
}
