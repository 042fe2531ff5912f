package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

const oneLine = "An expression ends with its line. Put it in parentheses to write it over several lines."

// rephrase adds to a message of the parser what would be right, where the
// parser, which knows no other language, cannot.
func rephrase(d *hcl.Diagnostic, src []byte) *hcl.Diagnostic {
	start, end := lineOf(src, d.Subject.Start.Byte)
	before := string(src[start:min(d.Subject.Start.Byte, end)])
	found := at(src, *d.Subject)
	if found != "" && found[0] == '#' || strings.HasPrefix(found, "//") {
		found = "\n" // a comment ends a line
	}
	after := ""
	if d.Subject.End.Byte <= end {
		after = string(src[d.Subject.End.Byte:end])
	}
	summary, detail := betterText(d, before, found, after, src)
	if detail == "" {
		return d
	}
	better := *d
	better.Detail = detail
	if summary != "" {
		better.Summary = summary
	}
	return &better
}

// betterText returns "" when the parser's own words are good.
func betterText(d *hcl.Diagnostic, before, found, after string, src []byte) (summary, detail string) {
	touching := before
	before = strings.TrimRight(before, " \t")
	switch d.Summary {
	case "Missing newline after argument", "Missing attribute separator", "Missing argument separator", "Missing item separator", "Unbalanced parentheses":
		if n := len(touching); n > 0 && touching[n-1] >= '0' && touching[n-1] <= '9' && isWord(found) {
			return "Number with a unit", fmt.Sprintf("A number has no unit. A duration or a size is a text: %q. In an expression write the number alone.", lastWord(before)+found)
		}
		return foreignOperator(before, found)
	case "Missing false expression in conditional":
		if strings.Contains(before, "??") {
			return "Unknown operator", "There is no operator ??. Write coalesce(a, b)."
		}
	case "Invalid expression", "Missing expression":
		return invalidExpression(before, found, after)
	case "Argument or block definition required":
		return notAnItem(before, found, after)
	case "Invalid block definition":
		return invalidBlock(before, found, src[d.Subject.End.Byte:])
	case "Invalid single-argument block definition":
		return "One-line block with several arguments", "A block on one line holds one argument. Put each argument on a line of its own, and the closing brace too."
	case "Invalid 'for' expression":
		return "No for expressions", `"for" begins a loop here, which this language does not have. A name "for" needs double quotes in { ... }.`
	case "Unsupported operator":
		if found == "^" || found == "**" {
			return "Unsupported operator", fmt.Sprintf("There is no operator %s. Write pow(a, b).", found)
		}
	case "Invalid character":
		if strings.Contains(d.Detail, "Curly") {
			return "Invalid character", "Curly quotes are not quotes here. Write straight double quotes."
		}
	case "Attribute redefined":
		return "Duplicate argument", fmt.Sprintf("%q is set already in this block. Each argument may be set once.", found)
	case "Invalid multi-line string":
		return "Unclosed string", "The string that stands open at the end of this line has no closing double quote."
	}
	return "", ""
}

// foreignOperator knows words that are operators elsewhere.
func foreignOperator(before, found string) (summary, detail string) {
	const s = "Unknown operator"
	switch strings.ToLower(found) {
	case "and":
		return s, fmt.Sprintf("%q is not an operator. Write &&.", found)
	case "or":
		return s, fmt.Sprintf("%q is not an operator. Write ||.", found)
	case "not":
		return s, fmt.Sprintf("%q is not an operator. Write ! or !=.", found)
	case "mod", "div":
		return s, fmt.Sprintf("%q is not an operator. Write %% or /.", found)
	case "is":
		return s, fmt.Sprintf("%q is not an operator. Write == null or != null.", found)
	case "in":
		return s, fmt.Sprintf("%q is not an operator. Write x == 1 || x == 2.", found)
	case "between":
		return s, fmt.Sprintf("%q is not an operator. Write x >= 1 && x <= 2.", found)
	case "like", "matches":
		return s, fmt.Sprintf("%q is not an operator. Use a function on strings.", found)
	case "if", "then", "else", "unless", "when", "case":
		return s, fmt.Sprintf("%q is not part of expressions. Write condition ? value : other.", found)
	case "as":
		return s, "Names stand in front: name = expression."
	case "=>":
		return s, `There is no operator =>. Write >= for "greater or equal".`
	case "=":
		return s, "A single = sets an argument. To compare, write ==."
	}
	if strings.HasSuffix(lowerWord(before), " not") || lowerWord(before) == "not" {
		return s, `"not" is not an operator. Write !.`
	}
	if isWord(found) {
		return "Missing operator", fmt.Sprintf("Found %q where an operator or the end of the expression belongs.", found)
	}
	return "", ""
}

// lowerWord is the end of the text behind the last = on the line.
func lowerWord(before string) string {
	return strings.ToLower(strings.TrimSpace(before[strings.LastIndexByte(before, '=')+1:]))
}

func isWord(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func lastWord(s string) string {
	i := len(s)
	for i > 0 && (nameByte(s[i-1]) || s[i-1] == '.') {
		i--
	}
	return s[i:]
}

func invalidExpression(before, found, after string) (summary, detail string) {
	switch {
	case found == "*" && strings.HasSuffix(before, "("):
		return "Star as an argument", "Rows are counted by count() without a star."
	case found == "*" && strings.HasSuffix(before, "*"):
		return "Unknown operator", "There is no operator **. Write pow(a, b)."
	case found == "?" && strings.HasSuffix(before, "?"):
		return "Unknown operator", "There is no operator ??. Write coalesce(a, b)."
	case found == ">" && strings.HasSuffix(before, "<"):
		return "Unknown operator", "There is no operator <>. Write !=."
	case found == "=" && strings.HasSuffix(before, "=="):
		return "Unknown operator", "There is no operator ===. Write ==."
	case found == "=" && strings.HasSuffix(before, "!="):
		return "Unknown operator", "There is no operator !==. Write !=."
	case strings.TrimSpace(found) == "" && strings.HasSuffix(before, "="):
		return "Missing value", "There is no value after the equals sign."
	case strings.TrimSpace(found) == "":
		return "Unfinished expression", oneLine
	case found == "." && after != "" && after[0] >= '0' && after[0] <= '9':
		return "Number without a leading zero", "Write 0." + strings.TrimLeft(lastDigits(after), ".") + "."
	case found == "+" || found == "/" || found == "%" || found == "*" || found == ">" || found == "<" || found == "==":
		return "", fmt.Sprintf("Found %q where a value belongs.", found)
	}
	return "", ""
}

func lastDigits(s string) string {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i]
}

// notAnItem is about a line that is neither an argument nor a block.
func notAnItem(before, found, after string) (summary, detail string) {
	rest := strings.TrimLeft(after, " \t")
	switch {
	case before != "":
		return "", ""
	case found != "" && strings.ContainsAny(found[:1], "&|+-*/<>=?!%.:"):
		return "Expression over two lines", oneLine
	case found == "}":
		return "Closing brace too many", "This brace closes nothing: all blocks are closed already."
	case !isWord(found) || rest == "":
		return "", ""
	case rest[0] == ':':
		return "Missing equals sign", fmt.Sprintf("An argument is set by an equals sign, not a colon: %s = ...", found)
	case strings.ContainsAny(rest[:1], "&|+-*/<>?!%"):
		return "Expression over two lines", oneLine
	case rest[0] == '[' || rest[0] >= '0' && rest[0] <= '9' || rest[0] == '(':
		return "Missing equals sign", fmt.Sprintf("To set an argument, write %s = %s", found, strings.TrimSpace(rest))
	}
	return "", ""
}

// invalidBlock is about a line that the parser took for the head of a block.
func invalidBlock(before, found string, following []byte) (summary, detail string) {
	if strings.TrimSpace(found) != "" {
		return "", ""
	}
	next := strings.TrimLeft(string(following[:min(len(following), 200)]), " \t\r\n")
	name, value, _ := strings.Cut(strings.TrimSpace(before), " ")
	switch {
	case strings.HasPrefix(next, "{"):
		return "Brace on a new line", "The opening brace of a block stands on the line of its name: " + strings.TrimSpace(before) + " {"
	case isWord(name) && strings.Count(value, " ") == 0 && value != "":
		return "Missing equals sign", fmt.Sprintf("To set an argument, write %s = %s", name, value)
	}
	return "", ""
}
