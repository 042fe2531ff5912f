package expr

// otherFunctions are about null and types.
func otherFunctions() []builtin {
	return []builtin{
		{name: "coalesce", sig: "coalesce(a, b, ...): the first that is not null", check: checkCoalesce},
		{name: "nullif", sig: "nullif(a, b): null if a equals b, else a", check: checkNullIf},
		{name: "is_null", sig: "is_null(x) bool", check: checkIsNull},
		{name: "to_number", sig: "to_number(x integer, bool or string) number; null for a string that is no number", check: checkToNumber},
		{name: "to_integer", sig: "to_integer(x number, bool or string) integer, cut towards zero; null if it is none", check: checkToInteger},
		{name: "to_string", sig: "to_string(x) string", check: checkToString},
		{name: "to_bool", sig: "to_bool(x string \"true\" or \"false\", number or integer, of which 0 is false) bool; null otherwise", check: checkToBool},
		{name: "contains", sig: "contains(text string, part string) bool, or contains(list, x) bool", check: checkContains},
		{name: "length", sig: "length(x string or list) integer: characters or elements", check: checkLength},
	}
}

func checkCoalesce(c *checker, s *callSite) *node {
	if len(s.args) < 2 {
		return c.usage(s)
	}
	if _, ok := c.sameKind(s); !ok {
		return badNode(s.at)
	}
	n := s.args[len(s.args)-1]
	for i := len(s.args) - 2; i >= 0; i-- {
		a := s.args[i]
		if a.isNull() {
			continue
		}
		n = c.made(&node{op: opCoalesce, kind: n.k(), at: s.at, args: []*node{a, n}})
	}
	return n
}

// checkNullIf: null of b leaves a.
func checkNullIf(c *checker, s *callSite) *node {
	if len(s.args) != 2 {
		return c.usage(s)
	}
	k, ok := c.sameKind(s)
	if !ok {
		return badNode(s.at)
	}
	return c.call(s, k, &callOp{run: nullIfKernel, lax: true})
}

func checkIsNull(c *checker, s *callSite) *node {
	if len(s.args) != 1 {
		return c.usage(s)
	}
	if s.args[0].k() == kTuple {
		return c.wrong(s, 0, "a value")
	}
	return c.isNull(s.args[0], false, s.at)
}

// single checks that there is one argument of one of the kinds, and returns
// which; an open name becomes the first, null makes the result null.
func (c *checker) single(s *callSite, want string, kinds ...kind) kind {
	if len(s.args) != 1 {
		c.usage(s)
		return kBad
	}
	a := s.args[0]
	if a.k() == kOpen || a.k() == kNull {
		s.args[0] = c.as(a, kinds[0])
		return s.args[0].k()
	}
	for _, k := range kinds {
		if a.k() == k {
			return k
		}
	}
	c.wrong(s, 0, want)
	return kBad
}

func checkToNumber(c *checker, s *callSite) *node {
	switch c.single(s, "a number, integer, bool or string", kText, kNum, kInt, kBool) {
	case kNum:
		return s.args[0]
	case kInt:
		return c.made(c.toNumber(s.args[0]))
	case kBool:
		return c.call(s, kNum, &callOp{run: boolToNum})
	case kText:
		return c.call(s, kNum, &callOp{run: textToNum})
	}
	return badNode(s.at)
}

func checkToInteger(c *checker, s *callSite) *node {
	switch c.single(s, "a number, integer, bool or string", kText, kNum, kInt, kBool) {
	case kNum:
		return c.call(s, kInt, &callOp{run: numToInt})
	case kInt:
		return s.args[0]
	case kBool:
		return c.call(s, kInt, &callOp{run: boolToInt})
	case kText:
		return c.call(s, kInt, &callOp{run: textToInt})
	}
	return badNode(s.at)
}

func checkToString(c *checker, s *callSite) *node {
	if !c.params(s, "a", 0) {
		return badNode(s.at)
	}
	return c.call(s, kText, &callOp{run: joinText})
}

func checkToBool(c *checker, s *callSite) *node {
	switch c.single(s, "a number, integer, bool or string", kText, kNum, kInt, kBool) {
	case kNum:
		return c.made(&node{op: opCmp, sub: cmpNE, kind: kBool, at: s.at, args: []*node{s.args[0], constNode(kNum, value{}, s.at)}})
	case kInt:
		return c.made(&node{op: opCmp, sub: cmpNE, kind: kBool, at: s.at, args: []*node{s.args[0], constNode(kInt, value{}, s.at)}})
	case kBool:
		return s.args[0]
	case kText:
		return c.call(s, kBool, &callOp{run: textToBool})
	}
	return badNode(s.at)
}

func checkLength(c *checker, s *callSite) *node {
	switch c.single(s, "a string or a list", kText, kList, kTuple) {
	case kText:
		return c.call(s, kInt, &callOp{run: textLength})
	case kList:
		return c.call(s, kInt, &callOp{run: listLength})
	case kTuple:
		return constNode(kInt, value{i: int64(len(s.args[0].args))}, s.at)
	}
	return badNode(s.at)
}

// checkContains takes a text and a part of it, a column of lists, or a list as
// written.
func checkContains(c *checker, s *callSite) *node {
	if len(s.args) != 2 {
		return c.usage(s)
	}
	list := s.args[0]
	switch list.k() {
	case kTuple:
		return c.containsTuple(s, list.args, s.args[1])
	case kOpen:
		if k := s.args[1].k(); k != kText {
			if k == kOpen || k == kNull || k == kInt {
				k = kNum
			}
			if k == kList || k == kTuple {
				return c.wrong(s, 1, "a value, not a list")
			}
			c.decide(list, kList, k)
		}
	}
	if list.k() != kList {
		if !c.params(s, "ss", 0) {
			return badNode(s.at)
		}
		return c.call(s, kBool, &callOp{run: textContains})
	}
	elem := list.elem
	if list.open != nil {
		elem = list.open.elem
	}
	x := c.as(s.args[1], elem)
	if x == nil {
		return c.wrong(s, 1, "of the type of the elements, "+elem.String())
	}
	s.args[1] = x
	return c.call(s, kBool, &callOp{run: listContains})
}

// containsTuple looks for x in a list as written.
func (c *checker) containsTuple(s *callSite, elems []*node, x *node) *node {
	if x.k() == kNull || x.k() == kTuple || x.k() == kList {
		return c.wrong(s, 1, "a value to look for")
	}
	if len(elems) == 0 {
		return constNode(kBool, value{}, s.at)
	}
	in := &callSite{fn: s.fn, at: s.at, args: []*node{x}}
	for i, e := range elems {
		if t := c.timeLiteral(x, e); t != nil {
			e = t
		}
		if e.k() == kBad {
			return badNode(s.at)
		}
		if e.k() == kNull || e.k() == kTuple || e.k() == kList {
			c.errorf(e.at, "Wrong element", "Element %d must be a value; found %s. It is %s.", i, c.describe(e), s.fn.sig)
			return badNode(s.at)
		}
		in.args = append(in.args, e)
	}
	if _, ok := c.sameKind(in); !ok {
		return badNode(s.at)
	}
	return c.call(in, kBool, &callOp{run: inKernel, lax: true})
}
