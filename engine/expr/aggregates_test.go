package expr

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestSplitAggregates(t *testing.T) {
	isAgg := func(n string) bool { return slices.Contains(aggregateNames(), n) }
	for _, tt := range []struct{ src, rest, calls, problem string }{
		{"avg(temp)", "_agg0", "avg(temp)", ""},
		{"avg( temp ) + avg(temp)*max(hum)", "_agg0 + _agg0 * _agg1", "avg(temp); max(hum)", ""},
		{"count()", "_agg0", "count()", ""},
		{"device", "device", "", ""},
		{"pos.lat", "pos.lat", "", ""},
		{"round(sum(x) / count(), 2)", "round(_agg0 / _agg1, 2)", "sum(x); count()", ""},
		{`"${device}: ${max(temp)}"`, `"${device}: ${_agg0}"`, "max(temp)", ""},
		{`avg(temp) > var.limit ? "hot" : "ok"`, `_agg0 > var.limit ? "hot" : "ok"`, "avg(temp)", ""},
		{`(!(last(on)) && first(list)[0] == 1)`, `(!(_agg0) && _agg1[0] == 1)`, "last(on); first(list)", ""},
		{`contains([min(a), 2], -max(b))`, `contains([_agg0, 2], -_agg1)`, "min(a); max(b)", ""},
		{`percentile(temp - setpoint, 95)`, "_agg0", "percentile(temp - setpoint, 95)", ""},
		{"temp", "", "", `1:1 Column outside an aggregate`},
		{"avg(temp) - setpoint", "", "", `1:13 Column outside an aggregate`},
		{"avg(max(temp))", "", "", `1:5 Aggregate of an aggregate`},
		{"abs(temp) + hum", "", "", `1:5 Column outside an aggregate; 1:13 Column outside an aggregate`},
		{"average(temp) + 1", "", "", `1:1 Unknown function: Did you mean avg?`},
		{"max(temp) - medain(hum)", "", "", `1:13 Unknown function: There are argmax, argmin, avg, collect, count, delta, distinct, first, histogram, increase, last, max, min, percentile, rate, stddev, sum, time_avg, topk over the rows of a window.`},
		{"topkk(temp, 3)", "", "", `1:1 Unknown function: Did you mean topk?`},
		{"rond(temp)", "", "", `1:1 Unknown function: Did you mean round?`},
		{"median(avg(temp))", "", "", `1:8 Aggregate of an aggregate; 1:1 Unknown function: Did you mean percentile(x, 50)?`},
		{"sum(xs...)", "", "", `1:1 ... is not available`},
	} {
		x, diags := parse(tt.src)
		if diags.HasErrors() {
			t.Fatal(tt.src, diags)
		}
		before := exprText(x, 100)
		rest, calls, diags := SplitAggregates(x, isAgg, []string{"device", "pos.lat"})
		var problems, texts []string
		for _, d := range diags {
			text := fmtPos(*d.Subject) + " " + d.Summary
			if d.Summary == "Unknown function" {
				_, hint, _ := strings.Cut(d.Detail, ". ")
				hint, _, _ = strings.Cut(hint, " abs")
				text += ": " + hint
			}
			problems = append(problems, text)
		}
		if got := strings.Join(problems, "; "); got != tt.problem {
			t.Errorf("%s: problems %q, want %q", tt.src, got, tt.problem)
		}
		if after := exprText(x, 100); after != before {
			t.Errorf("%s: the expression given was changed to %s", tt.src, after)
		}
		if tt.problem != "" {
			continue
		}
		for _, c := range calls {
			texts = append(texts, c.Text)
		}
		if got := exprText(rest.(hclsyntax.Expression), 100); got != tt.rest {
			t.Errorf("%s: rest %s, want %s", tt.src, got, tt.rest)
		}
		if got := strings.Join(texts, "; "); got != tt.calls {
			t.Errorf("%s: calls %q, want %q", tt.src, got, tt.calls)
		}
	}
}
