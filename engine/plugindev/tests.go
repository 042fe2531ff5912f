package plugindev

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Test is a test block beside a plugin:
//
//	test "name" {
//	  config  = { limit = 3 }
//	  rows    = "table"     columns that are read; _key: whose state; those left out are null
//	  expect  = "table"     columns that are written; _row: of which row; in order
//	  rejects = "table"     _row and reason
//	}
type Test struct {
	Name    string
	At      hcl.Range
	Config  map[string]json.RawMessage
	rows    string
	expect  string
	rejects string
}

// ReadTests reads the test blocks of all *.test.hcl files of a folder.
func ReadTests(e *env.Env, dir string) (tests []*Test, files map[string]*hcl.File, diags hcl.Diagnostics) {
	files = map[string]*hcl.File{}
	entries, err := e.FS.ReadDir(dir)
	if err != nil {
		return nil, files, config.Errorf(hcl.Range{Filename: dir}, "Folder cannot be read", "%v.", err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".test.hcl") {
			continue
		}
		name := path.Join(dir, entry.Name())
		f, d := config.ParseFile(e, name)
		diags = append(diags, d...)
		if f == nil || d.HasErrors() {
			continue
		}
		files[name] = f
		r := &reader{}
		for _, b := range f.Body.(*hclsyntax.Body).Blocks {
			if b.Type != "test" || len(b.Labels) != 1 {
				r.fail(b.DefRange(), "Unknown block", "A file of tests has blocks test \"name\" { ... } and no other.")
				continue
			}
			tests = append(tests, r.test(b))
		}
		diags = append(diags, r.diags...)
	}
	return tests, files, config.Sort(diags)
}

func (r *reader) test(b *hclsyntax.Block) *Test {
	t := &Test{Name: b.Labels[0], At: b.DefRange(), Config: map[string]json.RawMessage{}}
	for _, a := range sortedAttributes(b.Body) {
		switch a.Name {
		case "config":
			for _, m := range r.members(a.Expr) {
				t.Config[m.Name] = r.json(m.Value)
			}
		case "rows":
			t.rows = r.text(a.Expr)
		case "expect":
			t.expect = r.text(a.Expr)
		case "rejects":
			t.rejects = r.text(a.Expr)
		default:
			r.fail(a.NameRange, "Unknown argument", "A test has config, rows, expect and rejects.%s", config.DidYouMean(a.Name, []string{"config", "rows", "expect", "rejects"}))
		}
	}
	return t
}

// Rows reads the rows of a test.
func (t *Test) Rows(m *wasm.Manifest) (*Rows, error) {
	tab, err := parseTable(t.rows)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	rows := &Rows{Columns: make([][]any, len(m.Reads))}
	place := map[string]int{"_key": -1}
	for i, c := range m.Reads {
		place[c.Name] = i
	}
	for _, name := range tab.names {
		if _, ok := place[name]; !ok {
			return nil, fmt.Errorf("rows: the plugin reads no column %s", name)
		}
	}
	for n, cells := range tab.cells {
		rows.Keys = append(rows.Keys, "")
		for i := range rows.Columns {
			rows.Columns[i] = append(rows.Columns[i], nil)
		}
		for i, name := range tab.names {
			if at := place[name]; at < 0 {
				rows.Keys[n] = cells[i]
			} else if rows.Columns[at][n], err = parseCell(cells[i], m.Reads[at].Type); err != nil {
				return nil, fmt.Errorf("rows: row %d, column %s: %w", n, name, err)
			}
		}
	}
	return rows, nil
}

// Run runs a test and says what is not as expected; nothing when all is.
func (r *Rig) Run(t *Test) (failures []string, err error) {
	settings, err := r.Settings(t.Config)
	if err != nil {
		return nil, err
	}
	m := r.Plugin.Manifest
	rows, err := t.Rows(m)
	if err != nil {
		return nil, err
	}
	o, err := r.run(rows, trial{settings: settings})
	if err != nil {
		return nil, err
	}
	types := map[string]string{"_row": "integer"}
	columns := []string{"_row"}
	for _, c := range m.Writes {
		types[c.Name], columns = c.Type, append(columns, c.Name)
	}
	var got [][]any
	for _, row := range o.out {
		got = append(got, append([]any{int64(row.from)}, row.values...))
	}
	failure, err := compare("expect", t.expect, columns, types, got)
	failures = append(failures, failure...)
	var refused [][]any
	for _, x := range o.rejects {
		refused = append(refused, []any{int64(x.Row), x.Reason})
	}
	failure, err2 := compare("rejects", t.rejects, []string{"_row", "reason"}, map[string]string{"_row": "integer", "reason": "string"}, refused)
	return append(failures, failure...), errors.Join(err, err2)
}

// compare holds rows against a table, in order. Columns that the table does not name do not count.
func compare(what, text string, columns []string, types map[string]string, got [][]any) ([]string, error) {
	names := columns
	var want [][]any
	if strings.TrimSpace(text) != "" {
		tab, err := parseTable(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		names = tab.names
		for n, cells := range tab.cells {
			row := make([]any, len(cells))
			for i, name := range names {
				typ, ok := types[name]
				if !ok {
					return nil, fmt.Errorf("%s: there is no column %s; there is %s", what, name, strings.Join(columns, ", "))
				}
				if row[i], err = parseCell(cells[i], typ); err != nil {
					return nil, fmt.Errorf("%s: row %d, column %s: %w", what, n, name, err)
				}
			}
			want = append(want, row)
		}
	}
	var came [][]any
	for _, row := range got {
		var picked []any
		for _, name := range names {
			for i, c := range columns {
				if c == name {
					picked = append(picked, row[i])
				}
			}
		}
		came = append(came, picked)
	}
	equal := len(came) == len(want)
	for i := 0; equal && i < len(want); i++ {
		for k := range want[i] {
			equal = equal && same(want[i][k], came[i][k])
		}
	}
	if equal {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s: not as it came\nwanted:\n%scame:\n%s", what, indent(writeTable(names, cells(want))), indent(writeTable(names, cells(came))))}, nil
}

func cells(rows [][]any) (list [][]string) {
	for _, row := range rows {
		var line []string
		for _, v := range row {
			line = append(line, cell(v))
		}
		list = append(list, line)
	}
	return list
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}
