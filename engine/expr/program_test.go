package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
)

// TestOpenScopeLater: a column that was inferred shows up in later batches, as
// inferred, as something near it, or as something else.
func TestOpenScopeLater(t *testing.T) {
	x, _ := parse("new * 2")
	var inferred []string
	p, diags := Compile(x, &Scope{Infer: func(name string, t arrow.DataType, at hcl.Range) string {
		inferred = append(inferred, name+" "+TypeName(t))
		return ""
	}})
	if diags.HasErrors() || strings.Join(inferred, ";") != "new number" || strings.Join(p.Columns(), ";") != "new" {
		t.Fatal(diags, inferred, p.Columns())
	}
	for _, tt := range []struct {
		name, typ string
		values    []any
		want      string
	}{
		{"old", "number", []any{1.5, nil}, "[<nil> <nil>]"},
		{"new", "number", []any{1.5, nil}, "[3 <nil>]"},
		{"new", "integer", []any{int64(4), nil}, "[8 <nil>]"},
		{"new", "string", []any{"x", nil}, "[<nil> <nil>]"},
		{"new", "list(number)", []any{nil, []any{1.0}}, "[<nil> <nil>]"},
	} {
		col := columnOf(typeOf(tt.typ), tt.values, memory.DefaultAllocator)
		batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: tt.name, Type: col.DataType()}}, nil), []arrow.Array{col}, 2)
		if got := fmt.Sprint(valuesOf(p.Eval(batch, memory.DefaultAllocator))); got != tt.want {
			t.Errorf("%s %s: found %s, want %s", tt.name, tt.typ, got, tt.want)
		}
	}
}

// TestSizesChange: registers and constants serve batches of any size in any order.
func TestSizesChange(t *testing.T) {
	for _, src := range []string{"true", "x > 0 || true", "p ? 1 : 2", `"${x}"`, "x", "coalesce(x, 1) > 0", "null == x"} {
		var p *Program
		for _, n := range []int{3, 64, 0, chunkRows + 7, 100, 5 * chunkRows} {
			values, bools := make([]any, max(n, 1)), make([]any, max(n, 1))
			for i := range values {
				values[i], bools[i] = float64(i+1), i%3 == 0
			}
			batch := (&table{names: []string{"x", "p"}, types: []arrow.DataType{typeOf("number"), typeOf("bool")}, values: [][]any{values, bools}}).rows(memory.DefaultAllocator)
			if n == 0 {
				batch = batch.NewSlice(0, 0)
			}
			if p == nil {
				p = mustCompile(t, src, batch.Schema())
			}
			got := valuesOf(p.Eval(batch, memory.DefaultAllocator))
			fresh := valuesOf(mustCompile(t, src, batch.Schema()).Eval(batch, memory.DefaultAllocator))
			if len(got) != n || fmt.Sprint(got) != fmt.Sprint(fresh) {
				t.Fatalf("%s over %d rows: a used program gives another result than a fresh one", src, n)
			}
			if p.Type().ID() == arrow.BOOL && len(p.Select(batch, nil)) != countOf(got, true) {
				t.Fatalf("%s over %d rows: Select found %d", src, n, len(p.Select(batch, nil)))
			}
		}
	}
}

// TestNoAllocations: after the first batch, Select allocates nothing, and Eval
// only its result and no register.
func TestNoAllocations(t *testing.T) {
	rows := benchBatch(1000, true)
	defer rows.Release()
	for src, most := range map[string]float64{
		`temp > setpoint + 3 && !door_open`:                                   0,
		`contains(["site-1", "site-2"], site) || n % 7 == 3`:                  0,
		`"${site}-${n}" == lower(site) || trunc(ts, "5m") > ts - 60`:          0,
		`coalesce(temp, setpoint * 2 / 3) / (door_open ? temp : 1) + sqrt(n)`: 12,
	} {
		p := mustCompile(t, src, rows.Schema())
		sel := make([]int32, 0, 2000)
		alloc := &reuse{}
		run := func() {
			if p.Type().ID() == arrow.BOOL {
				sel = p.Select(rows, sel[:0])
			} else {
				p.Eval(rows, alloc).Release()
			}
		}
		if got := testing.AllocsPerRun(20, run); got > most {
			t.Errorf("%s: %v allocations a batch, want at most %v", src, got, most)
		}
	}
}

// TestLimits: what is too long is refused at once, or null, and never a crash.
func TestLimits(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: typeOf("string")}, {Name: "x", Type: typeOf("number")}}, nil)
	for _, src := range []string{
		"x" + strings.Repeat(" + x", 5000),
		"contains([" + strings.Repeat("1,", 20000) + "1], x)",
		"(" + strings.Repeat("x > 1 ? 1 : ", 3000) + "0)",
	} {
		x, diags := parse(src)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if _, diags = Compile(x, &Scope{Schema: schema}); !diags.HasErrors() || len(diags) > 3 {
			t.Errorf("%.30s: %d diagnostics", src, len(diags))
		}
		if _, _, diags = SplitAggregates(x, func(string) bool { return false }, []string{"x"}); !diags.HasErrors() || len(diags) > 3 {
			t.Errorf("%.30s: %d diagnostics of SplitAggregates", src, len(diags))
		}
	}
	long := columnOf(typeOf("string"), []any{strings.Repeat("a", maxText), strings.Repeat("a", maxText/2), "a"}, memory.DefaultAllocator)
	num := columnOf(typeOf("number"), []any{1.0, 2.0, 3.0}, memory.DefaultAllocator)
	batch := array.NewRecordBatch(schema, []arrow.Array{long, num}, 3)
	for src, want := range map[string]string{
		`"${s}"`:                fmt.Sprint([]int{maxText, maxText / 2, 1}),
		`"${s}${s}"`:            fmt.Sprint([]int{-1, maxText, 2}),
		`"${s}${s}${s}"`:        fmt.Sprint([]int{-1, -1, 3}),
		`replace(s, "a", "bb")`: fmt.Sprint([]int{-1, maxText, 2}),
	} {
		var got []int
		for _, v := range valuesOf(mustCompile(t, src, schema).Eval(batch, memory.DefaultAllocator)) {
			if v == nil {
				got = append(got, -1)
				continue
			}
			got = append(got, len(v.(string)))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: lengths %v, want %s", src, got, want)
		}
	}
}
