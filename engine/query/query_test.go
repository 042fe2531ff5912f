package query

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/ledger"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		rest string
	}{
		{"", nil, ""},
		{"SELECT 1", nil, "SELECT 1"},
		{"SELECT 1;", []string{"SELECT 1"}, ""},
		{";; SELECT 1 ; SELECT 2", []string{"SELECT 1"}, " SELECT 2"},
		{"SELECT ';'; x", []string{"SELECT ';'"}, " x"},
		{"SELECT 'it''s;'; x", []string{"SELECT 'it''s;'"}, " x"},
		{`SELECT ";"; x`, []string{`SELECT ";"`}, " x"},
		{"SELECT 1 -- a; b\n; x", []string{"SELECT 1 -- a; b"}, " x"},
		{"SELECT /* ; */ 1; x", []string{"SELECT /* ; */ 1"}, " x"},
		{"SELECT $$;$$; x", []string{"SELECT $$;$$"}, " x"},
		{"SELECT $a$;$$;$a$; x", []string{"SELECT $a$;$$;$a$"}, " x"},
		{"SELECT $1; x", []string{"SELECT $1"}, " x"},
		{"-- only;\n; /* this; */ ;", nil, ""},
		{"SELECT 'open; x", nil, "SELECT 'open; x"},
		{"SELECT /* open; x", nil, "SELECT /* open; x"},
		{"$", nil, "$"},
	} {
		got, rest := Split(c.in)
		if !reflect.DeepEqual(got, c.want) || rest != c.rest {
			t.Errorf("%q: %q, %q; want %q, %q", c.in, got, rest, c.want, c.rest)
		}
	}
}

func TestExplained(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1": "SELECT 1", "EXPLAIN SELECT 1": " SELECT 1", " explain\nanalyze SELECT 1": " SELECT 1", "EXPLAINED": "EXPLAINED",
		"ANALYZE x": "ANALYZE x", "EXPLAIN (FORMAT json) SELECT 1": " (FORMAT json) SELECT 1", "EXPLAIN": "EXPLAIN", "": "",
	} {
		if got := in[explained(in):]; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestRephrase: what DuckDB says, and what a person is told.
func TestRephrase(t *testing.T) {
	long := "SELECT " + strings.Repeat("device, ", 30) + "tmep FROM readings"
	for _, c := range []struct{ sql, says, want string }{
		{"SELECT tmep FROM lake", "Binder Error: Referenced column \"tmep\" not found in FROM clause!\nCandidate bindings: \"temp\", \"ts\"\n\nLINE 1: SELECT tmep FROM lake\n               ^",
			"there is no column tmep (line 1, column 8)\n  1 | SELECT tmep FROM lake\n             ^\nnearest: \"temp\", \"ts\""},
		{"SELECT 1,\n\ttmep FROM lake", "Binder Error: Referenced column \"tmep\" not found in FROM clause!\nCandidate bindings: \"temp\"\n\nLINE 2: \ttmep FROM lake\n         ^",
			"there is no column tmep (line 2, column 2)\n  2 |  tmep FROM lake\n       ^\nnearest: \"temp\""},
		{long, "Binder Error: Referenced column \"tmep\" not found in FROM clause!\nCandidate bindings: \"temp\"\n\nLINE 1: ...ice, tmep FROM readings\n                ^",
			"there is no column tmep (line 1, column 248)\n  1 | " + long[len(long)-120:] + "\n      " + strings.Repeat(" ", 120-18) + "^\nnearest: \"temp\""},
		{"SELECT x()", "Catalog Error: Scalar Function with name x does not exist!\nDid you mean \"xor\"?\n\nLINE 1: SELECT x()\n               ^",
			"there is no function x (line 1, column 8)\n  1 | SELECT x()\n             ^\ndid you mean xor?"},
		{"SELECT 1", "Out of Range Error: too\n large", "too large"},
		{"SELECT 1", "something else", "something else"},
		{"SELECT 1", "Binder Error: odd\n\nLINE 99: x\n    ^", "odd"},
	} {
		if got := rephrase(c.says, c.sql).Error(); got != c.want {
			t.Errorf("%s\nis %s\nwant %s", c.says, got, c.want)
		}
	}
}

// TestPrinters: the same rows in every format.
func TestPrinters(t *testing.T) {
	cols := []Column{{"name", "VARCHAR"}, {"day", "DATE"}, {"at", "TIMESTAMPTZ"}, {"n", "DOUBLE"}, {"more", "STRUCT"}}
	at := time.Date(2026, 1, 31, 12, 0, 0, 250_000_000, time.UTC)
	rows := [][]any{
		{"a,\"b\"\n<c>", at, at, 1.5, Object{{"x", []any{int64(1), nil, true}}, {"y", Number("12")}}},
		{nil, nil, nil, math.Inf(-1), nil},
	}
	for format, want := range map[string]string{
		FormatCSV: "name,day,at,n,more\n\"a,\"\"b\"\"\n<c>\",2026-01-31,2026-01-31T12:00:00.25Z,1.5,\"{\"\"x\"\":[1,null,true],\"\"y\"\":12}\"\n,,,-Inf,\n",
		FormatJSON: `{"name":"a,\"b\"\n<c>","day":"2026-01-31","at":"2026-01-31T12:00:00.25Z","n":1.5,"more":{"x":[1,null,true],"y":12}}` + "\n" +
			`{"name":null,"day":null,"at":null,"n":"-Inf","more":null}` + "\n",
		FormatDocument: `{"columns":[{"name":"name","type":"VARCHAR"},{"name":"day","type":"DATE"},{"name":"at","type":"TIMESTAMPTZ"},{"name":"n","type":"DOUBLE"},{"name":"more","type":"STRUCT"}],` +
			"\n\"rows\":[\n" + `["a,\"b\"\n<c>","2026-01-31","2026-01-31T12:00:00.25Z",1.5,{"x":[1,null,true],"y":12}],` + "\n" + `[null,null,null,"-Inf",null]],` +
			"\n" + `"summary":{"rows":2,"files":0,"of_files":0,"files_bytes":0}}` + "\n",
		FormatTable: "name       day         at                          n  more\n" +
			"─────────  ──────────  ───────────────────────  ────  ──────────────────────────\n" +
			"a,\"b\" <c>  2026-01-31  2026-01-31T12:00:00.25Z   1.5  {\"x\":[1,null,true],\"y\":12}\n" +
			"-          -           -                        -Inf  -\n",
		FormatPlot: "n of a,\"b\" <c>  (1 points)\n",
	} {
		var out strings.Builder
		p := NewPrinter(&Request{Format: format, Width: 60, Height: 4}, &out)
		if err := p.Begin(cols); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := p.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.End(&Summary{Rows: 2}, nil); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want && (format != FormatPlot || !strings.HasPrefix(got, want)) {
			t.Errorf("%s:\n%q\nwant\n%q", format, got, want)
		}
	}
}

// TestPlot draws what nobody would: no rows, one, equal ones, extremes, a gap, too many series.
func TestPlot(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
	for name, rows := range map[string][][]any{
		"none": nil, "null": {{nil, 1.0, "a"}, {at(0), nil, "a"}}, "one": {{at(0), 1.0, "a"}},
		"equal":    {{at(0), 1.0, "a"}, {at(0), 1.0, "a"}, {at(9), 1.0, "a"}},
		"extremes": {{at(0), math.MaxFloat64, "a"}, {at(1), -math.MaxFloat64, "a"}, {at(2), math.NaN(), "a"}, {at(3), math.SmallestNonzeroFloat64, "a"}},
		"gap":      {{at(0), 1.0, "a"}, {at(1), 1.0, "a"}, {at(2), 1.0, "a"}, {at(3000), 2.0, "a"}},
		"series":   {{at(0), 1.0, "a"}, {at(0), 1.0, "b"}, {at(0), 1.0, "c"}, {at(0), 1.0, "d"}, {at(0), 1.0, "e"}, {at(0), 1.0, "f"}, {at(0), 1.0, "g"}, {at(0), 1.0, "h"}, {at(0), 1.0, "i"}},
	} {
		var out strings.Builder
		p := NewPrinter(&Request{Format: FormatPlot, Width: 1, Height: 1}, &out)
		if err := p.Begin([]Column{{"ts", "TIMESTAMPTZ"}, {"y", "DOUBLE"}, {"of", "VARCHAR"}}); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := p.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.End(nil, nil); err != nil {
			t.Fatal(err)
		}
		if name == "series" && !strings.Contains(out.String(), "1 more series") {
			t.Errorf("%s:\n%s", name, out.String())
		}
	}
}

// TestViews: files of one schema are read together, others beside them by name.
func TestViews(t *testing.T) {
	m := &ledger.Manifest{Table: "lake", Shape: ledger.Shape{
		Columns: []ledger.Column{{Name: "a", Type: "number"}}, Partition: []ledger.Column{{Name: "day", Type: "date"}}, Key: []string{"a"}, Revision: "revision",
	}}
	table := &Table{Name: "lake", Lake: &lake.Table{Manifest: m}}
	files := []*ledger.File{{Schema: "1"}, {Schema: "2"}, {Schema: "1"}}
	got := strings.Join(views(table, files, []string{"x", "it's", "z"}), ";\n")
	const hive = ", hive_partitioning = true, hive_types = {'day': DATE})"
	want := `CREATE VIEW "lake" AS SELECT * FROM read_parquet(['x', 'z']` + hive + "\nUNION ALL BY NAME SELECT * FROM read_parquet(['it''s']" + hive +
		";\nCREATE VIEW \"lake_latest\" AS SELECT * FROM \"lake\"\nQUALIFY row_number() OVER (PARTITION BY \"a\" ORDER BY \"revision\" DESC, _partition, _offset DESC, _index DESC) = 1"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := views(table, nil, nil)[0], `CREATE VIEW "lake" AS SELECT CAST(NULL AS DOUBLE) AS "a", CAST(NULL AS DATE) AS "day" WHERE false`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// FuzzCheck: whatever a tree looks like, judging it ends without a panic, and what passes selects from known tables only.
func FuzzCheck(f *testing.F) {
	f.Add(`{"error":false,"statements":[{"node":{"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":"lake"},"where_clause":{"class":"COMPARISON"}}}]}`)
	f.Add(`{"error":true,"error_type":"parser","error_message":"x","position":"3"}`)
	f.Add(`{"error":false,"statements":[{"node":{"cte_map":{"map":[{"key":"x"}]},"from_table":{"type":"TABLE_FUNCTION","function":{"function_name":"glob"}}}}]}`)
	table := &Table{Name: "lake", Lake: &lake.Table{Manifest: &ledger.Manifest{Shape: ledger.Shape{Partition: []ledger.Column{{Name: "day", Type: "date"}}}}}}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := checkTree(text, "SELECT 1", 0, []*Table{table})
		if err != nil {
			_ = err.Error()
			return
		}
		for _, name := range tree.tables {
			if name != "lake" {
				t.Errorf("%s passed", name)
			}
		}
		tree.conditions(table)
	})
}
