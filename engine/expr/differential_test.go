package expr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
)

// nastyColumns are the columns that the reference's author uses.
var nastyColumns = []struct{ name, typ string }{
	{"x", "number"}, {"y", "number"}, {"z", "number"}, {"i", "integer"}, {"j", "integer"},
	{"p", "bool"}, {"q", "bool"}, {"s", "string"}, {"t", "string"}, {"ts", "timestamp"}, {"nums", "list(number)"},
}

func nastyValue(a *author, typ string) any {
	switch typ {
	case "number":
		return pickOne(a, 0, math.Copysign(0, -1), 1, -1, 2.5, 0.1, 1e308, -1e308, 5e-324, float64(a.IntN(10)), a.NormFloat64()*100)
	case "integer":
		return pickOne(a, 0, 1, -1, 2, math.MaxInt64, math.MinInt64, a.Int64N(20)-10, a.Int64())
	case "bool":
		return a.IntN(2) == 0
	case "string":
		return pickOne(a, "", "a", "b/c", "a/b/c", "äöü/ß", "zz", "7", "true")
	case "timestamp":
		return pickOne(a, 0, -1, 1.7e15, math.MaxInt64, math.MinInt64, a.Int64N(2e15))
	}
	list := make([]any, a.IntN(4))
	for k := range list {
		if a.IntN(4) > 0 {
			list[k] = nastyValue(a, "number")
		}
	}
	return list
}

// nastyBatch is a batch of n rows, cut out of a longer one, and its rows.
func nastyBatch(a *author, n int, alloc memory.Allocator) (arrow.RecordBatch, []row) {
	cut, total := a.IntN(70), 0
	total = cut + n + a.IntN(5)
	rows := make([]row, n)
	for k := range rows {
		rows[k] = row{}
	}
	var fields []arrow.Field
	var cols []arrow.Array
	for _, c := range nastyColumns {
		nulls := pickOne(a, 0, 0, 3, 1) // one in so many; 0: none
		values := make([]any, total)
		for k := range values {
			if nulls == 0 || nulls > 1 && a.IntN(nulls) > 0 {
				values[k] = nastyValue(a, c.typ)
			}
		}
		whole := columnOf(typeOf(c.typ), values, alloc)
		cols = append(cols, array.NewSlice(whole, int64(cut), int64(cut+n)))
		whole.Release()
		fields = append(fields, arrow.Field{Name: c.name, Type: typeOf(c.typ), Nullable: true})
		for k := range rows {
			rows[k][c.name] = values[cut+k]
			if t, ok := values[cut+k].(int64); ok && c.typ == "timestamp" {
				rows[k][c.name] = us(t)
			}
		}
	}
	batch := array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(n))
	for _, c := range cols {
		c.Release()
	}
	return batch, rows
}

// TestDifferential compares programs with the reference, row by row, over
// batches of all sizes around words and chunks.
func TestDifferential(t *testing.T) {
	expressions, seeds := 60, 120
	if testing.Short() {
		seeds = 5
	}
	nulls, values := 0, 0
	for seed := range uint64(seeds) {
		a := &author{rand.New(rand.NewPCG(seed, 7))}
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		n := pickOne(a, 0, 1, 7, 63, 64, 65, 130)
		if seed%20 == 0 {
			n = pickOne(a, chunkRows, chunkRows+1, 2*chunkRows+65)
		}
		batch, rows := nastyBatch(a, n, alloc)
		for range expressions {
			write := pickOne(a, a.num, a.integer, a.boolean, a.boolean, a.text, a.instant)
			s := write(1 + a.IntN(4))
			nl, vs := differ(t, s, batch, rows, alloc)
			nulls, values = nulls+nl, values+vs
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		batch.Release()
		alloc.AssertSize(t, 0)
	}
	if nulls*10 < values || values*10 < nulls {
		t.Errorf("the test has lost its meaning: %d nulls to %d values", nulls, values)
	}
}

func differ(t *testing.T, s sample, batch arrow.RecordBatch, rows []row, alloc memory.Allocator) (nulls, values int) {
	x, diags := parse(s.src)
	if diags.HasErrors() {
		t.Fatalf("%s: %s", s.src, diags)
	}
	p, diags := Compile(x, &Scope{Schema: batch.Schema()})
	if diags.HasErrors() {
		t.Fatalf("%s: %s", s.src, diags)
	}
	p.Eval(batch, alloc).Release() // a second run finds used registers
	out := p.Eval(batch, alloc)
	defer out.Release()
	got := valuesOf(out)
	for k, r := range rows {
		want := s.eval(r)
		if u, ok := want.(us); ok {
			want = int64(u)
		}
		if want == nil {
			nulls++
		} else {
			values++
		}
		if got[k] != want { // which takes -0 for 0
			t.Fatalf("%s\nrow %d of %d: %v\nfound %v, want %v", s.src, k, len(rows), r, got[k], want)
		}
	}
	if out.NullN() != countOf(got, nil) {
		t.Fatalf("%s: NullN is %d", s.src, out.NullN())
	}
	if p.Type().ID() == arrow.BOOL {
		if sel := p.Select(batch, nil); len(sel) != countOf(got, true) {
			t.Fatalf("%s: Select gives %d rows of %d", s.src, len(sel), countOf(got, true))
		}
	}
	return nulls, values
}

func countOf(values []any, v any) int {
	n := 0
	for _, x := range values {
		if x == v {
			n++
		}
	}
	return n
}

// TestThreeValued is SQL's truth tables, whole, over constants and columns.
func TestThreeValued(t *testing.T) {
	const n = "null"
	want := map[string]string{
		"true && true": "true", "true && false": "false", "true && null": n,
		"false && true": "false", "false && false": "false", "false && null": "false",
		"null && true": n, "null && false": "false", "null && null": n,
		"true || true": "true", "true || false": "true", "true || null": "true",
		"false || true": "true", "false || false": "false", "false || null": n,
		"null || true": "true", "null || false": n, "null || null": n,
		"true == true": "true", "true == false": "false", "false == true": "false", "false == false": "true",
	}
	values := []any{true, false, nil}
	col := columnOf(typeOf("bool"), values, memory.DefaultAllocator)
	for src, w := range want {
		var l, op, r string
		if _, err := fmt.Sscan(src, &l, &op, &r); err != nil {
			t.Fatal(err)
		}
		// Each side once as a constant and once as a column.
		for form := range 4 {
			schema := arrow.NewSchema([]arrow.Field{{Name: "l", Type: typeOf("bool")}, {Name: "r", Type: typeOf("bool")}}, nil)
			index := map[string]int64{"true": 0, "false": 1, "null": 2}
			cols := []arrow.Array{array.NewSlice(col, index[l], index[l]+1), array.NewSlice(col, index[r], index[r]+1)}
			batch := array.NewRecordBatch(schema, cols, 1)
			a, b := l, r
			if form&1 != 0 {
				a = "l"
			}
			if form&2 != 0 {
				b = "r"
			}
			p := mustCompile(t, a+" "+op+" "+b, schema)
			if got := fmt.Sprint(valuesOf(p.Eval(batch, memory.DefaultAllocator))[0]); got != map[string]string{n: "<nil>"}[w] && got != w {
				t.Errorf("%s as %s %s %s: found %s, want %s", src, a, op, b, got, w)
			}
		}
	}
}

// FuzzCompile: whatever the text, Compile does not panic, and what compiles
// runs over a nasty batch.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`temp > setpoint + 3 && !door_open`, `x / y % 2 - -i`, `"a${s}b${ts}"`, `nums[i]`, `tags[0] == "x"`,
		`p ? x : null`, `coalesce(x, i, 0)`, `contains([1, i], x)`, `round(x, 2)`, `parse_time(s, "%Y-%m-%d")`,
		`trunc(ts, "5m") - ts`, `substr(s, i, j)`, `new.thing[0] > 1`, `least(x, 3, i)`, `x == null`,
		`[for a in nums: a]`, `{a = 1}`, `nums[*]`, `avg(x)`, `var.a.b[0]`, "<<EOT\n${x}\nEOT\n", `"%{ if p }a%{ else }b%{ endif }"`,
		`list[1e999999999]`, `avg(1e99999999) + 1e-99999999`, `replace(s, "", t)`, `9223372036854775807 + i`, `1e999`, `format_time(ts, "%z %j", "Asia/Kolkata")`,
	} {
		f.Add(s)
	}
	a := &author{rand.New(rand.NewPCG(3, 4))}
	batch, _ := nastyBatch(a, 70, memory.DefaultAllocator)
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 4096 || nesting(src) > 200 {
			return
		}
		x, diags := parse(src)
		if diags.HasErrors() {
			return
		}
		open := &Scope{Schema: batch.Schema(), Infer: func(string, arrow.DataType, hcl.Range) string { return "" }, What: "channel.fuzz"}
		SplitAggregates(x, func(n string) bool { return n == "avg" }, []string{"x"})
		for _, s := range []*Scope{{Schema: batch.Schema()}, open, {}} {
			p, diags := Compile(x, s)
			if (p == nil) != diags.HasErrors() {
				t.Fatalf("program %v, but diagnostics %v", p, diags)
			}
			for _, d := range diags {
				if d.Subject == nil {
					t.Fatalf("no position: %v", d)
				}
			}
			if p != nil {
				out := p.Eval(batch, memory.DefaultAllocator)
				if out.Len() != 70 || !arrow.TypeEqual(out.DataType(), p.Type()) {
					t.Fatalf("%d values of %s", out.Len(), out.DataType())
				}
			}
		}
	})
}

// nesting is at least how deep the parser would recurse.
func nesting(src string) int {
	n := 0
	for _, b := range src {
		switch b {
		case '(', '[', '{', '!', '-', '?':
			n++
		}
	}
	return n
}
