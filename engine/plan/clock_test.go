package plan_test

import (
	"strings"
	"testing"
)

// What is done about clocks is told, and another plan has another digest for it.
func TestClockPlan(t *testing.T) {
	texts := map[string]string{}
	for text, want := range map[string]string{
		``:                                 "",
		`clock { correct_skew = true }`:    "corrected by the median of each key where that is over 10s, ",
		`clock { far_future = "receive" }`: "a row over 10m ahead gets the time of receipt",
		`clock { behind = "30d" }`:         "a row over 30d behind is rejected",
		`clock { behind = "7d", far_past = "keep" }`:             "a row over 7d behind keeps its time",
		`clock { far_future = "reject", behind = "30d" }`:        "a row over 10m ahead is rejected; a row over 30d behind is rejected",
		`clock { correct_skew = true, tolerance = "1m" }`:        "where that is over 1m, ",
		`clock { behind = "31d", far_past = "receive" }`:         "a row over 31d behind gets the time of receipt",
		`clock { correct_skew = true, far_future = "receive" } `: "; a row over 10m ahead gets the time of receipt",
	} {
		p := build(t, []byte("channel \"c\" {\nkey = device\ntime = ts\nschema = { device = string, ts = timestamp }\n"+
			strings.NewReplacer("{ ", "{\n", ", ", "\n", " }", "\n}\n").Replace(text)+"}\npipeline \"p\" {\nfrom = channel.c\nrule \"r\" {}\n}\n"))
		x := p.Explain()
		var page strings.Builder
		if err := x.Text(&page); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(strings.Fields(page.String()), " ")
		if strings.Contains(said, "clock ") != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%s:\n%s", text, said)
		}
		if other, twice := texts[p.Digest]; twice {
			t.Errorf("%s and %s have one digest", text, other)
		}
		texts[p.Digest] = text
		c := &x.Channels[0]
		if state := x.Memory.State > c.Keys.Bytes+c.Figures.Bytes; state != strings.Contains(text, "correct_skew") {
			t.Errorf("%s: memory of estimates counted: %v", text, state)
		}
		if c.Figures.Bytes == 0 || x.Memory.State < c.Keys.Bytes+c.Figures.Bytes || !strings.Contains(said, "figures ") {
			t.Errorf("%s: memory of figures is not counted:\n%s", text, said)
		}
	}
}
