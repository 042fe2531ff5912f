//go:build duckdb && cgo

package query

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/ledger"
)

// Available tells whether Run can run anything: whether DuckDB is in this binary.
const Available = true

// ErrUnavailable says how to get a binary that can.
var ErrUnavailable = errors.New("BUG: SQL is in this binary")

// session is a DuckDB for one statement.
type session struct {
	db   *sql.DB
	conn *sql.Conn
	q    *Request
	env  *env.Env
}

// Run answers a request. What is wrong with its statement is a *Problem, and nothing is written then,
// unless it turns out when rows are on their way.
func Run(ctx context.Context, e *env.Env, q *Request, out io.Writer) (sum Summary, err error) {
	if err := q.Check(); err != nil {
		return sum, err
	}
	defer func() {
		if err != nil && ctx.Err() != nil { // whatever it says, this is why
			err = context.Cause(ctx)
		}
	}()
	tables, err := Find(ctx, e, q.Sources)
	if err != nil {
		return sum, err
	}
	s, err := open(ctx, e, q)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	t, err := s.parse(ctx, tables)
	if err != nil {
		return sum, err
	}
	if err := s.prepare(ctx, t, tables, &sum); err != nil {
		return sum, err
	}
	err = s.run(ctx, t, out, &sum)
	return sum, err
}

// open makes a database in memory that has no way out but files.
func open(ctx context.Context, e *env.Env, q *Request) (*session, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &session{db, conn, q, e}
	settings := []string{
		"SET autoinstall_known_extensions = false", "SET autoload_known_extensions = false",
		"SET allow_community_extensions = false", "SET enable_logging = false",
		fmt.Sprintf("SET memory_limit = '%dB'", q.Memory), fmt.Sprintf("SET threads = %d", q.Threads),
		"SET TimeZone = 'UTC'", "SET temp_directory = " + ledger.Quote(q.Scratch),
		fmt.Sprintf("SET max_temp_directory_size = '%dB'", 8*q.Memory),
	}
	for _, text := range settings {
		if err := s.exec(ctx, text); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *session) close() error { return errors.Join(s.conn.Close(), s.db.Close()) }

func (s *session) exec(ctx context.Context, text string) error {
	if _, err := s.conn.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("DuckDB refuses %.60q: %w", text, err)
	}
	return nil
}

// parse has DuckDB parse the statement and judges its tree.
func (s *session) parse(ctx context.Context, tables []*Table) (*tree, error) {
	offset := explained(s.q.SQL)
	serialized, err := s.text(ctx, "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", s.q.SQL[offset:])
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return checkTree(serialized, s.q.SQL, offset, tables)
}

// text is the answer to a question of our own that is answered by one text.
func (s *session) text(ctx context.Context, question string, args ...any) (string, error) {
	var out string
	err := s.conn.QueryRowContext(ctx, question, args...).Scan(&out)
	return out, err
}

// problem makes a Problem of what DuckDB says about the statement.
func (s *session) problem(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := (*duckdb.Error)(nil)
	if !errors.As(err, &d) {
		return &Problem{Message: strings.Join(strings.Fields(err.Error()), " "), Ours: true}
	}
	switch d.Type {
	case duckdb.ErrorTypeOutOfMemory:
		return &Problem{Message: fmt.Sprintf("the statement needs more than its %d MiB of memory and %d MiB of disk", s.q.Memory>>20, 8*s.q.Memory>>20),
			Right: "select fewer columns or rows, or give it more memory"}
	case duckdb.ErrorTypeIO:
		return &Problem{Message: "a file of the lake cannot be read. If the statement took longer than the sink's grace period, files that it needed may have been merged away: " +
			strings.Join(strings.Fields(d.Msg), " "), Ours: true}
	case duckdb.ErrorTypePermission:
		return &Problem{Message: "files that are not of this lake are not read"}
	}
	return rephrase(d.Msg, s.q.SQL)
}

// tryLimit returns the statement with a limit on its rows; "" where it cannot have one from outside.
func (s *session) tryLimit(ctx context.Context, t *tree, rows int64) string {
	mods, ok := t.node["modifiers"].([]any)
	if !ok || explained(s.q.SQL) > 0 {
		return ""
	}
	for _, m := range mods {
		if kind, _ := m.(map[string]any); kind == nil || strings.HasPrefix(text(kind["type"]), "LIMIT") {
			return ""
		}
	}
	// How DuckDB writes a limit, with the number that is wanted.
	like, err := s.text(ctx, "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", fmt.Sprintf("SELECT 1 LIMIT %d", rows))
	if err != nil {
		return ""
	}
	model, err := checkTree(like, "", 0, nil)
	if err != nil {
		return ""
	}
	limit, _ := model.node["modifiers"].([]any)
	node := map[string]any{}
	for k, v := range t.node {
		node[k] = v
	}
	node["modifiers"] = append(append([]any{}, mods...), limit...)
	return s.write(ctx, node)
}

// write makes SQL of a tree; "" where DuckDB cannot.
func (s *session) write(ctx context.Context, node map[string]any) string {
	doc := marshal(map[string]any{"error": false, "statements": []any{map[string]any{"node": node, "named_param_map": []any{}}}})
	out, err := s.text(ctx, "SELECT json_deserialize_sql(CAST(? AS JSON))", doc)
	if err != nil {
		return ""
	}
	return out
}

// like is the tree of a statement of our own.
func (s *session) like(ctx context.Context, text string) map[string]any {
	serialized, err := s.text(ctx, "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", text)
	if err != nil {
		return nil
	}
	var doc struct {
		Statements []struct {
			Node map[string]any `json:"node"`
		} `json:"statements"`
	}
	d := json.NewDecoder(strings.NewReader(serialized))
	d.UseNumber()
	if d.Decode(&doc) != nil || len(doc.Statements) != 1 {
		return nil
	}
	return doc.Statements[0].Node
}
