package expr

import "math"

func isFinite(f float64) bool { return math.Float64bits(f)&expBits != expBits }

// mathFunctions are over numbers. What has no finite result is null.
func mathFunctions() []builtin {
	fs := []builtin{
		{name: "abs", sig: "abs(x number or integer) of the same type", check: checkPlain(absNum, absInt)},
		{name: "sign", sig: "sign(x number or integer) of the same type", check: checkPlain(signNum, signInt)},
		{name: "ceil", sig: "ceil(x number) number", check: checkPlain(ceilNum, copyInt)},
		{name: "floor", sig: "floor(x number) number", check: checkPlain(floorNum, copyInt)},
		{name: "round", sig: "round(x number, digits? constant integer from -15 to 15) number", check: checkRound},
		{name: "least", sig: "least(a, b, ...) of numbers, integers, strings or timestamps", check: checkExtreme(cmpLT)},
		{name: "greatest", sig: "greatest(a, b, ...) of numbers, integers, strings or timestamps", check: checkExtreme(cmpGT)},
		{name: "clamp", sig: "clamp(x, low, high) of numbers, integers, strings or timestamps", check: checkClamp},
		{name: "atan2", sig: "atan2(y number, x number) number", check: checkMath2(math.Atan2)},
		{name: "pow", sig: "pow(x number, y number) number", check: checkMath2(math.Pow)},
		{name: "haversine", sig: "haversine(lat1 number, lon1 number, lat2 number, lon2 number) number of metres", params: "nnnn", out: kNum, run: haversine, raw: true},
		{name: "sqrt", sig: "sqrt(x number) number", params: "n", out: kNum, run: sqrtNum, raw: true},
	}
	for _, f := range []struct {
		name string
		f    func(float64) float64
	}{
		{"exp", math.Exp}, {"ln", math.Log}, {"log10", math.Log10}, {"log2", math.Log2},
		{"sin", math.Sin}, {"cos", math.Cos}, {"tan", math.Tan},
		{"asin", math.Asin}, {"acos", math.Acos}, {"atan", math.Atan},
	} {
		fs = append(fs, builtin{name: f.name, sig: f.name + "(x number) number", check: checkMath1(f.f)})
	}
	return fs
}

func checkMath1(f func(float64) float64) func(c *checker, s *callSite) *node {
	return func(c *checker, s *callSite) *node {
		if !c.params(s, "n", 0) {
			return badNode(s.at)
		}
		return c.call(s, kNum, &callOp{run: each1, raw: true, aux: f})
	}
}

func checkMath2(f func(a, b float64) float64) func(c *checker, s *callSite) *node {
	return func(c *checker, s *callSite) *node {
		if !c.params(s, "nn", 0) {
			return badNode(s.at)
		}
		return c.call(s, kNum, &callOp{run: each2, raw: true, aux: f})
	}
}

// checkPlain takes one number or integer and gives the same.
func checkPlain(num, integer kernel) func(c *checker, s *callSite) *node {
	return func(c *checker, s *callSite) *node {
		if len(s.args) == 1 && s.args[0].k() == kInt {
			return c.call(s, kInt, &callOp{run: integer})
		}
		if !c.params(s, "n", 0) {
			return badNode(s.at)
		}
		return c.call(s, kNum, &callOp{run: num})
	}
}

func checkRound(c *checker, s *callSite) *node {
	if len(s.args) == 1 {
		return checkPlain(roundNum, copyInt)(c, s)
	}
	if !c.params(s, "nI", 0) {
		return badNode(s.at)
	}
	d, _, _ := s.takeConst(1)
	if d.i < -15 || d.i > 15 {
		c.errorf(s.at, "Wrong argument", "digits is from -15 to 15; found %d. It is %s.", d.i, s.fn.sig)
		return badNode(s.at)
	}
	return c.call(s, kNum, &callOp{run: roundDigits, aux: int(d.i)})
}

// sameKind makes all arguments of one ordered kind.
func (c *checker) sameKind(s *callSite) (kind, bool) {
	k, open := kNull, false
	for _, a := range s.args {
		switch ak := a.k(); {
		case ak == kOpen:
			open = true
		case ak != kNull && (k == kNull || k == kInt && ak == kNum):
			k = ak
		}
	}
	if k == kNull || open && k == kInt {
		k = kNum
	}
	for i, a := range s.args {
		n := c.as(a, k)
		if n == nil || k == kList || k == kTuple {
			c.wrong(s, i, "of the same type as the others")
			return kBad, false
		}
		s.args[i] = n
	}
	return k, true
}

func (c *checker) orderedKind(s *callSite) bool {
	k, ok := c.sameKind(s)
	if ok && k == kBool {
		c.wrong(s, 0, "a number, integer, string or timestamp")
		return false
	}
	return ok
}

func checkExtreme(op cmpOp) func(c *checker, s *callSite) *node {
	return func(c *checker, s *callSite) *node {
		if len(s.args) < 2 {
			return c.usage(s)
		}
		if !c.orderedKind(s) {
			return badNode(s.at)
		}
		n := s.args[0]
		for _, b := range s.args[1:] {
			n = c.extreme(op, n, b, s)
		}
		return n
	}
}

// extreme is the one of a and b that comes first in the order of op: null if
// one of them is.
func (c *checker) extreme(op cmpOp, a, b *node, s *callSite) *node {
	return c.made(&node{op: opCall, kind: a.k(), at: s.at, call: &callOp{run: extremeKernel, aux: op}, args: []*node{a, b}})
}

func checkClamp(c *checker, s *callSite) *node {
	if len(s.args) != 3 {
		return c.usage(s)
	}
	if !c.orderedKind(s) {
		return badNode(s.at)
	}
	low := c.extreme(cmpGT, s.args[0], s.args[1], s)
	return c.extreme(cmpLT, low, s.args[2], s)
}
