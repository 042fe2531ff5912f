package expr

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// name resolves a traversal: var.NAME, or the column with the longest name
// that its parts spell, and then an element of it.
func (c *checker) name(x *hclsyntax.ScopeTraversalExpr) *node {
	parts := nameParts(x.Traversal)
	if parts[0] == "var" {
		return c.variable(x, parts)
	}
	for k := len(parts); k > 0; k-- {
		if n := c.lookup(strings.Join(parts[:k], "."), x); n != nil {
			return c.steps(n, x.Traversal[k:], x.SrcRange)
		}
	}
	full := strings.Join(parts, ".")
	if c.scope.Infer == nil || strings.HasPrefix(full, "_") || c.minusMeant(full) {
		c.unknown(full, x.SrcRange)
		return badNode(x.SrcRange)
	}
	return c.steps(c.openName(full, x), x.Traversal[len(parts):], x.SrcRange)
}

// nameParts are the leading names of a traversal, written a.b or a["b"].
func nameParts(t hcl.Traversal) []string {
	parts := []string{t.RootName()}
	for _, s := range t[1:] {
		switch s := s.(type) {
		case hcl.TraverseAttr:
			parts = append(parts, s.Name)
			continue
		case hcl.TraverseIndex:
			if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
				parts = append(parts, s.Key.AsString())
				continue
			}
		}
		break
	}
	return parts
}

// lookup is the column of that name, nil if there is none.
func (c *checker) lookup(name string, x *hclsyntax.ScopeTraversalExpr) *node {
	if c.scope.Schema == nil {
		return nil
	}
	at := c.scope.Schema.FieldIndices(name)
	if len(at) == 0 {
		return nil
	}
	t := c.scope.Schema.Field(at[0]).Type
	k, elem := kindOf(t)
	if k == kBad {
		c.errorf(x.SrcRange, "Column of a type without expressions", "%q is of type %s; expressions take numbers, integers, bools, strings, timestamps and lists of them.", name, typeName(t))
		return badNode(x.SrcRange)
	}
	return &node{op: opColumn, kind: k, elem: elem, name: name, at: x.SrcRange}
}

// openName is a name of which the open scope knows nothing yet.
func (c *checker) openName(name string, x *hclsyntax.ScopeTraversalExpr) *node {
	n := &node{op: opColumn, kind: kOpen, name: name, at: x.SrcRange}
	for _, v := range c.opens {
		if v.name == name {
			n.open = v
			return n
		}
	}
	n.open = &openVar{name: name, kind: kOpen, at: x.SrcRange}
	c.opens = append(c.opens, n.open)
	return n
}

// steps applies what follows a value: elements of a list.
func (c *checker) steps(n *node, t hcl.Traversal, at hcl.Range) *node {
	for _, s := range t {
		if n.k() == kBad {
			return n
		}
		i, ok := s.(hcl.TraverseIndex)
		if !ok || i.Key.Type() != cty.Number {
			c.errorf(at, "No such member", "%s has no member %s.", c.describe(n), stepText(s))
			return badNode(at)
		}
		if n.k() == kOpen {
			// What the elements are is decided as if the list were one of numbers.
			c.decide(n, kList, kNum)
		}
		n = c.index(n, c.literal(i.Key, i.SrcRange), at)
	}
	return n
}

func stepText(s hcl.Traverser) string {
	switch s := s.(type) {
	case hcl.TraverseAttr:
		return "." + s.Name
	case hcl.TraverseIndex:
		switch {
		case !s.Key.IsKnown() || s.Key.IsNull():
			return "[null]"
		case s.Key.Type() == cty.String:
			return "[" + quoted(s.Key.AsString()) + "]"
		case s.Key.Type() == cty.Number:
			return "[" + numberText(s.Key) + "]"
		}
	}
	return "[*]"
}

// variable resolves var.NAME and, in objects and lists, what follows it.
func (c *checker) variable(x *hclsyntax.ScopeTraversalExpr, parts []string) *node {
	at := x.SrcRange
	if len(parts) < 2 {
		c.errorf(at, "Which variable?", "var is written with a name, as in var.NAME.%s", oneOf(c.varNames()))
		return badNode(at)
	}
	v, ok := c.scope.Vars[parts[1]]
	if !ok {
		c.errorf(at, "Unknown variable", "There is no variable %q.%s", parts[1], suggestion(parts[1], c.varNames()))
		return badNode(at)
	}
	if v == cty.NilVal {
		return badNode(at)
	}
	v, _ = v.UnmarkDeep()
	for _, s := range x.Traversal[2:] {
		next, diags := hcl.Traversal{s}.TraverseRel(v)
		if diags.HasErrors() {
			c.errorf(at, "No such member", "var.%s has nothing at %s.", parts[1], stepText(s))
			return badNode(at)
		}
		v = next
	}
	return c.literal(v, at)
}

func (c *checker) varNames() []string {
	names := make([]string, 0, len(c.scope.Vars))
	for n := range c.scope.Vars {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// columnNames lists what the scope has, sorted; metadata only when asked for.
func (c *checker) columnNames(metadata bool) []string {
	var names []string
	if c.scope.Schema != nil {
		for _, f := range c.scope.Schema.Fields() {
			if strings.HasPrefix(f.Name, "_") == metadata {
				names = append(names, f.Name)
			}
		}
	}
	for _, v := range c.opens {
		names = append(names, v.name)
	}
	sort.Strings(names)
	return names
}

// minusMeant says whether name looks like a subtraction without spaces, which
// HCL reads as one name: temp-setpoint, temp-32.
func (c *checker) minusMeant(name string) bool {
	parts := strings.Split(name, "-")
	if len(parts) == 1 {
		return false
	}
	for _, p := range parts {
		if c.scope.Schema != nil && c.scope.Schema.HasField(p) || strings.HasPrefix(p, "var.") {
			return true
		}
		if _, err := strconv.ParseFloat(p, 64); err == nil {
			return true
		}
	}
	return false
}

// unknown reports a name that nothing has.
func (c *checker) unknown(name string, at hcl.Range) {
	if c.minusMeant(name) {
		c.errorf(at, "Unknown name", "%q is read as one name, since a name may have - in it. To subtract, write spaces: %s.", name, strings.ReplaceAll(name, "-", " - "))
		return
	}
	if members := c.members(name); len(members) > 0 {
		c.errorf(at, "Not a column", "%q is an object; its members are columns: %s.", name, strings.Join(members, ", "))
		return
	}
	if lower := strings.ToLower(name); lower != name && (lower == "true" || lower == "false" || lower == "null") {
		c.errorf(at, "Unknown name", "%s is written in small letters: %s.", name, lower)
		return
	}
	switch strings.ToLower(name) {
	case "nil", "none", "undefined":
		c.errorf(at, "Unknown name", "There is no column %q%s. What is not there is null: x == null.", name, c.of())
		return
	}
	for rest := name; strings.Contains(rest, "."); {
		if _, rest, _ = strings.Cut(rest, "."); slices.Contains(c.columnNames(false), rest) {
			c.errorf(at, "Unknown name", "A column is named without what it comes from. Did you mean %s?", rest)
			return
		}
	}
	c.errorf(at, "Unknown name", "There is no column %q%s.%s", name, c.of(), suggestion(name, c.columnNames(strings.HasPrefix(name, "_"))))
}

// members are the columns below an object's name, at most 8.
func (c *checker) members(name string) []string {
	var m []string
	for _, n := range c.columnNames(false) {
		if strings.HasPrefix(n, name+".") {
			if m = append(m, n); len(m) == 8 {
				break
			}
		}
	}
	return m
}

// suggestion ends a message about an unknown name: the nearest one if one is
// near, else what there is.
func suggestion(name string, known []string) string {
	// A swap of two letters counts as two changes.
	best, cost := "", 2
	if len(name) > 3 {
		cost = (len(name)+1)/4 + 2
	}
	for _, k := range known {
		d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(k), nil)
		if i := strings.LastIndexByte(k, '.'); i >= 0 && k[i+1:] == name {
			d = min(d, 1) // a member named without its object
		}
		if d < cost {
			best, cost = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf(" Did you mean %s?", best)
	}
	return oneOf(known)
}

func oneOf(known []string) string {
	const most = 12
	switch {
	case len(known) == 0:
		return ""
	case len(known) > most:
		return fmt.Sprintf(" There are %s and %d more.", strings.Join(known[:most], ", "), len(known)-most)
	}
	return fmt.Sprintf(" There are: %s.", strings.Join(known, ", "))
}
