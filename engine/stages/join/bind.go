package join

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/stage"
)

// maxMatched is how many columns rows can be matched by.
const maxMatched = 16

// sides is what both joins read from their arguments: which rows belong together, and
// what is taken from the second input.
type sides struct {
	by     [2][]stage.Column
	take   []*expr.Program
	fields []arrow.Field
	// single says that rows belong together when they have the same _slot.
	single bool
	diags  hcl.Diagnostics
}

func bindSides(kind string, by, with, take hcl.Expression, in []*arrow.Schema, at stage.At) *sides {
	s := &sides{}
	if len(in) != 2 || in[0] == nil || in[1] == nil {
		s.diags = config.Errorf(at.Range, "A join has two inputs", "This join reads from %d; write from = [first, second], and what is to be found out about the first in the second.", len(in))
		return s
	}
	if config.Absent(with) {
		with = by
	}
	var more hcl.Diagnostics
	s.by[0], more = stage.Columns(by, "by", at.Scope(0))
	s.diags = append(s.diags, more...)
	s.by[1], more = stage.Columns(with, "with", at.Scope(1))
	s.diags = append(s.diags, more...)
	if len(s.diags) == 0 {
		s.checkBy(by, with, at)
	}
	s.bindTake(kind, take, in[0], at)
	s.single = len(s.by[0]) == 1 && len(s.by[1]) == 1
	for i := range s.by {
		s.single = s.single && at.Keys[i] != "" && s.by[i][0].Name == at.Keys[i]
	}
	return s
}

func (s *sides) fail(d hcl.Diagnostics) { s.diags = append(s.diags, d...) }

func (s *sides) checkBy(by, with hcl.Expression, at stage.At) {
	a, b := s.by[0], s.by[1]
	switch {
	case len(a) == 0 || len(a) > maxMatched:
		s.fail(config.Errorf(by.Range(), "Not a key", "by lists from 1 to %d columns in which rows of both inputs agree, such as [device].", maxMatched))
		return
	case len(a) != len(b):
		s.fail(config.Errorf(with.Range(), "Keys of different lengths", "by names %d columns of %s, and %d of %s are to be like them.", len(a), at.Inputs[0], len(b), at.Inputs[1]))
		return
	}
	for i := range a {
		if !arrow.TypeEqual(a[i].Type, b[i].Type) {
			s.fail(config.Errorf(b[i].At, "Keys of different types", "The types of %s of %s (%s) and of %s of %s (%s) differ: they are never equal.",
				a[i].Name, at.Inputs[0], expr.TypeName(a[i].Type), b[i].Name, at.Inputs[1], expr.TypeName(b[i].Type)))
		}
	}
	for i := range a {
		if a[i].Name != "" && a[i].Name[0] == '_' {
			s.fail(config.Errorf(a[i].At, "Not a key", "by takes columns of the rows; %s belongs to the engine.", a[i].Name))
		}
	}
}

func (s *sides) bindTake(kind string, take hcl.Expression, left *arrow.Schema, at stage.At) {
	members, diags := stage.Members(take, "take")
	s.fail(diags)
	if len(members) > carry.MaxAdded {
		s.fail(config.Errorf(take.Range(), "Too many columns", "take adds at most %d columns.", carry.MaxAdded))
		return
	}
	seen := map[string]bool{}
	for _, m := range members {
		s.fail(carry.CheckNew(left, m.Name, m.At))
		p, diags := expr.Compile(m.Value, at.Scope(1))
		s.fail(diags)
		if p == nil || seen[m.Name] {
			continue
		}
		if !carry.Carries(p.Type()) {
			s.fail(config.Errorf(m.Value.Range(), "Not to be carried", "%s is a %s, which a join cannot keep.", m.Name, expr.TypeName(p.Type())))
			continue
		}
		seen[m.Name] = true
		s.take = append(s.take, p)
		s.fields = append(s.fields, arrow.Field{Name: m.Name, Type: p.Type(), Nullable: true})
	}
	if len(members) == 0 && len(diags) == 0 && kind == "latest" {
		s.fail(config.Errorf(at.Range, "Nothing to take", "take = { name = column, ... } says what %s gives to the rows of %s.", at.Inputs[1], at.Inputs[0]))
	}
}

// meet says how rows have to be spread.
func (s *sides) meet() [][]string { return [][]string{stage.Names(s.by[0]), stage.Names(s.by[1])} }

// reads are the columns of both inputs that the join looks at.
func (s *sides) reads() []string {
	out := []string{}
	for _, cols := range s.by {
		out = append(out, stage.Names(cols)...)
	}
	for _, p := range s.take {
		out = append(out, p.Columns()...)
	}
	return out
}

// text is the part of a table's digest that says what rows belong together and what is kept of them.
func (s *sides) text() string {
	text := fmt.Sprintf("single %v by", s.single)
	for _, c := range s.by[0] {
		text += " " + c.Type.String()
	}
	for i, f := range s.fields {
		text += fmt.Sprintf(" %s %s from %v", f.Name, f.Type, s.take[i].Columns())
	}
	return text
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
