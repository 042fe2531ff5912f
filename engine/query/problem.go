package query

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is what is wrong with a statement, for its author.
type Problem struct {
	Message string `json:"error"`
	Right   string `json:"right,omitempty"` // what would be
	// Line and Column, from 1, are where it is, and Text is the line; 0 and "" where that is not known.
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text,omitempty"`
	Mark   int    `json:"mark,omitempty"` // characters of Text before the place: of a long line it is a part
	// Ours says that the statement is not to blame.
	Ours bool `json:"ours,omitempty"`
}

// Error is the problem with its line and a mark under the place.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Message)
	if p.Line > 0 {
		before, text := "  "+strconv.Itoa(p.Line)+" | ", p.Text
		lead := utf8.RuneCountInString(before)
		fmt.Fprintf(&b, " (line %d, column %d)\n%s%s\n%s^", p.Line, p.Column, before, text, strings.Repeat(" ", lead+p.Mark))
	}
	if p.Right != "" {
		if p.Line > 0 {
			b.WriteString("\n" + p.Right)
		} else {
			b.WriteString("; " + p.Right)
		}
	}
	return b.String()
}

// locate notes the place of a byte of the statement.
func (p *Problem) locate(sql string, at int) {
	if at < 0 || at > len(sql) {
		return
	}
	start := strings.LastIndexByte(sql[:at], '\n') + 1
	p.Line = strings.Count(sql[:start], "\n") + 1
	line, _, _ := strings.Cut(sql[start:], "\n")
	p.show(strings.ToValidUTF8(strings.TrimRight(line, "\r"), "?"), utf8.RuneCountInString(sql[start:at])+1)
}

// show keeps a line readable: tabs take one place, and of a long one the surroundings of the column are shown.
func (p *Problem) show(line string, column int) {
	const most, before = 120, 60
	p.Column, p.Mark = column, column-1
	r := []rune(strings.ReplaceAll(line, "\t", " "))
	if len(r) <= most {
		p.Text = string(r)
		return
	}
	from := max(min(column-1-before, len(r)-most), 0)
	p.Text = string(r[from:min(from+most, len(r))])
	p.Mark = column - 1 - from
}

// rephrasing is a message of DuckDB's as this program says it.
type rephrasing struct {
	from           *regexp.Regexp
	message, right string
}

var rephrasings = []rephrasing{
	{regexp.MustCompile(`(?s)^Referenced column "([^"]*)" not found in FROM clause!\s*Candidate bindings: (.*)$`), `there is no column $1`, `nearest: $2`},
	{regexp.MustCompile(`(?s)^Referenced column "([^"]*)" was not found because the FROM clause is missing$`), `there is no column $1: no table is named`, `SELECT ... FROM lake`},
	{regexp.MustCompile(`(?s)^Referenced table "([^"]*)" not found!\s*Candidate tables: (.*)$`), `there is no table $1 in this FROM`, `nearest: $2`},
	{regexp.MustCompile(`(?s)^(?:Scalar|Aggregate|Table) Function with name "?([^" ]*)"? does not exist!\s*Did you mean "([^"]*)"\?.*$`), `there is no function $1`, `did you mean $2?`},
	{regexp.MustCompile(`(?s)^column "?([^" ]*)"? must appear in the GROUP BY clause.*$`), `$1 is neither grouped by nor in an aggregate`, `GROUP BY ALL groups by all that is not`},
}

var (
	errorKind = regexp.MustCompile(`^(?:[A-Za-z-]+ ){1,4}Error: `)
	errorLine = regexp.MustCompile(`(?s)\n\nLINE (\d+): ([^\n]*)\n( *)\^.*$`)
)

// rephrase makes a Problem of a message of DuckDB's about a statement.
func rephrase(message, sql string) *Problem {
	p := &Problem{}
	if m := errorLine.FindStringSubmatchIndex(message); m != nil {
		line, _ := strconv.Atoi(message[m[2]:m[3]])
		excerpt := message[m[4]:m[5]]
		column := m[7] - m[6] - len("LINE : ") - (m[3] - m[2])
		p.Line = line
		if column < 0 || column > len(excerpt) {
			p.Line = 0
		} else {
			p.show(excerpt, column+1)
			p.whole(sql, excerpt, column)
		}
		message = message[:m[0]]
	}
	kind := errorKind.FindString(message)
	message = strings.TrimSpace(message[len(kind):])
	for _, r := range rephrasings {
		if m := r.from.FindStringSubmatchIndex(message); m != nil {
			p.Message = string(r.from.ExpandString(nil, r.message, message, m))
			p.Right = strings.TrimSpace(string(r.from.ExpandString(nil, r.right, message, m)))
			return p
		}
	}
	p.Message = strings.Join(strings.Fields(message), " ")
	return p
}

// whole replaces an excerpt, which may be cut at both ends, by the line that it is from.
func (p *Problem) whole(sql, excerpt string, column int) {
	lines := strings.Split(sql, "\n")
	if p.Line > len(lines) {
		return
	}
	line := lines[p.Line-1]
	core, lead := excerpt, 0
	if rest, cut := strings.CutPrefix(core, "..."); cut {
		core, lead = rest, len("...")
	}
	core = strings.TrimSuffix(core, "...")
	if at := strings.Index(line, core); at >= 0 && strings.Count(line, core) == 1 && column >= lead {
		if end := at + column - lead; end <= len(line) {
			p.show(strings.TrimRight(line, "\r"), utf8.RuneCountInString(line[:end])+1)
		}
	}
}
