package config

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Terminal escapes of coloured output.
const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	bold   = "\x1b[1m"
	plain0 = "\x1b[0m"
)

// maxPrinted limits how many diagnostics Print writes out; it says how many more there are.
const maxPrinted = 100

// Print writes diagnostics for a person:
//
//	Error: Unsupported argument
//
//	  on cold_chain.hcl line 4, in pipeline "cold_chain":
//	   4:     sise = "5m"
//	          ^^^^
//
//	An argument named "sise" is not expected here. Did you mean "size"?
//
// files are Config.Files. The order is that of diags.
func Print(w io.Writer, diags hcl.Diagnostics, files map[string]*hcl.File, color bool) error {
	var b strings.Builder
	for i, d := range diags {
		if i == maxPrinted {
			fmt.Fprintf(&b, "... and %d more.\n", len(diags)-maxPrinted)
			break
		}
		if i > 0 {
			b.WriteString("\n")
		}
		printOne(&b, d, files, color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printOne(b *strings.Builder, d *hcl.Diagnostic, files map[string]*hcl.File, color bool) {
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return code + text + plain0
	}
	if d.Severity == hcl.DiagWarning {
		b.WriteString(paint(yellow, "Warning: "))
	} else {
		b.WriteString(paint(red, "Error: "))
	}
	b.WriteString(paint(bold, d.Summary) + "\n\n")
	if d.Subject != nil {
		printPlace(b, *d.Subject, files[d.Subject.Filename], paint)
	}
	if d.Detail != "" {
		b.WriteString(strings.TrimRight(d.Detail, "\n") + "\n")
	}
}

// printPlace writes where a diagnostic is, and its first line with a mark below.
func printPlace(b *strings.Builder, at hcl.Range, file *hcl.File, paint func(code, text string) string) {
	if file != nil {
		at = onLine(file.Bytes, at)
	}
	fmt.Fprintf(b, "  on %s line %d", at.Filename, at.Start.Line)
	if within := enclosing(file, at.Start.Byte); within != "" {
		b.WriteString(", in " + within)
	}
	if file == nil || at.Start.Byte > len(file.Bytes) {
		b.WriteString("\n\n")
		return
	}
	b.WriteString(":\n")
	line, before, marked := sourceLine(file.Bytes, at)
	head := fmt.Sprintf("  %2d: ", at.Start.Line)
	b.WriteString(head + withoutSecrets(line) + "\n")
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	b.WriteString(strings.Repeat(" ", len(head)) + pad + paint(red, strings.Repeat("^", max(marked, 1))) + "\n\n")
}

// secrets are what is not shown of a line: what stands between a user's name and a host, and what a name says of a value that it is one, in HCL
// and in the YAML of a heredoc. A name that goes on, such as password_file, has a path.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(://[^:/@\s"]*:)([^/@\s"]+)@`),
	regexp.MustCompile(`(?i)((?:password|secret|secret_key|token|authorization)"?\s*[=:]\s*")((?:[^"\\]|\\.)+)`),
	regexp.MustCompile(`(?i)((?:password|secret|secret_key|token|authorization):\s+)([^\s"'].*)`),
}

// withoutSecrets is a line of a file as it may stand in a log, as long as it was. What is computed stays: it tells a name, and no secret.
func withoutSecrets(line string) string {
	for _, r := range secrets {
		out, from := "", 0
		for _, at := range r.FindAllStringSubmatchIndex(line, -1) {
			if value := line[at[4]:at[5]]; !strings.Contains(value, "${") {
				out, from = out+line[from:at[4]]+strings.Repeat("*", utf8.RuneCountInString(value)), at[5]
			}
		}
		line = out + line[from:]
	}
	return line
}

// onLine is at, with the bytes of its line where they are another line's: who finds a mistake in a text that stands in the file
// knows the line and the column alone.
func onLine(src []byte, at hcl.Range) hcl.Range {
	if at.Start.Byte > len(src) || bytes.Count(src[:at.Start.Byte], []byte("\n"))+1 == at.Start.Line {
		return at
	}
	start := 0
	for range at.Start.Line - 1 {
		next := bytes.IndexByte(src[start:], '\n')
		if next < 0 {
			return at
		}
		start += next + 1
	}
	line, _, _ := bytes.Cut(src[start:], []byte("\n"))
	at.Start.Byte = start + min(max(at.Start.Column-1, 0), len(line))
	at.End.Byte = min(at.Start.Byte+1, start+len(line))
	return at
}

func enclosing(file *hcl.File, offset int) string {
	if file == nil {
		return ""
	}
	nav, ok := file.Nav.(interface{ ContextString(offset int) string })
	if !ok {
		return ""
	}
	return nav.ContextString(offset)
}

// sourceLine returns the line at which a range starts, cut to a bearable
// length, what stands on it before the range, and how many characters of it the range has.
func sourceLine(src []byte, at hcl.Range) (line, before string, marked int) {
	const most = 160
	start := at.Start.Byte
	for start > 0 && src[start-1] != '\n' {
		start--
	}
	end := at.Start.Byte
	for end < len(src) && src[end] != '\n' && src[end] != '\r' {
		end++
	}
	left, right := "", ""
	if at.Start.Byte-start > most/2 {
		start, left = at.Start.Byte-most/2, "..."
	}
	if end-start > most {
		end, right = start+most, "..."
	}
	stop := min(max(at.End.Byte, at.Start.Byte), end)
	before = left + printable(src[start:at.Start.Byte])
	inside := printable(src[at.Start.Byte:stop])
	return before + inside + printable(src[stop:end]) + right, before, utf8.RuneCountInString(inside)
}

// printable replaces what would upset a terminal.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, string(text))
}

// Problem is a diagnostic for machines, to be written as JSON.
type Problem struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`   // from 1
	Column   int    `json:"column,omitempty"` // in characters, from 1
	EndLine  int    `json:"end_line,omitempty"`
	EndCol   int    `json:"end_column,omitempty"` // of the first character after
}

// Problems converts diagnostics for JSON, in their order.
func Problems(diags hcl.Diagnostics) []Problem {
	list := make([]Problem, len(diags))
	for i, d := range diags {
		list[i] = Problem{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			list[i].Severity = "warning"
		}
		if at := d.Subject; at != nil {
			list[i].File, list[i].Line, list[i].Column = at.Filename, at.Start.Line, at.Start.Column
			list[i].EndLine, list[i].EndCol = at.End.Line, at.End.Column
		}
	}
	return list
}
