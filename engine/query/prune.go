package query

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/ledger"
)

// conditions returns those of a statement on a table's partition columns, as trees, that every row has
// to fulfil that the statement needs of the table; nil where that cannot be said.
//
// It can where the table is mentioned once, alone in the FROM of a SELECT, for then a row counts
// only if the whole WHERE is true for it, and names in the WHERE mean the table's columns
// first. So every part of its outermost AND that speaks of partition columns alone will do.
func (t *tree) conditions(table *Table) []any {
	mentions := 0
	for _, name := range t.tables {
		if name == table.Name || name == table.Name+latestSuffix {
			mentions++
		}
	}
	if mentions != 1 || !slices.Contains(t.tables, table.Name) {
		return nil
	}
	sel := selectFrom(t.node, table.Name)
	if sel == nil {
		return nil
	}
	from := sel["from_table"].(map[string]any)
	if aliases, _ := from["column_name_alias"].([]any); len(aliases) > 0 {
		return nil
	}
	where, _ := sel["where_clause"].(map[string]any)
	var out []any
	for _, part := range parts(where) {
		if c, ok := onlyPartitions(part, table, []string{table.Name, text(from["alias"])}); ok {
			out = append(out, c)
		}
	}
	return out
}

// selectFrom finds the SELECT that has nothing but a table in its FROM.
func selectFrom(v any, table string) map[string]any {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if found := selectFrom(x, table); found != nil {
				return found
			}
		}
	case map[string]any:
		if from, ok := v["from_table"].(map[string]any); ok && text(v["type"]) == "SELECT_NODE" &&
			text(from["type"]) == "BASE_TABLE" && strings.EqualFold(text(from["table_name"]), table) {
			return v
		}
		for _, key := range sortedKeys(v) {
			if found := selectFrom(v[key], table); found != nil {
				return found
			}
		}
	}
	return nil
}

// parts takes an AND apart.
func parts(where map[string]any) []any {
	if where == nil {
		return nil
	}
	if text(where["type"]) != "CONJUNCTION_AND" {
		return []any{where}
	}
	var out []any
	children, _ := where["children"].([]any)
	for _, c := range children {
		if m, ok := c.(map[string]any); ok {
			out = append(out, parts(m)...)
		}
	}
	return out
}

// harmless are functions that give the same for the same.
var harmless = []string{"~~", "!~~", "~~*", "!~~*", "+", "-", "lower", "upper", "starts_with", "prefix", "contains", "suffix", "ends_with",
	"year", "month", "day", "date_trunc", "to_days", "to_hours", "to_months", "to_years", "to_weeks"}

// onlyPartitions tells whether a condition speaks of nothing but partition columns, and returns it with plain names.
func onlyPartitions(v any, table *Table, calls []string) (any, bool) {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			c, ok := onlyPartitions(x, table, calls)
			if !ok {
				return nil, false
			}
			out[i] = c
		}
		return out, true
	case map[string]any:
		return onlyPartitionsOf(v, table, calls)
	}
	return v, true
}

func onlyPartitionsOf(v map[string]any, table *Table, calls []string) (any, bool) {
	switch class := text(v["class"]); class {
	case "COLUMN_REF":
		path, _ := v["column_names"].([]any)
		if len(path) == 2 && slices.ContainsFunc(calls, func(c string) bool { return c != "" && strings.EqualFold(c, text(path[0])) }) {
			path = path[1:]
		}
		if len(path) != 1 || !slices.ContainsFunc(table.Lake.Shape.Partition, func(c ledger.Column) bool { return strings.EqualFold(c.Name, text(path[0])) }) {
			return nil, false
		}
		return map[string]any{"class": class, "type": "COLUMN_REF", "alias": "", "query_location": json.Number("0"), "column_names": path}, true
	case "FUNCTION":
		if !slices.Contains(harmless, text(v["function_name"])) {
			return nil, false
		}
	case "", "CONSTANT", "COMPARISON", "CONJUNCTION", "OPERATOR", "CAST", "BETWEEN":
	default:
		return nil, false
	}
	out := map[string]any{}
	for _, key := range sortedKeys(v) {
		c, ok := onlyPartitions(v[key], table, calls)
		if !ok {
			return nil, false
		}
		out[key] = c
	}
	return out, true
}

// nullPartition is how a folder's name says that the column is null.
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

// filesTable is SQL that has a row for each file: its index and its partition columns.
func filesTable(m *ledger.Manifest) string {
	var b strings.Builder
	cols := []string{"CAST(i AS BIGINT) AS i"}
	head := []string{"i"}
	for k, p := range m.Shape.Partition {
		cols = append(cols, fmt.Sprintf("CAST(p%d AS %s) AS %s", k, ledger.SQLType(p.Type), ledger.Ident(p.Name)))
		head = append(head, fmt.Sprintf("p%d", k))
	}
	b.WriteString("SELECT " + strings.Join(cols, ", ") + " FROM (VALUES ")
	for i := range m.Files {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d", i)
		for _, p := range m.Shape.Partition {
			value, ok := m.Files[i].Partition[p.Name]
			if !ok || value == nullPartition {
				b.WriteString(", NULL")
			} else {
				b.WriteString(", " + ledger.Quote(value))
			}
		}
		b.WriteString(")")
	}
	b.WriteString(") AS files(" + strings.Join(head, ", ") + ")")
	return b.String()
}
