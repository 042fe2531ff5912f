package pipetest

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// answerBlock is what a server says to a stage that asks it, from one time of the test to another. Of several that
// hold, the one that began last counts, so that one can stand in the middle of another.
type answerBlock struct {
	To     hcl.Expression  `hcl:"to"`
	At     config.Duration `hcl:"at,optional"`
	For    config.Duration `hcl:"for,optional"`
	Table  hcl.Expression  `hcl:"table,optional"`
	Body   hcl.Expression  `hcl:"body,optional"`
	File   string          `hcl:"file,optional"`
	Status int             `hcl:"status,optional"`
	After  config.Duration `hcl:"after,optional"`
	Hang   bool            `hcl:"hang,optional"`
	Fail   bool            `hcl:"fail,optional"`
	Range  hcl.Range       `hcl:",def_range"`

	StatusRange hcl.Range `hcl:"status,attr_value_range"`
	FileRange   hcl.Range `hcl:"file,attr_value_range"`

	to, body string
	table    *table
	used     bool
}

// says lists what a block can say, for messages.
const says = "table = <<-EOT ... EOT, body = <<-EOT ... EOT, file = \"NAME\", status = 503, hang = true (there is no answer) or fail = true (nobody can be reached)"

func (a *answerBlock) read(src []byte) hcl.Diagnostics {
	diags := reference(a.To, "to", &a.to)
	said := 0
	for _, is := range []bool{!config.Absent(a.Table), !config.Absent(a.Body), a.File != "", a.Hang, a.Fail} {
		if is {
			said++
		}
	}
	switch {
	case said > 1 || a.Status != 0 && (a.Hang || a.Fail):
		diags = append(diags, config.Errorf(a.Range, "More than one answer", "An answer is one of %s; a status may stand beside a body.", says)...)
	case said == 0 && a.Status == 0:
		diags = append(diags, config.Errorf(a.Range, "No answer", "Say what is answered: %s.", says)...)
	case a.Status != 0 && (a.Status < 200 || a.Status > 599):
		diags = append(diags, config.Errorf(a.StatusRange, "Not a status", "status is one of HTTP, from 200 to 599; this is %d.", a.Status)...)
	case said == 0 && a.Status == 200:
		diags = append(diags, config.Errorf(a.StatusRange, "No answer", "status = 200 says that there is a table: write table = <<-EOT ... EOT, body = <<-EOT ... EOT or file = \"NAME\" as well.")...)
	}
	if a.Status == 0 {
		a.Status = 200
	}
	if a.At.Length() < 0 || a.For.Length() < 0 || a.After.Length() < 0 {
		diags = append(diags, config.Errorf(a.Range, "Wrong duration", "at, for and after are not negative.")...)
	}
	var more hcl.Diagnostics
	switch {
	case !config.Absent(a.Table):
		a.table, more = readTable(a.Table, src)
	case !config.Absent(a.Body):
		a.body, more = text(a.Body, "body")
	}
	return append(diags, more...)
}

// answer is a block as one stage hears it.
type answer struct {
	block       *answerBlock
	from, until int64 // us since 1970
	said        stage.Answer
}

// answerable finds what is said to each stage that asks a server. Nobody asks a real one.
func (w *world) answerable(p *plan.Plan) (diags hcl.Diagnostics) {
	w.answers = map[string][]answer{}
	var asking []string
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.Bound.Asks == nil {
				continue
			}
			asking = append(asking, n.Block.Address())
			diags = append(diags, w.answersTo(n)...)
		}
	}
	for _, a := range w.test.answers {
		if !a.used {
			detail := fmt.Sprintf("There is no %s that asks a server.%s", a.to, config.DidYouMean(a.to, asking))
			if len(asking) == 0 {
				detail = fmt.Sprintf("%s asks no server, and neither does any other stage here. Answers are for enrich \"http\".", a.to)
			}
			diags = append(diags, config.Errorf(a.To.Range(), "Nobody asks", "%s", detail)...)
		}
	}
	return diags
}

func (w *world) answersTo(n *plan.Node) (diags hcl.Diagnostics) {
	first := true // as long as nothing is said at the start
	for _, a := range w.test.answers {
		if n.Address != a.to && !strings.HasSuffix(n.Address, "."+a.to) {
			continue
		}
		a.used = true
		body, more := w.answerBody(a, n.Bound.Asks)
		diags = append(diags, more...)
		x := answer{block: a, from: w.test.Start.Add(a.At.Length()).UnixMicro(), until: 1<<63 - 1,
			said: stage.Answer{Status: a.Status, Body: body, After: a.After.Length(), Hangs: a.Hang}}
		if a.For.Length() > 0 {
			x.until = x.from + a.For.Length().Microseconds()
		}
		if a.Fail {
			x.said.Status = 0
		}
		first = first && a.At.Length() > 0
		w.answers[n.Address] = append(w.answers[n.Address], x)
	}
	slices.SortStableFunc(w.answers[n.Address], func(a, b answer) int { return cmp.Compare(a.from, b.from) })
	name := n.Block.Address()
	switch {
	case len(w.answers[n.Address]) == 0:
		return config.Errorf(w.test.Range, "No answer", "%s (%s line %d) asks %s for its table, and a test asks nobody outside. Say what it is answered:\n\n%s",
			name, n.Block.Range.Filename, n.Block.Range.Start.Line, n.Bound.Asks.Of, example(name, n.Bound.Asks))
	case first:
		diags = append(diags, config.Errorf(w.answers[n.Address][0].block.Range, "No answer at the start", "%s asks for its table as it starts: one of its answers has no at, or at = \"0s\".", name)...)
	}
	return diags
}

// example is an answer block to paste.
func example(name string, asks *stage.Asks) string {
	if asks.Format == "parquet" {
		return fmt.Sprintf("  answer {\n    to   = %s\n    file = \"NAME.parquet\" # beside the pipeline\n  }", name)
	}
	var head, row []string
	for _, f := range asks.Fields {
		cell := map[arrow.Type]string{arrow.FLOAT64: "1.5", arrow.INT64: "1", arrow.BOOL: "true", arrow.TIMESTAMP: "+0s"}[f.Type.ID()]
		if cell == "" {
			cell = "text"
		}
		wide := max(len(f.Name), len(cell))
		head, row = append(head, fmt.Sprintf("%-*s", wide, f.Name)), append(row, fmt.Sprintf("%-*s", wide, cell))
	}
	line := func(cells []string) string { return strings.TrimRight("      "+strings.Join(cells, "  "), " ") }
	return fmt.Sprintf("  answer {\n    to    = %s\n    table = <<-EOT\n%s\n%s\n    EOT\n  }", name, line(head), line(row))
}

// answerBody is what a block gives out, in the format that the stage reads.
func (w *world) answerBody(a *answerBlock, asks *stage.Asks) ([]byte, hcl.Diagnostics) {
	switch {
	case a.File != "":
		body, err := w.beside(a.File)
		if err != nil {
			return nil, config.Errorf(a.FileRange, "File cannot be read", "%v", err)
		}
		return body, nil
	case a.table == nil:
		return []byte(a.body), nil
	case asks.Format == "parquet":
		return nil, config.Errorf(a.Range, "A table is no Parquet file", "%s gives out Parquet. Write file = \"NAME.parquet\", a file beside the pipeline.", asks.Of)
	}
	var fields []string
	for _, f := range asks.Fields {
		fields = append(fields, f.Name)
	}
	var diags hcl.Diagnostics
	for _, name := range a.table.columns {
		if !slices.Contains(fields, name) {
			diags = append(diags, config.Errorf(a.Table.Range(), "Unknown column", "%s reads no column %s.%s It reads: %s.", a.to, name, config.DidYouMean(name, fields), strings.Join(fields, ", "))...)
		}
	}
	if diags.HasErrors() {
		return nil, diags
	}
	return a.table.encode(asks, w.test.Start)
}

// beside reads a file that stands beside the pipeline.
func (w *world) beside(name string) ([]byte, error) {
	if !path.IsAbs(name) {
		name = path.Join(w.dir, name)
	}
	f, err := w.o.Env.FS.Open(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.NewSectionReader(f, 0, fileMost+1))
	if len(body) > fileMost {
		err = fmt.Errorf("%s has more than %d MiB", name, fileMost>>20)
	}
	return body, errors.Join(err, f.Close())
}

// encode writes a table as a server would. Columns that it does not have are null.
func (t *table) encode(asks *stage.Asks, start time.Time) ([]byte, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	var out bytes.Buffer
	lines := csv.NewWriter(&out)
	var objects []string
	record := make([]string, len(asks.Fields))
	for i, f := range asks.Fields {
		record[i] = f.Name
	}
	write := func() {
		_ = lines.Write(record) // into memory
	}
	if asks.Format == "csv" {
		write()
	}
	for r, row := range t.rows {
		var members []string
		for i, f := range asks.Fields {
			raw, plain := "null", ""
			if k := slices.Index(t.columns, f.Name); k >= 0 {
				var err error
				if raw, plain, err = value(row[k], f.Type, start); err != nil {
					diags = append(diags, config.Errorf(t.line(t.lines[r]), "Wrong type", "%s: %v.", f.Name, err)...)
				}
			}
			record[i] = plain
			members = append(members, fmt.Sprintf("%q:%s", f.Name, raw))
		}
		if asks.Format == "csv" {
			write()
		}
		objects = append(objects, "{"+strings.Join(members, ",")+"}")
	}
	switch lines.Flush(); asks.Format {
	case "ndjson":
		for _, o := range objects {
			out.WriteString(o + "\n")
		}
	case "json":
		out.WriteString("[" + strings.Join(objects, ",\n") + "]\n")
	}
	return out.Bytes(), diags
}

// value reads a cell as a value of a type: as JSON, and as CSV has it.
func value(cell string, t arrow.DataType, start time.Time) (raw, plain string, err error) {
	raw, err = member(cell, start)
	if err != nil || raw == "null" {
		return raw, "", err
	}
	plain = raw
	quoted := raw[0] == '"'
	if quoted {
		err = json.Unmarshal([]byte(raw), &plain)
	}
	wants := t.ID() == arrow.STRING || t.ID() == arrow.TIMESTAMP
	switch {
	case err != nil:
	case t.ID() == arrow.STRING && !quoted: // 12 and true are texts, too
		text, _ := json.Marshal(raw)
		raw = string(text)
	case wants != quoted || t.ID() == arrow.BOOL && raw != "true" && raw != "false" || !wants && t.ID() != arrow.BOOL && strings.ContainsAny(raw[:1], "tf[{"):
		err = fmt.Errorf("%s is no %s", cell, expr.TypeName(t))
	}
	return raw, plain, err
}

// ask is what a stage hears; see stage.Answer. Safe for concurrent use: answers do not change while the engine runs.
func (w *world) ask(address string, at int64) stage.Answer {
	if at == 0 {
		at = w.machine.Env().Clock.Now().UnixMicro()
	}
	return w.answerAt(address, at).said
}

// answerAt is the answer that holds at a time: of those that began, and are not over, the last. Where none holds nobody can be reached.
func (w *world) answerAt(address string, at int64) (said answer) {
	for _, x := range w.answers[address] {
		if x.from <= at && at < x.until {
			said = x
		}
	}
	return said
}

// unanswered says why the engine did not start, where that is because of an answer; nil: it is not.
func (w *world) unanswered(err error) hcl.Diagnostics {
	var u *stage.Unanswered
	if !errors.As(err, &u) {
		return nil
	}
	at := w.test.Range
	if x := w.answerAt(u.Address, w.machine.Env().Clock.Now().UnixMicro()); x.block != nil {
		at = x.block.Range
	}
	return config.Errorf(at, "Does not start", "%s: %v. An engine that has no table yet does not start without one; what fails later, with at = \"1m\", leaves the table as it is.", u.Address, u.Err)
}
