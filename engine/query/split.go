package query

import (
	"strings"
)

// Split takes a text apart at the semicolons that stand outside of quotes and comments. What has no
// statement in it is left out. rest is what follows the last semicolon.
//
// It decides nothing that matters: each part is parsed by DuckDB, which takes one statement at a time.
func Split(sql string) (statements []string, rest string) {
	start := 0
	for i := 0; i < len(sql); {
		if sql[i] != ';' {
			i += token(sql[i:])
			continue
		}
		if s := sql[start:i]; !Blank(s) {
			statements = append(statements, strings.TrimSpace(s))
		}
		i++
		start = i
	}
	return statements, sql[start:]
}

// token is the length of what a text begins with: a quoted text, a comment or one byte.
func token(s string) int {
	until := func(from int, end string) int {
		if n := strings.Index(s[from:], end); n >= 0 {
			return from + n + len(end)
		}
		return len(s)
	}
	switch {
	case s[0] == '\'' || s[0] == '"':
		return until(1, s[:1])
	case strings.HasPrefix(s, "--"):
		return until(2, "\n")
	case strings.HasPrefix(s, "/*"):
		return until(2, "*/")
	case s[0] == '$':
		tag := 1
		for tag < len(s) && (s[tag] == '_' || s[tag] >= 'a' && s[tag] <= 'z' || s[tag] >= 'A' && s[tag] <= 'Z') {
			tag++
		}
		if tag < len(s) && s[tag] == '$' {
			return until(tag+1, s[:tag+1])
		}
	}
	return 1
}

// Blank tells whether a text has nothing but spaces and comments.
func Blank(sql string) bool {
	for i := 0; i < len(sql); {
		switch {
		case strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "/*"):
			i += token(sql[i:])
		case strings.IndexByte(" \t\r\n", sql[i]) >= 0:
			i++
		default:
			return false
		}
	}
	return true
}

// explained takes EXPLAIN or EXPLAIN ANALYZE off the front of a statement, and tells how long that was.
func explained(sql string) int {
	at := 0
	for n, word := range []string{"EXPLAIN", "ANALYZE"} {
		from := at
		for from < len(sql) && strings.IndexByte(" \t\r\n", sql[from]) >= 0 {
			from++
		}
		end := from + len(word)
		if end >= len(sql) || !strings.EqualFold(sql[from:end], word) || strings.IndexByte(" \t\r\n(", sql[end]) < 0 || n == 1 && at == 0 {
			break
		}
		at = end
	}
	return at
}
