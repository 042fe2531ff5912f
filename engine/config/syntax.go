package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const (
	maxRounds     = 50      // how often a file with mistakes is parsed again
	maxRoundBytes = 2 << 20 // of all rounds
)

// repair is a file whose syntax has mistakes. The parser falls silent after its
// first complaint, so the line complained of is taken out and the file parsed again: all
// mistakes are told at once, and what is sound is read.
type repair struct {
	name  string
	src   []byte // as written
	work  []byte // with lines taken out; positions are those of src
	diags hcl.Diagnostics
	blank []hcl.Range // values taken out
	torn  []hcl.Range // where blocks or arguments may have been lost
	seen  map[int]bool
}

// parseAll parses a file that is within its limits. The body has an
// ExprSyntaxError wherever an argument's value could not be read.
func parseAll(src []byte, name string) (*hcl.File, hcl.Diagnostics, []hcl.Range) {
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if !diags.HasErrors() {
		return file, diags, nil
	}
	r := &repair{name: name, src: src, work: append([]byte(nil), src...), seen: map[int]bool{}}
	rounds := min(maxRounds, 1+maxRoundBytes/len(src))
	for round := 0; diags.HasErrors(); round++ {
		if round == rounds || len(diags) > maxMistakes || !r.round(diags) || checkLimits(r.work, name).HasErrors() {
			r.giveUp(diags)
			break
		}
		file, diags = hclsyntax.ParseConfig(r.work, name, hcl.InitialPos)
	}
	file.Bytes = src
	r.markBlank(file.Body.(*hclsyntax.Body))
	for i, d := range r.diags {
		r.diags[i] = openHeredoc(d, src)
	}
	return file, r.diags, r.torn
}

// openHeredoc moves the complaint about a heredoc without an end from the end of the file to where it begins.
func openHeredoc(d *hcl.Diagnostic, src []byte) *hcl.Diagnostic {
	if d.Summary != "Unterminated template string" {
		return d
	}
	tokens, _ := hclsyntax.LexConfig(src, d.Subject.Filename, hcl.InitialPos)
	for _, t := range slices.Backward(tokens) {
		if t.Type == hclsyntax.TokenCHeredoc {
			break
		}
		if t.Type == hclsyntax.TokenOHeredoc {
			marker := strings.TrimSpace(string(t.Bytes))
			moved := *d
			moved.Subject = &hcl.Range{Filename: t.Range.Filename, Start: t.Range.Start,
				End: hcl.Pos{Line: t.Range.Start.Line, Column: t.Range.Start.Column + len(marker), Byte: t.Range.Start.Byte + len(marker)}}
			moved.Summary = "Unclosed heredoc"
			moved.Detail = fmt.Sprintf("The text that begins here goes on to the end of the file: there is no line with %s and nothing else.", strings.TrimLeft(marker, "<-"))
			return &moved
		}
	}
	return d
}

// giveUp notes where the file was not understood, and takes in what the parser
// said of it although some of that may come of what it said before.
func (r *repair) giveUp(diags hcl.Diagnostics) {
	for _, d := range diags {
		if d.Summary == "Attribute redefined" {
			continue
		}
		r.torn = append(r.torn, *d.Subject)
		if !r.seen[d.Subject.Start.Line] && len(r.diags) <= maxMistakes {
			r.seen[d.Subject.Start.Line] = true
			r.diags = append(r.diags, rephrase(relocate(d, r.work), r.work))
		}
	}
}

// fromLexer says that a message is about characters, not about what they form.
func fromLexer(d *hcl.Diagnostic) bool {
	switch d.Summary { // as the lexer calls them
	case "Invalid character", "Unsupported operator", "Invalid multi-line string", "Invalid character encoding":
		return true
	}
	return false
}

// round takes in the messages of one parse and takes out the lines that they
// are about. It returns false when nothing could be taken out.
func (r *repair) round(diags hcl.Diagnostics) bool {
	diags = Sort(diags)
	lexed, progress := map[int]bool{}, false
	for i, d := range diags {
		if fromLexer(d) {
			lexed[d.Subject.Start.Line] = true
		}
		if d.Summary == "Invalid multi-line string" { // what follows was read inside out
			diags = diags[:i+1]
			break
		}
	}
	for _, d := range diags {
		d = relocate(d, r.work)
		line := d.Subject.Start.Line
		if d.Summary == "Attribute redefined" { // the parser goes on undisturbed
			r.diags = append(r.diags, rephrase(d, r.work))
			continue
		}
		if r.seen[line] || lexed[line] && !fromLexer(d) {
			continue
		}
		r.seen[line] = true
		lexical := fromLexer(d)
		d = rephrase(d, r.work)
		r.diags = append(r.diags, d)
		if r.takeOut(d) && !lexical {
			return true // what the parser says after its first complaint may come of that
		}
		progress = progress || lexical
	}
	return progress
}

// relocate moves the complaint about a bracket that was left open from the
// line where another token came in its way to the line where it was opened.
func relocate(d *hcl.Diagnostic, src []byte) *hcl.Diagnostic {
	if d.Context == nil || d.Context.Start.Line == d.Subject.Start.Line {
		return d
	}
	switch d.Summary {
	case "Unbalanced parentheses", "Missing argument separator", "Missing item separator", "Missing attribute separator", "Missing key/value separator", "Missing close bracket on index":
	default:
		return d
	}
	if found := at(src, *d.Subject); found != "" && !strings.ContainsAny(found[:1], ")]}\n") {
		return d
	}
	moved := *d
	start := d.Context.Start
	moved.Subject = &hcl.Range{Filename: d.Subject.Filename, Start: start, End: hcl.Pos{Line: start.Line, Column: start.Column + 1, Byte: start.Byte + 1}}
	moved.Summary = "Bracket left open"
	moved.Detail = "The bracket that opens here is not closed where its expression ends."
	return &moved
}

// takeOut replaces the value on the line of a message by null, or the whole
// line by blanks.
func (r *repair) takeOut(d *hcl.Diagnostic) bool {
	start, end := lineOf(r.work, d.Subject.Start.Byte)
	line := string(r.work[start:end])
	if strings.TrimSpace(line) == "" || d.Summary == "Brace on a new line" {
		return false
	}
	if d.Summary == "Unfinished expression" {
		r.takeOutRest(end)
		r.seen[d.Subject.Start.Line+1] = true
	}
	head := assignment(line)
	open := d.Summary == "Bracket left open" || d.Summary == "Unclosed string"
	if !open && !balanced(line) || open && head == 0 {
		return false
	}
	if rest := line[head:]; head > 0 && len(rest) >= len("null") {
		copy(r.work[start+head:end], "null"+strings.Repeat(" ", len(rest)-4))
		r.blank = append(r.blank, *d.Subject)
		return true
	}
	copy(r.work[start:end], strings.Repeat(" ", end-start))
	r.torn = append(r.torn, *d.Subject)
	return true
}

// takeOutRest takes out the line on which an unfinished expression goes on.
func (r *repair) takeOutRest(end int) {
	for end < len(r.work) && (r.work[end] == '\r' || r.work[end] == '\n') {
		end++
	}
	start, end := lineOf(r.work, end)
	line := string(r.work[start:end])
	if assignment(line) == 0 && balanced(line) {
		copy(r.work[start:end], strings.Repeat(" ", end-start))
	}
}

// lineOf returns where the line around an offset starts and ends, without its break.
func lineOf(src []byte, offset int) (start, end int) {
	offset = min(offset, len(src))
	start, end = offset, offset
	for start > 0 && src[start-1] != '\n' {
		start--
	}
	for end < len(src) && src[end] != '\n' && src[end] != '\r' {
		end++
	}
	return start, end
}

// assignment returns the length of "  name = " at the start of a line; 0 when
// the line starts otherwise.
func assignment(line string) int {
	i := len(line) - len(strings.TrimLeft(line, " \t"))
	name := i
	for i < len(line) && (nameByte(line[i]) || line[i] == '-') {
		i++
	}
	if i == name {
		return 0
	}
	rest := strings.TrimLeft(line[i:], " \t")
	if !strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "==") {
		return 0
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	return len(line) - len(rest)
}

// balanced says that a line closes what it opens, and nothing else.
func balanced(line string) bool {
	tokens, _ := hclsyntax.LexConfig([]byte(line), "", hcl.InitialPos)
	var stack []hclsyntax.TokenType
	for _, t := range tokens {
		if closer, opens := closerOf(t.Type); opens {
			stack = append(stack, closer)
			continue
		}
		switch t.Type {
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenTemplateSeqEnd:
			if len(stack) == 0 || stack[len(stack)-1] != t.Type {
				return false
			}
			stack = stack[:len(stack)-1]
		}
	}
	return len(stack) == 0
}

// markBlank puts an ExprSyntaxError in the place of values that were taken out.
func (r *repair) markBlank(body *hclsyntax.Body) {
	for _, a := range attributes(body) {
		for _, b := range r.blank {
			if b.Start.Line >= a.SrcRange.Start.Line && b.Start.Line <= a.SrcRange.End.Line {
				a.Expr = &hclsyntax.ExprSyntaxError{Placeholder: cty.DynamicVal, SrcRange: a.Expr.Range()}
				break
			}
		}
	}
	for _, b := range body.Blocks {
		r.markBlank(b.Body)
	}
}

// at returns the source text of a range.
func at(src []byte, r hcl.Range) string {
	if r.End.Byte > len(src) || r.Start.Byte > r.End.Byte {
		return ""
	}
	return string(src[r.Start.Byte:r.End.Byte])
}
