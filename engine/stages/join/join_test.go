package join

import (
	"fmt"
	"math/rand/v2"
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

// brute computes the pairs as a person would: every row with every other.
func brute(events []row, before, after, grace int64, outer, shared bool) (want []string, late int) {
	marks := map[string]*[2]int64{}
	onTime := make([]bool, len(events))
	for i, e := range events {
		if e.tick || e.end || e.key == "" {
			continue
		}
		if marks[e.key] == nil {
			marks[e.key] = &[2]int64{}
		}
		m := marks[e.key]
		m[e.in] = max(m[e.in], e.time)
		if shared {
			m[1-e.in] = m[e.in]
		}
		if onTime[i] = e.time >= m[e.in]-grace; !onTime[i] {
			late++
		}
	}
	for i, l := range events {
		if l.tick || l.end || l.in != 0 || !onTime[i] && l.key != "" {
			continue
		}
		found := false
		for k, r := range events {
			if onTime[k] && r.in == 1 && r.key == l.key && r.time >= l.time-before && r.time <= l.time+after {
				want = append(want, left(l)+right(r))
				found = true
			}
		}
		if !found && outer {
			want = append(want, left(l)+none)
		}
	}
	slices.Sort(want)
	return want, late
}

// TestIntervalIsBruteForce compares the pairs with those that trying all of them gives.
func TestIntervalIsBruteForce(t *testing.T) {
	pairs := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 5))
		events := append(stream(r, 20+r.IntN(80)), row{end: true})
		before, after, grace := int64(r.IntN(30)), int64(r.IntN(30)), int64(r.IntN(3)*r.IntN(20))
		outer, shared := r.IntN(2) == 0, r.IntN(2) == 0
		body := take + fmt.Sprintf("before = \"%ds\"\nafter = \"%ds\"\ngrace = \"%ds\"\nlate = \"drop\"\nwait = \"24h\"\n", before, after, grace)
		if outer {
			body += "rows = \"left\"\n"
		}
		nested := r.IntN(2) == 0
		b := newBench(t, Interval(), body, seed, func(at *stage.At) {
			at.Together = shared
			if nested {
				at.Keys = []string{"other", "other"}
			}
		})
		b.shared = shared
		b.run(events)
		want, late := brute(events, before, after, grace, outer, shared)
		var got []string
		ids := map[string]bool{}
		for _, line := range b.lines {
			id, rest, _ := strings.Cut(line, " ")
			index, rest, _ := strings.Cut(rest, " ")
			if ids[id+" "+index] {
				t.Errorf("seed %d: two rows are at %s %s", seed, id, index)
			}
			ids[id+" "+index] = true
			got = append(got, rest)
		}
		slices.Sort(got)
		pairs += len(want)
		if !slices.Equal(got, want) || b.counts["late"] != int64(late) {
			t.Fatalf("seed %d: %d rows and %d late, not %d and %d\n%s\n\nwant\n%s", seed, len(got), b.counts["late"], len(want), late, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if pairs < 10_000 {
		t.Errorf("only %d pairs were compared", pairs)
	}
}

// TestLatestIsBruteForce compares what rows find with a map that follows the second input.
func TestLatestIsBruteForce(t *testing.T) {
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 6))
		events := stream(r, 20+r.IntN(100))
		missing := []string{"null", "default", "drop", "reject"}[r.IntN(4)]
		body := take + fmt.Sprintf("missing = %q\ndelete = lim > 900\n", missing)
		if missing == "default" {
			body += "default = { limit = 5 + value, words = \"none\" }\n"
		}
		age := int64(0)
		if r.IntN(3) == 0 {
			age = int64(1 + r.IntN(60))
			body += fmt.Sprintf("max_age = \"%ds\"\n", age)
		}
		shared, nested := r.IntN(2) == 0, r.IntN(2) == 0
		b := newBench(t, Latest(), body, seed, func(at *stage.At) {
			at.Together = shared
			if nested {
				at.Keys = []string{"other", "other"}
			}
		})
		b.shared = shared
		b.run(events)
		var want []string
		rejected := 0
		view := map[string]row{}
		for _, e := range events {
			v, known := view[e.key]
			switch {
			case e.tick:
			case e.in == 1 && e.key == "":
				if gone := e.value%7 != 0 && e.value > 900; !gone {
					rejected++
				}
			case e.in == 1 && known && v.time > e.time:
			case e.in == 1 && e.value%7 != 0 && e.value > 900:
				delete(view, e.key)
			case e.in == 1:
				view[e.key] = e
			case known && e.key != "" && (age == 0 || e.time-v.time <= age):
				want = append(want, fmt.Sprint(e.offset, " 0 ", left(e)+right(v)))
			case missing == "null":
				want = append(want, fmt.Sprint(e.offset, " 0 ", left(e)+none))
			case missing == "default":
				limit := "null"
				if e.value%7 != 0 {
					limit = fmt.Sprint(e.value + 5)
				}
				want = append(want, fmt.Sprint(e.offset, " 0 ", left(e), `,"limit":`, limit, `,"words":"none","lims":null}`))
			case missing == "reject":
				rejected++
			}
		}
		if got := strings.Join(b.lines, "\n"); got != strings.Join(want, "\n") || len(b.rejects) != rejected {
			t.Fatalf("seed %d: %s\n%s\n\nwant\n%s\n%d rejects, want %d: %q", seed, body, got, strings.Join(want, "\n"), len(b.rejects), rejected, b.rejects)
		}
	}
}

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
		want, _ := brute(events, 3600, 3600, 0, false, false)
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
