package expr

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var update = flag.Bool("update", false, "write what was found into testdata/*.test; read the difference before keeping it")

// table is a file of testdata:
//
//	# a comment
//	column temp number 1 2.5 null    a column of the rows of this file
//	var limit 3                      a variable
//	open                             the scope is open
//	want bool                        as CompileAs, for the expressions that follow
//
//	temp + 1                         an expression, and what is found:
//	= number 2 3.5 null              its type and values, or
//	! 1:1 Summary: detail            an error and its place, or
//	? 1:1 Summary: detail            a warning
type table struct {
	names  []string
	types  []arrow.DataType
	values [][]any
	vars   map[string]cty.Value
	open   bool
	want   arrow.DataType
}

func (tb *table) rows(alloc memory.Allocator) arrow.RecordBatch {
	var fields []arrow.Field
	var cols []arrow.Array
	n := 0
	for i, name := range tb.names {
		fields = append(fields, arrow.Field{Name: name, Type: tb.types[i], Nullable: true})
		cols = append(cols, columnOf(tb.types[i], tb.values[i], alloc))
		n = len(tb.values[i])
	}
	batch := array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(max(n, 1)))
	for _, c := range cols {
		c.Release()
	}
	return batch
}

func (tb *table) directive(line string) bool {
	f := strings.Fields(line)
	if len(f) == 1 && f[0] != "open" {
		return false
	}
	switch f[0] {
	case "column":
		tb.names = append(tb.names, f[1])
		tb.types = append(tb.types, typeOf(f[2]))
		tb.values = append(tb.values, parseValues(line[strings.Index(line, " "+f[2]+" ")+len(f[2])+2:]))
	case "var":
		x, diags := parse(strings.Join(f[2:], " "))
		v, more := x.Value(nil)
		if diags.HasErrors() || more.HasErrors() {
			panic(line)
		}
		tb.vars[f[1]] = v
	case "open":
		tb.open = true
	case "want":
		tb.want = typeOf(f[1])
	default:
		return false
	}
	return true
}

func parseValues(s string) []any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var out []any
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		must(err)
		out = append(out, v)
	}
}

// found computes the lines below an expression.
func (tb *table) found(t *testing.T, src string) []string {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rows := tb.rows(alloc)
	defer rows.Release()
	x, diags := parse(src)
	if diags.HasErrors() {
		return showDiags(diags)
	}
	scope := &Scope{Schema: rows.Schema(), Vars: tb.vars, What: "channel.test"}
	if tb.open {
		scope.Infer = func(name string, t arrow.DataType, at hcl.Range) string {
			if name == "taken" && t.ID() != arrow.STRING {
				return "\"taken\" was a string before, at 9:9."
			}
			return ""
		}
	}
	var p *Program
	if tb.want == nil {
		p, diags = Compile(x, scope)
	} else {
		p, diags = CompileAs(x, scope, tb.want, "where")
	}
	lines := showDiags(diags)
	if p == nil {
		return lines
	}
	out := p.Eval(rows, alloc)
	defer out.Release()
	if !arrow.TypeEqual(out.DataType(), p.Type()) {
		t.Errorf("%s: Type says %s, the column is %s", src, p.Type(), out.DataType())
	}
	tb.checkSelect(t, src, p, rows, out)
	return append(lines, strings.TrimSpace(fmt.Sprintf("= %s %s", TypeName(p.Type()), show(p.Type(), valuesOf(out)))))
}

func (tb *table) checkSelect(t *testing.T, src string, p *Program, rows arrow.RecordBatch, out arrow.Array) {
	if p.Type().ID() != arrow.BOOL {
		return
	}
	var want []int32
	for i, v := range valuesOf(out) {
		if v == true {
			want = append(want, int32(i))
		}
	}
	if got := p.Select(rows, []int32{7}); fmt.Sprint(got[1:]) != fmt.Sprint(want) || got[0] != 7 {
		t.Errorf("%s: Select appended %v, Eval says %v", src, got, want)
	}
}

func showDiags(diags hcl.Diagnostics) []string {
	var out []string
	for _, d := range diags {
		mark := "!"
		if d.Severity == hcl.DiagWarning {
			mark = "?"
		}
		out = append(out, fmt.Sprintf("%s %s %s: %s", mark, fmtPos(*d.Subject), d.Summary, d.Detail))
	}
	return out
}

func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test")
	must(err)
	if len(files) < 5 {
		t.Fatal("the table files are missing")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runTable(t, file) })
	}
}

func runTable(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	must(err)
	tb := &table{vars: map[string]cty.Value{}}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out = append(out, line)
		if line == "" || line[0] == '#' || tb.directive(line) {
			continue
		}
		got := tb.found(t, line)
		var want []string
		for i+1 < len(lines) && lines[i+1] != "" && strings.IndexByte("=!?", lines[i+1][0]) >= 0 && len(lines[i+1]) > 1 && lines[i+1][1] == ' ' {
			i++
			want = append(want, lines[i])
		}
		out = append(out, got...)
		if *update {
			continue
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%s:%d: %s\nfound:\n%s\nwant:\n%s", file, i+1, line, g, w)
		}
	}
	if *update {
		must(os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644))
	}
}

// TestManual: every function is shown at work in the table files.
func TestManual(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test")
	must(err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(err)
		all.Write(text)
	}
	for _, sig := range Functions() {
		name, _, ok := strings.Cut(sig, "(")
		if !ok || !strings.Contains(all.String(), "\n"+name+"(") {
			t.Errorf("no example of %s", sig)
		}
	}
}
