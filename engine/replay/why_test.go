package replay_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/replay"
)

// whys is text with variables that change what passes, what raises and what windows hold, and with late rows revised.
var whys = strings.NewReplacer(
	`variable "limit" { default = 10 }`, `variable "limit" { default = 100 }
variable "holes" { default = false }
variable "high"  { default = 3 }
variable "most"  { default = 100 }`,
	`where = n < var.limit`, `where = n < var.limit && !(var.holes && (n == 2 || n == 4 || n == 9))`,
	`most = max(n) }`, `most = max(n), odd = max(n == var.most ? 1 : 0) }`,
	`  sink "file" "out" {`, `  alarm "high" {
    from = rule.low
    by   = [device]
    when = n > var.high
    for  = "2m"
  }
  sink "file" "alarms" {
    from = alarm.high
    path = "alarms.ndjson"
  }
  sink "file" "out" {`).Replace(text)

// TestWhy: which rows are one row with other values, and what made it so: the first stage whose rows differ, and the
// records of these. What is said stands in testdata, to be read; UPDATE_TESTDATA=1 writes it.
func TestWhy(t *testing.T) {
	h := newPastOf(t, whys, minutes, func(device string, n int) time.Duration {
		if device == "a" && n == 7 {
			return -5 * time.Minute // into the window of 2 and 3, and so that is revised
		}
		return 0
	})
	start := h.began.Truncate(2 * time.Minute)
	for _, c := range []struct {
		name, device string
		vars         map[string]string
	}{
		{"a limit", "a", map[string]string{"limit": "8"}},
		{"rows that are not there", "b", map[string]string{"holes": "true"}},
		{"rows that are not there, and a revision", "a", map[string]string{"holes": "true"}},
		{"another threshold", "b", map[string]string{"high": "5"}},
		{"another value in a window", "a", map[string]string{"most": "7"}},
		{"another value in a window of many", "", map[string]string{"most": "6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			side := func(vars map[string]string) *replay.Replay {
				return h.open(replay.Options{Channel: "c", Device: c.device, Every: true, End: true, Vars: vars})
			}
			d, err := replay.Compare(context.Background(), side(nil), side(c.vars))
			h.must(err)
			var out strings.Builder
			for _, e := range d.Edges {
				fmt.Fprintf(&out, "%s: %d same, %d only A, %d only B, of these %d changed; %s\n", short(e.Edge), e.Same, e.OnlyA, e.OnlyB, e.Changed, e.Why)
			}
			for _, x := range d.Changes {
				fmt.Fprintf(&out, "%s %s: %s\n    by %s (%s):%s\n", short(x.Edge), x.Key, values(&x), short(x.Cause.Edge), x.Cause.Why, causes(x.Cause.Records))
			}
			got := strings.ReplaceAll(out.String(), start.Format("2006-01-02T15:"), "")
			name := filepath.Join("testdata", "why", strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "_")+".txt")
			if os.Getenv("UPDATE_TESTDATA") != "" {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func short(edge string) string { return strings.TrimPrefix(edge, "pipeline.p.") }

// values are the columns that differ, of A and of B; all columns of a row that only one has.
func values(x *replay.Change) string {
	switch {
	case x.B == nil:
		return "only A " + string(x.A.Text)
	case x.A == nil:
		return "only B " + string(x.B.Text)
	}
	text := "changed"
	for _, c := range x.Columns {
		text += fmt.Sprintf(" %s %s to %s", c, part(string(x.A.Text), `"`+c+`":`), part(string(x.B.Text), `"`+c+`":`))
	}
	return text
}

func causes(records []replay.Record) (out string) {
	for _, r := range records {
		out += fmt.Sprintf(" %s %s n %s,", r.In, part(string(r.Payload), `"device":`), part(string(r.Payload), `"n":`))
	}
	return strings.TrimSuffix(out, ",")
}
