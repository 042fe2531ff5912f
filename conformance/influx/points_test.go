package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/sinkinfluxdb"
)

// sink opens the sink alone, with rows of a schema as its input; what it rejects is
// written to rejects.
func sink(t testing.TB, args string, schema *arrow.Schema, alloc memory.Allocator, rejects *[]string) stage.Sink {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(args), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := sinkinfluxdb.Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		t.Fatal(diags)
	}
	at := stage.At{Address: "pipeline.p.sink.s", Inputs: []string{"rule.r"}}
	at.Scope = func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "rule.r"} }
	b, diags := a.Bind([]*arrow.Schema{schema}, at)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s, err := b.OpenSink(stage.Opening{Env: env.Real(), Address: at.Address, Alloc: alloc, Count: func(string, int64) {},
		Reject: func(r stage.Reject) { *rejects = append(*rejects, fmt.Sprintf("row %d: %s", r.Row, r.Reason)) }})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// send writes rows and sees them through.
func send(t testing.TB, s stage.Sink, rows arrow.RecordBatch) {
	t.Helper()
	must(t, s.Write(context.Background(), 0, rows))
	_, err := s.Prepare(context.Background(), 1)
	must(t, err)
}

// apis are arguments that choose an API.
func apis(s *Server, database string) map[string]string {
	return map[string]string{
		"v2":      fmt.Sprintf("url = %q\nbucket = \"%s/autogen\"\ntoken = %q\n", s.URL(), database, Token),
		"v1":      fmt.Sprintf("url = %q\ndatabase = %q\nusername = %q\npassword = %q\n", s.URL(), database, User, Password),
		"v1 gzip": fmt.Sprintf("url = %q\ndatabase = %q\ntoken = %q\nretention_policy = \"autogen\"\ngzip = true\nbatch_rows = 7\n", s.URL(), database, Token),
	}
}

// TestAwkwardPoints writes a table of points by both APIs, and reads them back equal.
func TestAwkwardPoints(t *testing.T) {
	text, err := os.ReadFile("testdata/points.txt")
	must(t, err)
	all, err := flow.ParseRows(memory.DefaultAllocator, string(text))
	must(t, err)
	defer all.Release()
	if all.NumRows() < 200 {
		t.Fatalf("the table has %d points", all.NumRows())
	}
	for _, api := range []string{"v2", "v1", "v1 gzip"} {
		t.Run(api, func(t *testing.T) {
			s, db := database(t)
			alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
			var want, rejects []string
			for _, p := range []string{"ns", "us", "ms", "s"} {
				rows := ofPrecision(all, p)
				for i := range int(rows.NumRows()) {
					want = append(want, pointOf(rows, i, p))
				}
				k := sink(t, apis(s, db)[api]+fmt.Sprintf("precision = %q\nmeasurement = m\ntags = [a, b]\nfields = [n, i, ok, s]\n", p), rows.Schema(), alloc, &rejects)
				send(t, k, rows)
				rows.Release()
			}
			slices.Sort(want)
			want = slices.Compact(want) // points of one unit of a coarse precision are one
			got := points(t, s, db)
			if len(rejects) > 0 {
				t.Errorf("rejected: %q", rejects)
			}
			compare(t, got, want)
			alloc.AssertSize(t, 0)
		})
	}
}

// compare tells what is missing and what is too much, once each.
func compare(t testing.TB, got, want []string) {
	t.Helper()
	count := map[string]int{}
	for _, w := range want {
		count[w]++
	}
	for _, g := range got {
		count[g]--
	}
	shown := 0
	for _, p := range slices.Sorted(maps.Keys(count)) {
		if n := count[p]; n != 0 && shown < 10 {
			shown++
			t.Errorf("%s: %s", map[bool]string{true: "missing", false: "too much"}[n > 0], p)
		}
	}
	if shown > 0 || len(got) != len(want) {
		t.Errorf("%d points, want %d", len(got), len(want))
	}
}

func ofPrecision(rows arrow.RecordBatch, p string) arrow.RecordBatch {
	var sel []int32
	at := rows.Schema().FieldIndices("p")[0]
	for i := range int(rows.NumRows()) {
		if rows.Column(at).(*array.String).Value(i) == p {
			sel = append(sel, int32(i))
		}
	}
	return flow.Take(rows, sel, memory.DefaultAllocator)
}

// pointOf is a row of the table as points gives it. In names, what ends a line is written as
// two characters.
func pointOf(rows arrow.RecordBatch, row int, precision string) string {
	name := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\x00", `\0`)
	units := map[string]int64{"ns": 1, "us": 1, "ms": 1000, "s": 1e6}
	us := int64(flow.Times(rows)[row])
	unit := units[precision]
	floored := us / unit * unit
	if floored > us {
		floored -= unit
	}
	out := fmt.Sprintf("%d", floored*1000)
	for i, f := range flow.UserFields(rows.Schema()) {
		c := rows.Column(flow.MetaColumns + i)
		text := ""
		switch c := c.(type) {
		case *array.String:
			text = c.Value(row)
			if f.Name != "s" {
				text = name.Replace(text)
			} else if !c.IsNull(row) {
				text = strconv.Quote(text)
			}
		case *array.Float64:
			text = strconv.FormatFloat(c.Value(row), 'g', -1, 64)
		case *array.Int64:
			text = strconv.FormatInt(c.Value(row), 10)
		case *array.Boolean:
			text = strconv.FormatBool(c.Value(row))
		}
		if c.IsNull(row) {
			text = ""
		}
		if f.Name != "note" && f.Name != "p" {
			out += fmt.Sprintf(" %s=%q", f.Name, text)
		}
	}
	return out
}

// points reads all points that have the table's columns.
func points(t testing.TB, s *Server, db string) []string {
	t.Helper()
	series, err := s.Query(db, `SELECT n, i, ok, s FROM /.*/ WHERE time >= -9223372036854775806 AND time <= 9223372036854775806 GROUP BY a, b`)
	must(t, err)
	var out []string
	for _, x := range series {
		for _, v := range x.Values {
			line := fmt.Sprintf("%s m=%q a=%q b=%q", v[0], x.Name, x.Tags["a"], x.Tags["b"])
			for i, name := range x.Columns[1:] {
				line += fmt.Sprintf(" %s=%q", name, textOf(t, name, v[1+i]))
			}
			out = append(out, line)
		}
	}
	return out
}

// textOf is a value as pointOf writes it.
func textOf(t testing.TB, name string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strconv.Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if name == "n" {
			f, err := strconv.ParseFloat(string(v), 64)
			must(t, err)
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		return string(v)
	}
	return fmt.Sprint(v)
}
