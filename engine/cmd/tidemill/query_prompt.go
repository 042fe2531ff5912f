package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/query"
)

const promptHelp = `Statements end with a semicolon. Beside them:
  .tables           the tables
  .schema [TABLE]   their columns
  .plot             draw answers; again: print them
  .quit             the end
`

// prompt answers statements as they are typed.
func (a *app) prompt(q *query.Request) error {
	fmt.Fprintf(a.err, "%s. Statements end with a semicolon; .help lists the rest.\n", count(len(q.Sources), "table"))
	in := bufio.NewScanner(a.in)
	const most = 2 << 20
	in.Buffer(nil, most)
	pending := ""
	for {
		mark := "tidemill> "
		if pending != "" {
			mark = "     ...> "
		}
		if a.outTerminal {
			fmt.Fprint(a.out, mark)
		}
		if !in.Scan() {
			return errors.Join(in.Err(), a.typed(q, pending))
		}
		line := in.Text()
		if words := strings.Fields(line); pending == "" && len(words) > 0 && strings.HasPrefix(words[0], ".") {
			if words[0] == ".quit" || words[0] == ".exit" {
				return nil
			}
			a.tell(a.command(q, words))
			continue
		}
		pending += line + "\n"
		list, rest := query.Split(pending)
		for _, text := range list {
			a.tell(a.typed(q, text))
		}
		if pending = rest; query.Blank(rest) {
			pending = ""
		}
	}
}

// typed answers a statement, unless it is empty.
func (a *app) typed(q *query.Request, text string) error {
	if query.Blank(text) {
		return nil
	}
	one := *q
	one.SQL = strings.TrimSpace(text)
	return a.answer(&one, "")
}

// tell says what went wrong; the prompt goes on.
func (a *app) tell(err error) {
	if err != nil {
		fmt.Fprintf(a.err, "%v\n", err)
	}
}

// command does what a line says that begins with a dot.
func (a *app) command(q *query.Request, words []string) error {
	switch words[0] {
	case ".help":
		_, err := io.WriteString(a.out, promptHelp)
		return err
	case ".plot":
		if q.Format == query.FormatPlot {
			q.Format = query.FormatTable
		} else {
			q.Format = query.FormatPlot
		}
		return nil
	}
	return a.dot(a.out, q, words)
}

func tablesText(out io.Writer, q *query.Request, tables []*query.Table) {
	p := query.NewPrinter(&query.Request{Format: query.FormatTable, Width: q.Width}, out)
	print := func(values ...any) { _ = p.Row(values) } // into memory
	_ = p.Begin([]query.Column{{Name: "table"}, {Name: "rows"}, {Name: "files"}, {Name: "MB"}, {Name: "to"}, {Name: "partitions"}, {Name: "latest"}})
	for _, t := range tables {
		if t.Err != nil {
			print(t.Name, nil, nil, nil, nil, nil, nil)
			continue
		}
		if t.Lake == nil {
			print(t.Name, int64(0), int64(0), nil, nil, nil, nil)
			continue
		}
		rows, bytes := t.Rows()
		latest := any(nil)
		if t.Revised() {
			latest = t.Name + "_latest"
		}
		newest := any(nil)
		for i := range t.Lake.Files {
			at := time.UnixMicro(t.Lake.Files[i].MaxTime).UTC()
			if was, ok := newest.(time.Time); !ok || at.After(was) {
				newest = at
			}
		}
		var by []string
		for _, c := range t.Lake.Shape.Partition {
			by = append(by, c.Name)
		}
		print(t.Name, rows, int64(len(t.Lake.Files)), query.Number(fmt.Sprintf("%.1f", float64(bytes)/1e6)), newest, strings.Join(by, ", "), latest)
	}
	_ = p.End(nil, nil)
	for _, t := range tables {
		if t.Err != nil {
			fmt.Fprintf(out, "%s cannot be read: %v\n", t.Name, t.Err)
		}
	}
}

func schemaText(out io.Writer, q *query.Request, tables []*query.Table, which []string) error {
	p := query.NewPrinter(&query.Request{Format: query.FormatTable, Width: q.Width}, out)
	_ = p.Begin([]query.Column{{Name: "table"}, {Name: "column"}, {Name: "type"}, {Name: "unit"}})
	found := false
	var known []string
	for _, t := range tables {
		known = append(known, t.Name)
		if t.Err != nil && len(which) > 0 && strings.EqualFold(which[0], t.Name) {
			return fmt.Errorf("table %s cannot be read: %w", t.Name, t.Err)
		}
		if t.Lake == nil || len(which) > 0 && !strings.EqualFold(which[0], t.Name) {
			continue
		}
		found = true
		for _, c := range query.Columns(t.Lake.Manifest) {
			unit := any(nil)
			if c.Unit != "" {
				unit = c.Unit
			}
			_ = p.Row([]any{t.Name, c.Name, ledger.SQLType(c.Type), unit})
		}
	}
	if !found && len(which) > 0 {
		near := config.Nearest(which[0], known)
		if near != "" {
			near = "; did you mean " + near + "?"
		}
		return fmt.Errorf("there is no table %s with rows%s", which[0], near)
	}
	return p.End(nil, nil)
}
