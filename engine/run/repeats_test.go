package run_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/stage"
)

// TestRebuildDuplicates: what was a duplicate when it came is one when the journal is read once more for a window that has changed,
// also where the first one came before the stretch that is read; and what was none is none. The script is that of TestDuplicates; "later" is
// an hour on, "settle" waits for a checkpoint, "change" the new window, by an apply or by a restart.
func TestRebuildDuplicates(t *testing.T) {
	const config = doorConfig + `
pipeline "w" {
  from = channel.c
  window "tumbling" "m" {
    by    = [device]
    every = "10m"
    late  = "drop"
    emit  = { %s }
  }
  sink "file" "rows" {
    from = window.m
    path = "/out/w.ndjson"
  }
}`
	for _, c := range []struct{ name, dedupe, script, rows string }{
		{"by packet", "", `1/1 a 1; 1/2 a 2; later; 1/3 a 10; 1/1+ a 1; 1/1 a 7; 1/1+ a 7; 1/9+ a 9; 2/2+ a 2; settle; 1/3+ a 10; 1/2+ a 2; 1/1+ a 7; 1/2+ a 2; change; 1/2+ a 2; 1/3+ a 10; 1/3 a 11; 1/3+ a 11`,
			`5 10,7,9,2,11`},
		{"by packet, many", "", `1/1 a 1; later;` + strings.Repeat(` 1/1+ a 1; 1/2 a 3; 1/2+ a 3;`, 70) + ` settle; change; 1/1+ a 1; 1/2+ a 3`, "70 " + strings.Repeat("3,", 69) + "3"},
		{"by key", `dedupe = { key = [device, n], within = "3h" }`, `0/0 a 1; 0/0 a 2; later; 0/0 a 3; 0/0 a 1; 0/0 a 2; 0/0 a 4; settle; 0/0 a 1; change; 0/0 a 1; 0/0 a 3; 0/0 a 5`,
			`3 3,4,5`},
		{"by key, forgotten since", `dedupe = { key = [device, n], within = "3h", max = 2 }`, `0/0 a 1; 0/0 a 2; later; 0/0 a 2; 0/0 a 3; 0/0 a 1; settle; 0/0 a 2; 0/0 a 1; change; 0/0 a 1; 0/0 a 2; 0/0 a 3`,
			`4 3,1,2,3`},
	} {
		for _, restart := range []bool{false, true} {
			l := newLab(t)
			d := &door{}
			l.more = []stage.Spec{d.spec()}
			l.open(fmt.Sprintf(config, c.dedupe, "n = count()"), false)
			for _, step := range strings.Split(c.script, ";") {
				now, changed := strings.TrimSpace(step), fmt.Sprintf(config, c.dedupe, "n = count(), of = collect(n)")
				switch {
				case now == "settle":
					l.settle()
				case now == "later":
					l.settle()
					l.machine.Advance(time.Hour)
				case now == "change" && restart:
					l.settle()
					l.close()
					l.machine.Crash(1)
					l.open(changed, false)
				case now == "change":
					l.must(l.swap(changed))
				default:
					d.publish(l, now)
				}
			}
			l.settle()
			l.machine.Advance(2 * time.Hour)
			d.publish(l, "0/0 a 1000")
			l.settle()
			l.close()
			var got []string
			for _, line := range l.lines("/out/w.ndjson") {
				if m := regexp.MustCompile(`"n":(\d+),"of":\[([^\]]*)\]`).FindStringSubmatch(line); m != nil {
					got = append(got, m[1]+" "+m[2])
				}
			}
			if !slices.Equal(got, []string{c.rows}) {
				t.Errorf("%s, restart %v: %q, not %q", c.name, restart, got, c.rows)
			}
			if !l.reported("its state is made again from") {
				t.Errorf("%s: nothing was made again", c.name)
			}
		}
	}
}
