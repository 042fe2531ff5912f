package pipetest

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages"
)

// Outcome is how a test went.
type Outcome struct {
	Test     *Test
	Failures []Failure
	// Updates are tables as they would have to be for the test to pass, by the range of the argument.
	Updates []Update
	// Rows are how many rows passed each stage and channel, by address.
	Rows map[string]int64
	// Branches are how often conditions were true and not, by "address argument".
	Branches map[string]Branch
	Records  int64

	files map[string]*hcl.File
}

// Files are the pipelines' files, for printing diagnostics.
func (o *Outcome) Files() map[string]*hcl.File { return o.files }

// Failure is an expectation that was not met.
type Failure struct {
	At   hcl.Range
	What string // one line
	More string // lines that show it
}

// Update is a table that should stand at a place.
type Update struct {
	At    hcl.Range
	Lines []string
}

// judge holds what came against what was expected.
func (w *world) judge() (*Outcome, hcl.Diagnostics) {
	out := &Outcome{Test: w.test, Rows: map[string]int64{}, Branches: map[string]Branch{}}
	var diags hcl.Diagnostics
	for _, x := range w.test.expects {
		switch {
		case x.Metric != "":
			more := w.judgeMetric(out, x)
			diags = append(diags, more...)
		default:
			more := w.judgeRows(out, x)
			diags = append(diags, more...)
		}
	}
	for name, n := range w.counters {
		if address, is := strings.CutSuffix(name, " rows"); is {
			out.Rows[address] = n
		}
		if strings.HasSuffix(name, " records") {
			out.Records += n
		}
	}
	w.measureBranches(out)
	return out, diags
}

func (o *Outcome) fail(x *expectBlock, more, format string, args ...any) {
	o.Failures = append(o.Failures, Failure{At: x.Range, What: fmt.Sprintf(format, args...), More: more})
}

// judgeMetric looks at a counter, of a stage or of all.
func (w *world) judgeMetric(out *Outcome, x *expectBlock) hcl.Diagnostics {
	var n int64
	var known []string
	meant := func(address string) bool {
		return !strings.Contains(address, ownType) && (x.from == "" || address == x.from || strings.HasSuffix(address, "."+x.from))
	}
	for name, v := range w.counters {
		address, metric, _ := strings.Cut(name, " ")
		if !meant(address) {
			continue
		}
		known = append(known, metric)
		if metric == x.Metric {
			n += v
		}
	}
	for address, names := range w.counts {
		if meant(address) {
			known = append(known, names...)
		}
	}
	if x.from != "" && len(known) == 0 {
		return config.Errorf(x.From.Range(), "Nothing to look at", "There is no %s.", x.from)
	}
	sort.Strings(known)
	known = slices.Compact(known)
	what, whose := x.Metric, "No stage or channel here counts"
	if x.from != "" {
		what, whose = what+" of "+x.from, x.from+" does not count"
	}
	if !slices.Contains(known, x.Metric) { // what is never counted is 0, whatever comes
		hint := ""
		if near := config.Nearest(x.Metric, known); near != "" {
			hint = fmt.Sprintf(" Did you mean %q?", near)
		}
		return config.Errorf(x.MetricRange, "Unknown metric", "%s %q.%s There is %s.", whose, x.Metric, hint, config.List(known))
	}
	w.bounds(out, x, n, x.Value, what+" is")
	return nil
}

// countsOf are the names under which each stage may count, by address.
func countsOf(c *config.Config) map[string][]string {
	out := map[string][]string{}
	specs := stages.Builtin()
	for _, p := range c.Pipelines {
		for _, b := range p.Stages {
			i := slices.IndexFunc(specs, func(s stage.Spec) bool { return s.Kind == b.Kind && s.Type == b.Type })
			if i >= 0 && b.Enabled && b.Kind != "sink" {
				out["pipeline."+p.Name+"."+b.Address()] = append([]string{"rows"}, specs[i].Counts...)
			}
		}
	}
	return out
}

// bounds checks a number.
func (w *world) bounds(out *Outcome, x *expectBlock, n int64, exactly *int64, what string) {
	switch {
	case exactly != nil && n != *exactly:
		out.fail(x, "", "%s %d, not %d", what, n, *exactly)
	case x.AtLeast != nil && n < *x.AtLeast:
		out.fail(x, "", "%s %d, at least %d were expected", what, n, *x.AtLeast)
	case x.AtMost != nil && n > *x.AtMost:
		out.fail(x, "", "%s %d, at most %d were expected", what, n, *x.AtMost)
	}
}

// judgeRows looks at the rows of an edge.
func (w *world) judgeRows(out *Outcome, x *expectBlock) hcl.Diagnostics {
	e := w.edges[x.from]
	c := w.captures[e.sink]
	if c == nil {
		return config.Errorf(x.From.Range(), "Nothing to look at", "No rows of %s can be seen: it is switched off, or feeds a channel; look at that channel.", x.from)
	}
	w.bounds(out, x, c.total(e.in), x.Rows, "rows of "+x.from+":")
	if x.table == nil {
		return nil
	}
	got, diags := w.rowsOf(c, e.in, x)
	if diags.HasErrors() {
		return diags
	}
	d := compare(x.table, got, x, w.test.Start)
	if d.empty() {
		return nil
	}
	what := fmt.Sprintf("%s: %s missing, %s unexpected, of %d that came", x.from, rowCount(len(d.missing)), rowCount(len(d.extra)), d.came)
	if d.order != "" {
		what = fmt.Sprintf("%s: %s", x.from, d.order)
	}
	out.fail(x, d.String(), "%s", what)
	if !x.Contains {
		out.Updates = append(out.Updates, Update{At: x.Table.Range(), Lines: tableLines(x.table.columns, got)})
	}
	return nil
}

func rowCount(n int) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// rowsOf gives the columns of a table of all rows that came, sorted by these columns unless
// their order matters.
func (w *world) rowsOf(c *capture, in int, x *expectBlock) (rows [][]string, diags hcl.Diagnostics) {
	for _, b := range c.batches {
		if in >= 0 && b.in != in || b.rows == nil {
			continue
		}
		cols := make([]arrow.Array, len(x.table.columns))
		for k, name := range x.table.columns {
			at := b.rows.Schema().FieldIndices(name)
			if len(at) == 0 {
				known := fieldNames(b.rows.Schema())
				return nil, config.Errorf(x.table.line(x.table.at.Start.Line+1), "Unknown column", "%s has no column %s.%s It has: %s.", x.from, name,
					config.DidYouMean(name, known), config.List(known))
			}
			cols[k] = b.rows.Column(at[0])
		}
		for i := range int(b.rows.NumRows()) {
			row := make([]string, len(cols))
			for k, col := range cols {
				row[k] = cellOf(col, i, w.test.Start)
			}
			rows = append(rows, row)
		}
	}
	if !x.Ordered {
		slices.SortStableFunc(rows, compareRows)
	}
	return rows, nil
}

// compareRows orders rows as a reader would: times and numbers by what they are, so that the tenth revision stands behind the second.
func compareRows(a, b []string) int {
	for k := range a {
		x, y := a[k], b[k]
		if n, m, ok := numbers(x, y); ok && n != m {
			return cmp.Compare(n, m)
		}
		if strings.HasPrefix(x, "+") && strings.HasPrefix(y, "+") {
			dx, _ := offset(x)
			dy, _ := offset(y)
			if c := cmp.Compare(dx, dy); c != 0 {
				return c
			}
			continue
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func fieldNames(s *arrow.Schema) []string {
	var out []string
	for _, f := range flow.UserFields(s) {
		out = append(out, f.Name)
	}
	return append(out, "_time", "_received", "_offset")
}

// tableLines writes a table, without indentation.
func tableLines(columns []string, rows [][]string) []string {
	text := aligned(append([][]string{columns}, rows...), "")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Apply rewrites the tables of a file that did not hold. The line of the
// argument and the one that ends its text stay.
func Apply(src []byte, updates []Update) []byte {
	lines := strings.Split(string(src), "\n")
	updates = slices.Clone(updates)
	sort.Slice(updates, func(i, j int) bool { return updates[i].At.Start.Line > updates[j].At.Start.Line })
	for _, u := range updates {
		from := u.At.Start.Line // the line after the argument's, counted from 0
		to := from
		indent := ""
		for to < len(lines) && !isEnd(lines[from-1], lines[to]) {
			if trimmed := strings.TrimLeft(lines[to], " \t"); trimmed != "" && indent == "" {
				indent = lines[to][:len(lines[to])-len(trimmed)]
			}
			to++
		}
		if to == len(lines) {
			continue // no heredoc
		}
		var now []string
		for _, l := range u.Lines {
			now = append(now, indent+l)
		}
		lines = slices.Concat(lines[:from], now, lines[to:])
	}
	return []byte(strings.Join(lines, "\n"))
}

// isEnd says whether a line ends the heredoc that another begins.
func isEnd(begin, line string) bool {
	_, word, ok := strings.Cut(begin, "<<")
	return ok && strings.TrimSpace(line) == strings.TrimSpace(strings.TrimPrefix(word, "-"))
}
