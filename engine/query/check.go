// DuckDB's json_serialize_sql gives the tree of a statement. Of it this file and prune.go know:
//
//	{"error": true, "error_type": "parser", "error_message": "...", "position": "7"}
//	{"error": false, "statements": [{"node": {...}}]}
//
//	{"type": "BASE_TABLE", "catalog_name": "", "schema_name": "", "table_name": "lake", "query_location": 14}
//	{"type": "TABLE_FUNCTION", "function": {"function_name": "range", ...}}
//	{"type": "SHOW_REF", "table_name": "\"tables\"", "query": null}
//	{"class": "FUNCTION", "function_name": "avg", "children": [...]}
//	{"cte_map": {"map": [{"key": "x", "value": {...}}]}}

package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine/config"
)

// maxDepth is how deep a tree may be nested.
const maxDepth = 2000

// tree is a statement that Check has let pass.
type tree struct {
	node map[string]any
	// tables are those it selects from, as written and in order, one entry for each mention.
	tables []string
}

// tableFunctions may stand in a FROM: they read nothing. CTEs and tables aside nothing else may.
var tableFunctions = []string{"generate_series", "generate_subscripts", "json_each", "json_tree", "range", "repeat", "unnest"}

// barredFunctions tell of the machine or run text as SQL.
var barredFunctions = []string{"current_setting", "getenv", "getvariable", "json_deserialize_sql", "json_execute_serialized_sql",
	"json_serialize_plan", "nextval", "currval", "query", "query_table", "write_log", "which_secret", "add_parquet_key", "glob"}

// barredPrefixes are of functions that read files or tell of the database.
var barredPrefixes = []string{"read_", "duckdb_", "pragma_", "pg_", "parquet_", "sniff_", "sqlite_", "icu_", "arrow_scan", "enable_", "disable_"}

// checkTree judges the JSON of a statement. offset is where it begins in sql.
func checkTree(serialized, sql string, offset int, tables []*Table) (*tree, error) {
	var doc struct {
		Error      bool             `json:"error"`
		Type       string           `json:"error_type"`
		Message    string           `json:"error_message"`
		Position   string           `json:"position"`
		Statements []map[string]any `json:"statements"`
	}
	d := json.NewDecoder(strings.NewReader(serialized))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, &Problem{Message: "the statement is not understood"}
	}
	if doc.Error {
		if doc.Type == "parser" {
			p := &Problem{Message: doc.Message}
			if at, err := strconv.Atoi(doc.Position); err == nil {
				p.locate(sql, offset+at)
			}
			return nil, p
		}
		return nil, onlySelect()
	}
	if len(doc.Statements) != 1 {
		return nil, &Problem{Message: fmt.Sprintf("these are %d statements", len(doc.Statements)), Right: "one at a time"}
	}
	node, ok := doc.Statements[0]["node"].(map[string]any)
	if !ok {
		return nil, onlySelect()
	}
	c := &checker{sql: sql, offset: offset, tables: tables, ctes: map[string]bool{}, tree: &tree{node: node}}
	c.gather(node, 0)
	c.walk(node, 0)
	return c.tree, c.err
}

func onlySelect() error {
	return &Problem{Message: "the lake is read-only: this statement is none that reads",
		Right: "SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES, PIVOT ... IN (...), or EXPLAIN in front of one"}
}

type checker struct {
	sql    string
	offset int
	tables []*Table
	ctes   map[string]bool
	tree   *tree
	err    error
}

func (c *checker) refuse(node map[string]any, right, format string, args ...any) *Problem {
	if c.err != nil {
		return nil
	}
	p := &Problem{Message: fmt.Sprintf(format, args...), Right: right}
	if at, ok := node["query_location"].(json.Number); ok {
		if n, err := strconv.Atoi(at.String()); err == nil {
			p.locate(c.sql, c.offset+n)
		}
	}
	c.err = p
	return p
}

// gather finds the names of all common table expressions.
func (c *checker) gather(v any, depth int) {
	if depth > maxDepth {
		c.refuse(nil, "", "the statement is nested too deep")
		return
	}
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			c.gather(x, depth+1)
		}
	case map[string]any:
		if m, ok := v["cte_map"].(map[string]any); ok {
			entries, _ := m["map"].([]any)
			for _, e := range entries {
				if entry, ok := e.(map[string]any); ok {
					c.ctes[strings.ToLower(text(entry["key"]))] = true
				}
			}
		}
		for _, x := range v {
			c.gather(x, depth+1)
		}
	}
}

// walk goes through a tree in a fixed order, so that of several mistakes the same is told every time.
func (c *checker) walk(v any, depth int) {
	if depth > maxDepth || c.err != nil {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			c.walk(x, depth+1)
		}
	case map[string]any:
		c.judge(v)
		for _, key := range sortedKeys(v) {
			c.walk(v[key], depth+1)
		}
	}
}

func (c *checker) judge(v map[string]any) {
	switch kind := text(v["type"]); {
	case kind == "BASE_TABLE":
		c.table(v)
	case kind == "TABLE_FUNCTION":
		f, _ := v["function"].(map[string]any)
		if name := strings.ToLower(text(f["function_name"])); !slices.Contains(tableFunctions, name) {
			c.refuse(v, "a table of the lake ("+strings.Join(names(c.tables), ", ")+"), or one of "+strings.Join(tableFunctions, ", "),
				"%.60s may not be read from here", name)
		}
	case kind == "SHOW_REF":
		if name := text(v["table_name"]); v["query"] == nil && name != `"tables"` {
			c.refuse(v, "SHOW TABLES, DESCRIBE or SUMMARIZE of a table or of a SELECT", "%.60s cannot be shown", name)
		}
	}
	if text(v["class"]) == "PARAMETER" {
		c.refuse(v, "the value itself", "a statement has no parameters here")
	}
	if name, ok := v["function_name"]; ok && text(v["class"]) == "FUNCTION" {
		c.function(v, strings.ToLower(text(name)))
	}
}

func (c *checker) function(v map[string]any, name string) {
	barred := slices.Contains(barredFunctions, name)
	for _, p := range barredPrefixes {
		barred = barred || strings.HasPrefix(name, p)
	}
	if barred {
		c.refuse(v, "", "the function %.60s may not be used here", name)
	}
}

// table finds the table that is meant.
func (c *checker) table(v map[string]any) {
	name, schema, catalog := text(v["table_name"]), strings.ToLower(text(v["schema_name"])), strings.ToLower(text(v["catalog_name"]))
	plain := schema == "" && catalog == ""
	if plain && c.ctes[strings.ToLower(name)] {
		return
	}
	known := names(c.tables)
	if plain || schema == "main" && (catalog == "" || catalog == "memory") {
		if at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); at >= 0 {
			c.tree.tables = append(c.tree.tables, known[at])
			return
		}
		for _, t := range c.tables {
			if t.Err != nil && (strings.EqualFold(t.Name, name) || strings.EqualFold(t.Name+latestSuffix, name)) {
				if p := c.refuse(v, "", "table %s cannot be read: %v", t.Name, t.Err); p != nil {
					p.Ours = true
				}
				return
			}
			if t.Lake == nil && strings.EqualFold(t.Name, name) {
				c.refuse(v, "", "nothing has been written to table %s yet", t.Name)
				return
			}
		}
	}
	if !plain {
		name = schema + "." + name
	}
	right := "there is " + strings.Join(known, ", ")
	switch near := config.Nearest(name, known); {
	case len(known) == 0:
		right = "no table of this lake has rows yet"
	case near != "":
		right = "did you mean " + near + "?"
	}
	c.refuse(v, right, "there is no table %.100s", name)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// marshal is JSON as the tree was read: numbers are kept as they were written.
func marshal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("BUG: what was JSON is none any more: " + err.Error())
	}
	return b.String()
}
