package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/ledger"
)

// latestSuffix is of the view that holds the last revision of each row.
const latestSuffix = "_latest"

// Table is a table under the name by which statements call it.
type Table struct {
	Name   string
	Source lake.Source
	// Lake is the table as it was at this moment; nil where nothing has been written yet.
	Lake *lake.Table
	// Err says why it cannot be read, such as that its bucket does not answer; Lake is nil then.
	Err error
}

// Find opens the tables. Where two sinks write tables of one name, later ones go by pipeline and name. One that cannot be
// read keeps nobody from the others, and is an error only where there are no others.
func Find(ctx context.Context, e *env.Env, sources []lake.Source) ([]*Table, error) {
	var out []*Table
	taken := map[string]bool{}
	for _, s := range sources {
		t := &Table{Name: s.Name, Source: s}
		for n := 2; taken[strings.ToLower(t.Name)]; n++ {
			t.Name = fmt.Sprintf("%s_%d", s.Name, n)
			if parts := strings.Split(s.Sink, "."); n == 2 && len(parts) > 1 {
				t.Name = parts[1] + "_" + s.Name
			}
		}
		taken[strings.ToLower(t.Name)] = true
		if t.Lake, t.Err = s.Open(ctx, e); errors.Is(t.Err, lake.ErrEmpty) {
			t.Err = nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out = append(out, t)
	}
	if len(out) > 0 && !slices.ContainsFunc(out, func(t *Table) bool { return t.Err == nil }) {
		return nil, out[0].Err
	}
	return out, nil
}

// Revised tells whether there is a view of the latest revisions.
func (t *Table) Revised() bool { return t.Lake != nil && t.Lake.Latest("x") != "" }

// Rows and Bytes are sums over the table's files.
func (t *Table) Rows() (rows, bytes int64) {
	if t.Lake != nil {
		for i := range t.Lake.Files {
			rows += t.Lake.Files[i].Rows
			bytes += t.Lake.Files[i].Bytes
		}
	}
	return rows, bytes
}

// names lists what statements can select from.
func names(tables []*Table) []string {
	var out []string
	for _, t := range tables {
		if t.Lake == nil {
			continue
		}
		out = append(out, t.Name)
		if t.Revised() {
			out = append(out, t.Name+latestSuffix)
		}
	}
	sort.Strings(out)
	return out
}

// views returns the SQL of a table's views over files, whose paths are given beside them.
//
// Files of one schema are read as a group by the schema of the first of them. read_parquet's
// union_by_name would open every file first, those too that are then pruned.
func views(t *Table, files []*ledger.File, paths []string) []string {
	groups := map[string][]string{}
	var order []string
	for i, f := range files {
		if groups[f.Schema] == nil {
			order = append(order, f.Schema)
		}
		groups[f.Schema] = append(groups[f.Schema], paths[i])
	}
	var all []string
	for _, schema := range order {
		all = append(all, scan(t.Lake.Manifest, groups[schema]))
	}
	if len(all) == 0 {
		all = []string{none(t.Lake.Manifest)}
	}
	out := []string{fmt.Sprintf("CREATE VIEW %s AS %s", ledger.Ident(t.Name), strings.Join(all, "\nUNION ALL BY NAME "))}
	if latest := t.Lake.Latest(ledger.Ident(t.Name)); latest != "" {
		out = append(out, fmt.Sprintf("CREATE VIEW %s AS %s", ledger.Ident(t.Name+latestSuffix), latest))
	}
	return out
}

// scan selects from files of one schema.
func scan(m *ledger.Manifest, paths []string) string {
	hive := "hive_partitioning = false"
	if len(m.Shape.Partition) > 0 {
		var types []string
		for _, p := range m.Shape.Partition {
			types = append(types, ledger.Quote(p.Name)+": "+ledger.SQLType(p.Type))
		}
		hive = "hive_partitioning = true, hive_types = {" + strings.Join(types, ", ") + "}"
	}
	return "SELECT * FROM read_parquet(" + list(paths) + ", " + hive + ")"
}

// list is a list of texts in SQL.
func list(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = ledger.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// none has the columns of a table and no rows.
func none(m *ledger.Manifest) string {
	var cols []string
	for _, c := range Columns(m) {
		cols = append(cols, fmt.Sprintf("CAST(NULL AS %s) AS %s", ledger.SQLType(c.Type), ledger.Ident(c.Name)))
	}
	if len(cols) == 0 {
		cols = []string{"NULL AS nothing"}
	}
	return "SELECT " + strings.Join(cols, ", ") + " WHERE false"
}

// Columns lists a table's columns, those that folders' names add at the end.
func Columns(m *ledger.Manifest) []ledger.Column {
	var out []ledger.Column
	seen := map[string]bool{}
	for _, c := range append(append([]ledger.Column{}, m.Shape.Columns...), m.Shape.Partition...) {
		if !seen[c.Name] {
			seen[c.Name] = true
			out = append(out, c)
		}
	}
	return out
}
