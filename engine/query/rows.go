//go:build duckdb && cgo

package query

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"sort"
	"strings"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/ledger"
)

// parquetName is the file, in the request's scratch folder, that a Parquet answer is written to.
const parquetName = "answer.parquet"

// run runs the statement and writes its rows.
func (s *session) run(ctx context.Context, t *tree, out io.Writer, sum *Summary) error {
	names, err := s.names()
	if err != nil {
		return s.problem(ctx, err)
	}
	if s.q.Format == FormatParquet {
		return s.parquet(ctx, t, out, sum)
	}
	limit := s.q.Rows
	if most, ok := map[string]int64{FormatTable: tableRows, FormatPlot: plotRows}[s.q.Format]; ok && (limit == 0 || limit > most) {
		limit = most
	}
	text := s.q.SQL
	if limit > 0 {
		if limited := s.tryLimit(ctx, t, limit+1); limited != "" {
			text = limited
		}
	}
	return s.rows(ctx, text, names, limit, NewPrinter(s.q, out), sum)
}

// names are the columns of the answer, as the statement says them. Preparing it finds most of its
// mistakes, with their places in the statement as it was written.
func (s *session) names() (names []string, err error) {
	raw := s.conn.Raw(func(c any) error {
		p, err := c.(*duckdb.Conn).Prepare(s.q.SQL)
		if err != nil {
			return err
		}
		stmt := p.(*duckdb.Stmt)
		n, err := stmt.ColumnCount()
		for i := 0; i < n && err == nil; i++ {
			var name string
			name, err = stmt.ColumnName(i)
			names = append(names, name)
		}
		return errors.Join(err, stmt.Close())
	})
	return names, raw
}

// rows writes up to limit rows, 0 for all.
func (s *session) rows(ctx context.Context, text string, names []string, limit int64, p Printer, sum *Summary) error {
	rows, err := s.conn.QueryContext(ctx, text)
	if err != nil {
		return s.problem(ctx, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return s.problem(ctx, err)
	}
	cols := make([]Column, len(types))
	values, into := make([]any, len(types)), make([]any, len(types))
	for i, t := range types {
		cols[i] = Column{t.Name(), t.DatabaseTypeName()}
		if into[i] = &values[i]; len(names) == len(types) {
			cols[i].Name = names[i]
		}
	}
	if err := p.Begin(cols); err != nil {
		return err
	}
	for rows.Next() {
		if limit > 0 && sum.Rows == limit {
			sum.More = true
			break
		}
		if err := rows.Scan(into...); err != nil {
			return s.end(ctx, p, sum, err)
		}
		for i := range values {
			values[i] = plain(values[i], cols[i].Type)
		}
		if err := p.Row(values); err != nil {
			return err
		}
		sum.Rows++
	}
	return s.end(ctx, p, sum, rows.Err())
}

// end ends an answer, of which rows are out already.
func (s *session) end(ctx context.Context, p Printer, sum *Summary, err error) error {
	if err != nil {
		err = s.problem(ctx, err)
	}
	return errors.Join(err, p.End(sum, err))
}

// parquet writes the answer as a Parquet file, by way of the scratch folder.
func (s *session) parquet(ctx context.Context, t *tree, out io.Writer, sum *Summary) error {
	text := s.write(ctx, t.node)
	if text == "" || explained(s.q.SQL) > 0 {
		return &Problem{Message: "the answer to this statement has no types to write into a Parquet file", Right: "another format"}
	}
	text = strings.TrimSuffix(strings.TrimSpace(text), ";")
	if s.q.Rows > 0 {
		text = fmt.Sprintf("SELECT * FROM (%s) LIMIT %d", text, s.q.Rows)
	}
	name := filepath.Join(s.q.Scratch, parquetName)
	row := s.conn.QueryRowContext(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)", text, ledger.Quote(name)))
	if err := row.Scan(&sum.Rows); err != nil {
		return s.problem(ctx, err)
	}
	sum.More = s.q.Rows > 0 && sum.Rows == s.q.Rows // there may be
	f, err := s.env.FS.Open(name, env.ReadOnly)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = io.Copy(out, io.NewSectionReader(f, 0, info.Size()))
	}
	return errors.Join(err, f.Close(), s.env.FS.Remove(name))
}

// plain makes a value of DuckDB's one that printers know: nil, bool, int64, uint64, float64, Number, string,
// time.Time, []any or Object.
func plain(v any, typ string) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case float32:
		return float64(v)
	case *big.Int:
		return Number(v.String())
	case duckdb.Decimal:
		return decimal(v.Value, int(v.Scale))
	case duckdb.UUID:
		return v.String()
	case duckdb.Interval:
		return interval(v)
	case duckdb.Union:
		return plain(v.Value, "")
	case []byte:
		if typ == "UUID" && len(v) == len(duckdb.UUID{}) {
			u := duckdb.UUID(v)
			return u.String()
		}
		return `\x` + hex.EncodeToString(v)
	}
	return nested(v)
}

func nested(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, uint64, float64, string, time.Time:
		return v
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x, "")
		}
		return out
	case map[string]any:
		out := Object{}
		for k, x := range v {
			out = append(out, Field{k, plain(x, "")})
		}
		sort.Slice(out, func(i, k int) bool { return out[i].Name < out[k].Name })
		return out
	case duckdb.Map:
		out := Object{}
		for k, x := range v {
			out = append(out, Field{display(plain(k, ""), ""), plain(x, "")})
		}
		sort.Slice(out, func(i, k int) bool { return out[i].Name < out[k].Name })
		return out
	}
	return fmt.Sprint(v)
}

// decimal writes all digits that the type has: 1.50 of DECIMAL(5,2).
func decimal(v *big.Int, scale int) Number {
	digits := new(big.Int).Abs(v).String()
	if scale > 0 {
		digits = strings.Repeat("0", max(scale+1-len(digits), 0)) + digits
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if v.Sign() < 0 {
		digits = "-" + digits
	}
	return Number(digits)
}

// interval is a span of time as SQL writes it.
func interval(v duckdb.Interval) string {
	var parts []string
	if v.Months != 0 {
		parts = append(parts, fmt.Sprintf("%d months", v.Months))
	}
	if v.Days != 0 {
		parts = append(parts, fmt.Sprintf("%d days", v.Days))
	}
	if v.Micros != 0 || len(parts) == 0 {
		parts = append(parts, (time.Duration(v.Micros) * time.Microsecond).String())
	}
	return strings.Join(parts, " ")
}
