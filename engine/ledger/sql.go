package ledger

import (
	"fmt"
	"path"
	"strings"
)

// SQL returns statements for DuckDB that make views of the table: one with all
// rows, and, where rows can be revised, NAME_latest with the last word on each. root is
// put before file names: "" leaves them relative to the table's root.
func (m *Manifest) SQL(root string) string {
	names := make([]string, len(m.Files))
	for i := range m.Files {
		names[i] = m.Files[i].Name
		if root != "" {
			names[i] = path.Join(root, names[i])
		}
	}
	return m.SQLOver(names)
}

// SQLOver is SQL for files that stand elsewhere, such as copies of those in a bucket.
func (m *Manifest) SQLOver(files []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- Table %s: %d files. Written anew whenever the list of files changes.\n", m.Table, len(files))
	b.WriteString("-- Names are relative to the folder above this one: start DuckDB there, with -init _tidemill/" + m.Table + ".sql\n")
	fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s AS\n%s;\n", Ident(m.Table), m.selectAll(files))
	if latest := m.Latest(Ident(m.Table)); latest != "" {
		fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s AS\n%s;\n", Ident(m.Table+"_latest"), latest)
	}
	return b.String()
}

func (m *Manifest) selectAll(files []string) string {
	if len(files) == 0 {
		return m.selectNone()
	}
	var b strings.Builder
	b.WriteString("SELECT * FROM read_parquet([")
	for i, f := range files {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  " + Quote(f))
	}
	b.WriteString("\n], union_by_name = true")
	if len(m.Shape.Partition) == 0 {
		b.WriteString(", hive_partitioning = false)")
		return b.String()
	}
	b.WriteString(", hive_partitioning = true, hive_types = {")
	for i, p := range m.Shape.Partition {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Quote(p.Name) + ": " + SQLType(p.Type))
	}
	b.WriteString("})")
	return b.String()
}

// selectNone has the table's columns and no rows.
func (m *Manifest) selectNone() string {
	var cols []string
	seen := map[string]bool{}
	for _, c := range append(append([]Column{}, m.Shape.Columns...), m.Shape.Partition...) {
		if !seen[c.Name] {
			seen[c.Name] = true
			cols = append(cols, fmt.Sprintf("CAST(NULL AS %s) AS %s", SQLType(c.Type), Ident(c.Name)))
		}
	}
	if len(cols) == 0 {
		cols = []string{"NULL AS nothing"}
	}
	return "SELECT " + strings.Join(cols, ", ") + " WHERE false"
}

// Latest returns a query for the last revision of each row of a relation; "" where rows are not revised.
func (m *Manifest) Latest(from string) string {
	if m.Shape.Revision == "" {
		return ""
	}
	keys := make([]string, len(m.Shape.Key))
	for i, k := range m.Shape.Key {
		keys[i] = Ident(k)
	}
	return fmt.Sprintf("SELECT * FROM %s\nQUALIFY row_number() OVER (PARTITION BY %s ORDER BY %s DESC, _partition, _offset DESC, _index DESC) = 1",
		from, strings.Join(keys, ", "), Ident(m.Shape.Revision))
}

// Ident is a name as SQL quotes it.
func Ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Quote is a text as SQL quotes it.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// SQLType is the SQL type of a column's type in HCL.
func SQLType(t string) string {
	if inner, ok := strings.CutPrefix(t, "list("); ok {
		return SQLType(strings.TrimSuffix(inner, ")")) + "[]"
	}
	switch t {
	case "number":
		return "DOUBLE"
	case "integer":
		return "BIGINT"
	case "bool":
		return "BOOLEAN"
	case "timestamp":
		return "TIMESTAMP WITH TIME ZONE"
	case "date":
		return "DATE"
	case "place":
		return "INTEGER"
	}
	return "VARCHAR"
}
