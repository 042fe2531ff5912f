package expr

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// builtin is a function. Most are a kernel over arguments of fixed kinds:
//
//	params  a letter each: n number, i integer, b bool, s string, t timestamp,
//	        a anything but a list; upper case where it must be a constant
//	opt     how many of the last may be left out
//	out     the result's kind
//	run     the kernel; the result is null where an argument is
//
// The others have a check of their own instead.
type builtin struct {
	name   string
	sig    string // for messages and the manual
	params string
	opt    int
	out    kind
	run    kernel
	raw    bool // the kernel may make infinities and NaN, to be made null
	check  func(c *checker, s *callSite) *node
}

// callSite is a call that is being checked.
type callSite struct {
	fn   *builtin
	at   hcl.Range
	args []*node
}

// builtins lists all functions, sorted by name.
func builtins() []builtin {
	var all []builtin
	all = append(all, mathFunctions()...)
	all = append(all, textFunctions()...)
	all = append(all, timeFunctions()...)
	all = append(all, otherFunctions()...)
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// Functions returns the signatures of all functions, sorted, such as
// "round(x number, digits? integer) number".
func Functions() []string {
	var s []string
	for _, f := range builtins() {
		s = append(s, f.sig)
	}
	return s
}

// function checks a call.
func (c *checker) function(x *hclsyntax.FunctionCallExpr) *node {
	at := x.Range()
	fn := c.builtin(x.Name)
	if fn == nil {
		c.unknownFunction(x)
		for _, a := range x.Args {
			c.expr(a) // for the problems inside
		}
		return badNode(at)
	}
	s := &callSite{fn: fn, at: at}
	bad := x.ExpandFinal
	if bad {
		c.errorf(at, "... is not available", "Arguments are written out: %s.", fn.sig)
	}
	for _, a := range x.Args {
		n := c.expr(a)
		bad = bad || n.k() == kBad
		s.args = append(s.args, n)
	}
	if bad {
		return badNode(at)
	}
	if fn.check != nil {
		return fn.check(c, s)
	}
	if !c.params(s, fn.params, fn.opt) {
		return badNode(at)
	}
	return c.call(s, fn.out, &callOp{run: fn.run, raw: fn.raw})
}

// builtin is the function of that name, nil if there is none.
func (c *checker) builtin(name string) *builtin {
	if c.funcs == nil {
		c.funcs = builtins()
	}
	all := c.funcs
	i := sort.Search(len(all), func(i int) bool { return all[i].name >= name })
	if i < len(all) && all[i].name == name {
		return &all[i]
	}
	return nil
}

// aggregateNames are the functions over many rows, which only windows have.
func aggregateNames() []string {
	return []string{"argmax", "argmin", "avg", "collect", "count", "delta", "distinct", "first", "histogram", "increase", "last", "max", "min",
		"percentile", "rate", "stddev", "sum", "time_avg", "topk"}
}

func (c *checker) unknownFunction(x *hclsyntax.FunctionCallExpr) {
	for _, a := range aggregateNames() {
		if a != x.Name {
			continue
		}
		hint := ""
		switch a {
		case "min":
			hint = " The least of several values of one row is least(a, b)."
		case "max":
			hint = " The greatest of several values of one row is greatest(a, b)."
		}
		c.errorf(x.NameRange, "Aggregate outside a window", "%s computes one value of many rows; only emit of a window has it.%s", a, hint)
		return
	}
	if x.Name == "now" || x.Name == "current_timestamp" {
		c.errorf(x.NameRange, "No clock in expressions", "A replay must give the same rows, so expressions do not know what time it is. _received is when a row came in, _time when it was measured.")
		return
	}
	if x.Name == "env" {
		c.errorf(x.NameRange, "Unknown function", "Expressions over rows do not see the environment. Make a variable of it, whose default is env(...), and write var.NAME.")
		return
	}
	if near := otherNames(strings.ToLower(x.Name)); near != "" {
		c.errorf(x.NameRange, "Unknown function", "There is no function %q. Did you mean %s?", x.Name, near)
		return
	}
	c.errorf(x.NameRange, "Unknown function", "There is no function %q.%s", x.Name, suggestion(x.Name, c.functionNames()))
}

func (c *checker) functionNames() []string {
	var names []string
	for _, f := range c.funcs {
		names = append(names, f.name)
	}
	return names
}

// isFar tells whether a name is far from that of any function of a row.
func (c *checker) isFar(name string) bool {
	switch strings.ToLower(name) {
	case "now", "current_timestamp", "env":
		return false
	}
	return otherNames(strings.ToLower(name)) == "" && !strings.HasPrefix(suggestion(name, c.functionNames()), " Did you mean")
}

// otherNames is our name of a function that other languages call otherwise.
func otherNames(name string) string {
	switch name {
	case "len", "size", "char_length":
		return "length"
	case "substring", "mid":
		return "substr"
	case "ifnull", "nvl", "isnull":
		return "coalesce or is_null"
	case "if", "iff", "case":
		return "condition ? a : b"
	case "toupper", "upcase", "ucase":
		return "upper"
	case "tolower", "downcase", "lcase":
		return "lower"
	case "startswith":
		return "starts_with"
	case "endswith":
		return "ends_with"
	case "log":
		return "ln, log10 or log2"
	case "power":
		return "pow"
	case "cast", "float", "double", "number":
		return "to_number"
	case "int", "integer":
		return "to_integer"
	case "str", "string", "tostring":
		return "to_string"
	case "regexp", "regex", "match", "regexp_match", "matches":
		return "regex_match"
	case "date_trunc", "time_bucket", "truncate":
		return "trunc"
	case "strftime", "date_format":
		return "format_time"
	case "strptime", "to_timestamp", "timestamp":
		return "parse_time or time_from"
	case "unix", "unix_timestamp":
		return "epoch"
	}
	return ""
}

// call makes the node of a checked call.
func (c *checker) call(s *callSite, out kind, op *callOp) *node {
	return c.made(&node{op: opCall, kind: out, at: s.at, call: op, args: s.args})
}

// usage reports a wrong number of arguments.
func (c *checker) usage(s *callSite) *node {
	c.errorf(s.at, "Wrong number of arguments", "Found %d; it is %s.", len(s.args), s.fn.sig)
	return badNode(s.at)
}

// wrong reports argument i.
func (c *checker) wrong(s *callSite, i int, want string) *node {
	c.errorf(s.args[i].at, "Wrong argument", "Argument %d must be %s; found %s. It is %s.", i+1, want, c.describe(s.args[i]), s.fn.sig)
	return badNode(s.at)
}

// params checks the arguments against a list of kinds, and converts them.
func (c *checker) params(s *callSite, params string, opt int) bool {
	if len(s.args) > len(params) || len(s.args) < len(params)-opt {
		c.usage(s)
		return false
	}
	ok := true
	for i := range s.args {
		ok = c.param(s, i, params[i]) && ok
	}
	return ok
}

func (c *checker) param(s *callSite, i int, p byte) bool {
	constant := p >= 'A' && p <= 'Z'
	want := paramKind(p)
	a := s.args[i]
	var n *node
	switch {
	case want != kBad:
		n = c.as(a, want)
	case a.k() == kNull || a.k() == kList || a.k() == kTuple:
		c.wrong(s, i, "a number, integer, bool, string or timestamp")
		return false
	default:
		n = a
	}
	if n != nil && constant && (!n.isConst() || n.isNull()) {
		c.wrong(s, i, fmt.Sprintf("a constant %s", want))
		return false
	}
	if n == nil {
		c.wrong(s, i, article(want))
		return false
	}
	s.args[i] = n
	return n.k() != kBad
}

func article(k kind) string {
	if k == kInt {
		return "an integer"
	}
	return "a " + k.String()
}

func paramKind(p byte) kind {
	switch p {
	case 'n', 'N':
		return kNum
	case 'i', 'I':
		return kInt
	case 'b':
		return kBool
	case 's', 'S':
		return kText
	case 't':
		return kTime
	case 'a':
		return kBad
	}
	panic("BUG: parameter letter " + string(p))
}

// takeConst removes argument i, a constant, and returns it; ok is false if
// there is no such argument.
func (s *callSite) takeConst(i int) (v value, at hcl.Range, ok bool) {
	if i >= len(s.args) {
		return value{}, s.at, false
	}
	v, at = s.args[i].val, s.args[i].at
	s.args = append(s.args[:i:i], s.args[i+1:]...)
	return v, at, true
}
