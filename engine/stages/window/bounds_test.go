package window

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestBounds runs testdata/bounds.table; UPDATE_TESTDATA=1 writes down what comes out.
func TestBounds(t *testing.T) {
	const name = "testdata/bounds.table"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines, cases := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), 0
	for i, line := range lines {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cases++
		f := strings.Split(line, "|")
		for len(f) < 5 {
			f = append(f, "")
		}
		for k := range f {
			f[k] = strings.TrimSpace(f[k])
		}
		out, lost := boundRun(t, f[0], f[1], f[2])
		if out == f[3] && lost == f[4] {
			continue
		}
		lines[i] = strings.TrimSuffix(strings.Join([]string{f[0], f[1], f[2], out, lost}, " | "), " | ")
		t.Errorf("line %d: %s\ngives %s | %s\nwant  %s | %s", i+1, strings.Join(f[:3], " | "), out, lost, f[3], f[4])
	}
	if cases < 40 {
		t.Errorf("%d cases: this check cannot fail", cases)
	}
	if os.Getenv("UPDATE_TESTDATA") != "" && t.Failed() {
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// boundRun runs a line of the table, and says what came out and what was lost.
func boundRun(t *testing.T, kind, args, events string) (out, lost string) {
	b := &strings.Builder{}
	b.WriteString("-- args --\nby = [device]\nemit = { n = count() }\n")
	for _, a := range strings.Fields(args) {
		k, v, _ := strings.Cut(a, "=")
		if v != "open" {
			v = strconv.Quote(v)
		}
		fmt.Fprintf(b, "%s = %s\n", k, v)
	}
	b.WriteString("-- at --\nkey device\n")
	for _, e := range strings.Fields(events) {
		what := strings.TrimLeft(e, "~!")
		s, err := strconv.ParseFloat(what, 64)
		if err != nil {
			t.Fatal(err)
		}
		at := string(flow.AppendTime(nil, int64(s*1e6+0.5)))
		if e[0] == '!' {
			fmt.Fprintf(b, "-- tick %s --\n", at)
		} else {
			fmt.Fprintf(b, "-- rows --\n_time _received device:string open:bool\n%s %s a %v\n", at, at, e[0] != '~')
		}
	}
	b.WriteString("-- end --\n")
	var rest []string
	for _, f := range txtar.Parse(stagetest.Run(t, specNamed(kind+"_"), []byte(b.String()), 6)).Files {
		switch f.Name {
		case "errors":
			t.Fatalf("%s", f.Data)
		case "out":
			out = boundRows(t, string(f.Data))
		case "counts":
			rest = append(rest, strings.Split(strings.TrimSpace(string(f.Data)), "\n")...)
		case "rejects":
			rest = append(rest, fmt.Sprintf("%d reject", strings.Count(string(f.Data), "\n")))
		}
	}
	return out, strings.Join(rest, ", ")
}

func boundRows(t *testing.T, text string) string {
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	var out []string
	col := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	sec := func(name string, i int) string {
		return strconv.FormatFloat(float64(col(name).(*array.Timestamp).Value(i))/1e6, 'f', -1, 64)
	}
	for i := range int(rows.NumRows()) {
		open := ""
		if !col("final").(*array.Boolean).Value(i) {
			open = "?"
		}
		out = append(out, fmt.Sprintf("%s %s %s r%s%s", sec("window_start", i), sec("window_end", i), col("n").ValueStr(i), col("revision").ValueStr(i), open))
	}
	return strings.Join(out, ", ")
}
