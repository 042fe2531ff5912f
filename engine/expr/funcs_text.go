package expr

import (
	"regexp"

	"github.com/hashicorp/hcl/v2"
)

// textFunctions are over UTF-8. Positions count characters from 0.
func textFunctions() []builtin {
	return []builtin{
		{name: "lower", sig: "lower(s string) string", params: "s", out: kText, run: lowerText},
		{name: "upper", sig: "upper(s string) string", params: "s", out: kText, run: upperText},
		{name: "trim", sig: "trim(s string) string without white space at both ends", params: "s", out: kText, run: trimText},
		{name: "substr", sig: "substr(s string, start integer from 0, or from the end if negative, length? integer) string", check: checkSubstr},
		{name: "replace", sig: "replace(s string, old string, new string) string", params: "sss", out: kText, run: replaceText},
		{name: "starts_with", sig: "starts_with(s string, prefix string) bool", params: "ss", out: kBool, run: textStarts},
		{name: "ends_with", sig: "ends_with(s string, suffix string) bool", params: "ss", out: kBool, run: textEnds},
		{name: "split_part", sig: "split_part(s string, separator string, index integer from 0, or from the end if negative) string; null if there is no such part", params: "ssi", out: kText, run: splitPart},
		{name: "concat", sig: "concat(a, b, ...) string", check: checkConcat},
		{name: "regex_match", sig: "regex_match(s string, pattern constant string, RE2) bool", check: checkRegex},
	}
}

func checkConcat(c *checker, s *callSite) *node {
	if len(s.args) == 0 {
		return c.usage(s)
	}
	for i := range s.args {
		if !c.param(s, i, 'a') {
			return badNode(s.at)
		}
	}
	return c.call(s, kText, &callOp{run: joinText})
}

func checkSubstr(c *checker, s *callSite) *node {
	if !c.params(s, "sii", 1) {
		return badNode(s.at)
	}
	return c.call(s, kText, &callOp{run: substrText})
}

// checkRegex compiles the pattern. RE2 takes time linear in the text.
func checkRegex(c *checker, s *callSite) *node {
	if !c.params(s, "sS", 0) {
		return badNode(s.at)
	}
	v, at, _ := s.takeConst(1)
	re := c.pattern(v.s, at, s.fn.sig)
	if re == nil {
		return badNode(s.at)
	}
	return c.call(s, kBool, &callOp{run: regexMatch, aux: re})
}

// maxPattern is the longest regular expression, in bytes.
const maxPattern = 4096

func (c *checker) pattern(p string, at hcl.Range, sig string) *regexp.Regexp {
	if len(p) > maxPattern {
		c.errorf(at, "Pattern too long", "A regular expression has at most %d bytes; found %d.", maxPattern, len(p))
		return nil
	}
	re, err := regexp.Compile(p)
	if err != nil {
		c.errorf(at, "Not a regular expression", "%q is no RE2 pattern: %s. It is %s.", p, err, sig)
		return nil
	}
	return re
}
