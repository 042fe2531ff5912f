package config

import (
	"bytes"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Limits that hold before the parser sees a file.
const (
	MaxFileBytes   = 1 << 20  // of one file
	MaxFiles       = 1_000    // of one folder
	MaxFolderBytes = 16 << 20 // of all files of a folder
	MaxNesting     = 200      // brackets, braces and templates within each other
	MaxOperators   = 1_000    // operators that can stand within each other in one expression
	MaxTextLines   = 2_000    // lines of one text between <<EOT and EOT: the parser's time grows with their square
)

// level is an open bracket, or the file.
type level struct {
	closer    hclsyntax.TokenType
	block     bool // the file or a brace: a line break ends an expression
	ops       int  // operators since the expression began
	lines     int  // of a heredoc
	inner     int  // the most that any bracket closed within it had
	outer     int  // ops of all levels around this one
	lastCount int  // ops+inner at the last new expression
}

// CheckLimits returns an error when parsing src, or evaluating what it holds, could
// take more stack or memory than is reasonable. What it lets pass may be given to the HCL parser.
func CheckLimits(name string, src []byte) hcl.Diagnostics {
	if len(src) > MaxFileBytes {
		at := hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
		return Errorf(at, "File too long", "A file of configuration may be %d MiB long. Divide it: all files of a folder are one configuration.", MaxFileBytes>>20)
	}
	return checkLimits(src, name)
}

// checkLimits looks at a file's tokens, which costs no recursion, and returns an
// error when the parser or the evaluation of the file could take more stack or memory than
// is reasonable. src must not be longer than MaxFileBytes.
func checkLimits(src []byte, name string) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	levels := make([]level, 1, 64)
	levels[0] = level{block: true}
	afterOpen := true // nothing but line breaks and comments since a bracket opened
	for i, t := range tokens {
		top := &levels[len(levels)-1]
		if closer, opens := closerOf(t.Type); opens {
			if len(levels) > MaxNesting {
				return Errorf(t.Range, "Nested too deep", "Brackets, braces and templates may stand within each other at most %d deep.", MaxNesting)
			}
			if t.Type == hclsyntax.TokenTemplateControl || t.Type == hclsyntax.TokenOBrack {
				top.ops++ // directives nest, and indexes chain, without a bracket around them
			}
			levels = append(levels, level{closer: closer, block: closer == hclsyntax.TokenCBrace, outer: top.outer + top.ops + 1})
		} else if n := closes(levels, t.Type); n > 0 {
			for ; n > 0; n-- {
				closeLevel(&levels)
			}
		} else if d := checkToken(tokens, i, top, afterOpen); d.HasErrors() {
			return d
		}
		top = &levels[len(levels)-1]
		if top.outer+top.ops+top.inner > MaxOperators {
			return Errorf(t.Range, "Expression too long", "More than %d operators in one expression. Divide it, for instance with set in a rule.", MaxOperators)
		}
		_, opened := closerOf(t.Type)
		afterOpen = opened || afterOpen && (t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment)
	}
	return nil
}

// closes says how many levels a token closes: more than one when brackets are
// left open, which the parser will complain of, and give up those levels too.
func closes(levels []level, t hclsyntax.TokenType) int {
	switch t {
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
		hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
		for n := 1; n < len(levels); n++ {
			if levels[len(levels)-n].closer == t {
				return n
			}
		}
	}
	return 0
}

func closeLevel(levels *[]level) {
	l := *levels
	closed, around := l[len(l)-1], &l[len(l)-2]
	around.inner = max(around.inner, closed.ops+closed.inner+1, closed.lastCount+1)
	*levels = l[:len(l)-1]
}

// checkToken counts operators and finds what must not reach the parser.
func checkToken(tokens hclsyntax.Tokens, i int, top *level, afterOpen bool) hcl.Diagnostics {
	t := tokens[i]
	switch t.Type {
	case hclsyntax.TokenComma:
		top.newExpression()
	case hclsyntax.TokenNewline:
		if top.block {
			top.newExpression()
		}
	case hclsyntax.TokenIdent:
		if afterOpen && string(t.Bytes) == "for" && !isAssignment(tokens, i+1) {
			return Errorf(t.Range, "No for expressions", `Tidemill's language has no "for" expressions. Write the items out.`)
		}
	case hclsyntax.TokenNumberLit:
		if v, err := strconv.ParseFloat(string(t.Bytes), 64); err != nil || v != 0 && v < 1e-300 || longExponent(t.Bytes) {
			return Errorf(t.Range, "Number out of range", "Numbers go from 1e-300 to 1.7e308.")
		}
	case hclsyntax.TokenStringLit:
		if top.lines++; top.lines > MaxTextLines && top.closer == hclsyntax.TokenCHeredoc {
			return Errorf(t.Range, "Text too long", "A text between <<EOT and EOT may have %d lines.", MaxTextLines)
		}
	default:
		if isOperator(t.Type) {
			top.ops++
		}
	}
	return nil
}

// newExpression starts counting anew: what came before ended with its line or comma.
func (l *level) newExpression() {
	l.lastCount = max(l.lastCount, l.ops+l.inner)
	l.ops, l.inner = 0, 0
}

// longExponent finds 0e999999999, whose value is harmless but not its digits.
func longExponent(number []byte) bool {
	e := bytes.IndexAny(number, "eE")
	return e >= 0 && len(number)-e > 5
}

func isAssignment(tokens hclsyntax.Tokens, i int) bool {
	return i < len(tokens) && tokens[i].Type == hclsyntax.TokenEqual
}

func closerOf(t hclsyntax.TokenType) (closer hclsyntax.TokenType, opens bool) {
	switch t {
	case hclsyntax.TokenOBrace:
		return hclsyntax.TokenCBrace, true
	case hclsyntax.TokenOBrack:
		return hclsyntax.TokenCBrack, true
	case hclsyntax.TokenOParen:
		return hclsyntax.TokenCParen, true
	case hclsyntax.TokenOQuote:
		return hclsyntax.TokenCQuote, true
	case hclsyntax.TokenOHeredoc:
		return hclsyntax.TokenCHeredoc, true
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		return hclsyntax.TokenTemplateSeqEnd, true
	}
	return 0, false
}

// isOperator tells of every token that can make the parser or the evaluation
// go one call deeper without a bracket.
func isOperator(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenPercent,
		hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
		hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenBang,
		hclsyntax.TokenDot, hclsyntax.TokenQuestion, hclsyntax.TokenColon, hclsyntax.TokenDoubleColon:
		return true
	}
	return false
}
