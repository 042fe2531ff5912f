package join

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/stage"
)

func number(v int64) string {
	if v%7 == 0 {
		return "null"
	}
	return fmt.Sprint(v)
}

// left is the columns of a row of the first input as JSON.
func left(e row) string {
	key := fmt.Sprintf("%q", e.key)
	if e.key == "" {
		key = "null"
	}
	return fmt.Sprintf(`{"device":%s,"value":%s,"value_text":"v%d","values":[%d,%d]`, key, number(e.value), e.value, e.value, e.value+1)
}

func right(e row) string {
	return fmt.Sprintf(`,"limit":%s,"words":"v%d","lims":[%d,%d]}`, number(e.value), e.value, e.value, e.value+1)
}

const none = `,"limit":null,"words":null,"lims":null}`

const take = "by = [device]\nwith = [dev]\ntake = { limit = lim, words = lim_text, lims = lims }\n"

// TestManyPairs: a batch that makes more pairs than are gathered at once gives what small ones give.
func TestManyPairs(t *testing.T) {
	for _, rows := range []string{"inner", "left"} {
		b := newBench(t, Interval(), take+"before = \"1h\"\nafter = \"1h\"\nrows = \""+rows+"\"\n", 1, nil)
		var events []row
		for i := range int64(240) {
			events = append(events, row{in: int(i / 120), key: "a", time: 1000 + i%7, value: i, received: 1000, offset: i})
		}
		slices.SortStableFunc(events, func(a, b row) int { return (a.in-b.in)*100 + int(a.time-b.time) })
		b.fill(events)
		for in := range 2 {
			batch := b.batch(events[in*120 : (in+1)*120])
			b.must(b.stage.Process(in, batch, b))
			batch.Release()
		}
		x := &intervalTrial{before: 3600, after: 3600}
		want, _ := x.brute(events)
		for i, line := range b.lines {
			b.lines[i] = strings.SplitN(line, " ", 3)[2]
		}
		slices.Sort(b.lines)
		if len(want) < gathered || !slices.Equal(b.lines, want) {
			t.Errorf("%d rows, want %d", len(b.lines), len(want))
		}
		b.must(b.stage.Close())
		b.mem.AssertSize(t, 0)
	}
}

// TestLimitIgnoresTheGone: rows that a batch has let go of make room in the same batch.
func TestLimitIgnoresTheGone(t *testing.T) {
	b := newBench(t, Interval(), take+"max_total = 2\n", 1, func(at *stage.At) { at.Together = true })
	b.shared = true
	var events []row
	for i := range int64(10) {
		events = append(events, row{key: "a", time: 1000 + 10*i, value: i, received: 1000, offset: i})
	}
	b.fill(events)
	batch := b.batch(events)
	b.must(b.stage.Process(0, batch, b))
	batch.Release()
	b.run([]row{{end: true}})
	if len(b.rejects) > 0 {
		t.Errorf("%d rows were refused: %q", len(b.rejects), b.rejects[0])
	}
}

// TestWaiting: rows whose other input is silent go after a while of the journal's time.
func TestWaiting(t *testing.T) {
	b := newBench(t, Interval(), take+"after = \"5s\"\nrows = \"left\"\nwait = \"80s\"\n", 1, nil)
	b.run([]row{{key: "a", time: 1000, value: 1, received: 1000}, {tick: true, received: 1070}, {key: "a", time: 1001, value: 2, received: 1070, offset: 1}, {tick: true, received: 1100},
		{in: 1, key: "a", time: 1001, value: 3, received: 1101, offset: 2}})
	want := []string{"0 4095 " + left(row{key: "a", value: 1}) + none, "2 0 " + left(row{key: "a", value: 2}) + right(row{value: 3})}
	if !slices.Equal(b.lines, want) || b.counts["waited"] != 1 {
		t.Errorf("%q, %v", b.lines, b.counts)
	}
}

// TestLimits: what is more than a key or the whole may have is rejected, and the rest goes on.
func TestLimits(t *testing.T) {
	var events []row
	for i := range int64(30) {
		events = append(events, row{key: fmt.Sprint("k", i%3), time: 1000, value: i, offset: i}, row{in: 1, key: fmt.Sprint("k", i%3), time: 1000, value: i, offset: 100 + i})
	}
	for _, c := range []struct {
		spec stage.Spec
		body string
		want string
	}{
		{Interval(), "max_rows = 4", "36 of max_rows = 4"},
		{Interval(), "max_total = 10", "50 of max_total = 10"},
		{Interval(), "max_total = 2", "58 of max_total = 2"},
		{Latest(), "max_keys = 2", "10 of max_keys = 2"},
	} {
		b := newBench(t, c.spec, take+c.body, 3, nil)
		b.run(slices.Clone(events))
		n, limit, _ := strings.Cut(c.want, " of ")
		if fmt.Sprint(len(b.rejects)) != n || !strings.Contains(b.rejects[0], limit) {
			t.Errorf("%s: %d rejects, want %s: %q", c.body, len(b.rejects), c.want, b.rejects[:min(2, len(b.rejects))])
		}
	}
}

// TestMistakes: what is wrong is told with its place.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		spec stage.Spec
		body string
		want string
	}{
		{Latest(), "by = [device]\nwith = [dev]\ntake = {}", "Nothing to take"},
		{Latest(), "by = [device]\ntake = { a = lim }", "Unknown name"},
		{Latest(), "by = [value]\nwith = [dev]\ntake = { a = lim }", "Keys of different types"},
		{Latest(), "by = [device, value]\nwith = [dev]\ntake = { a = lim }", "Keys of different lengths"},
		{Latest(), "by = [device]\nwith = [dev]\ntake = { value = lim }", "Name is taken"},
		{Latest(), take + "missing = \"nul\"", "Unknown way with missing rows"},
		{Latest(), take + "default = { limt = 1 }", "Unknown name"},
		{Latest(), take + "missing = \"drop\"\ndefault = { limit = 1 }", "missing and default do not fit"},
		{Latest(), take + "max_keys = 0", "Out of range"},
		{Interval(), take + "rows = \"outer\"", "Unknown word"},
		{Interval(), take + "before = \"200000h\"", "Out of range"},
		{Interval(), take + "max_rows = 5000", "Out of range"},
		{Interval(), take + "keep = [valeu]", "Unknown name"},
	} {
		_, diags := bindText(c.spec, c.body, nil)
		i := slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Summary == c.want })
		if i < 0 || diags[i].Subject == nil {
			t.Errorf("%s\ngives %v, not %s", c.body, diags, c.want)
		}
	}
}
