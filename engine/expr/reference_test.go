package expr

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The reference: an expression's text together with what it gives for a row,
// computed the slow and obvious way. Values are nil, float64, int64, bool,
// string and us.

type us int64

type row map[string]any

type sample struct {
	src  string
	eval func(r row) any
}

// author writes random well-typed expressions.
type author struct{ *rand.Rand }

func pickOne[T any](a *author, xs ...T) T { return xs[a.IntN(len(xs))] }

// strict makes an evaluation that is null where an argument is.
func strict(f func(v []any) any, args ...sample) func(r row) any {
	return func(r row) any {
		vs := make([]any, len(args))
		for i, a := range args {
			if vs[i] = a.eval(r); vs[i] == nil {
				return nil
			}
		}
		return f(vs)
	}
}

func col(name string) sample {
	return sample{name, func(r row) any { return r[name] }}
}

func lit(src string, v any) sample { return sample{src, func(row) any { return v }} }

// finiteOr is f, or null if it is not finite.
func finiteOr(f float64) any {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return f
}

func asNum(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

func (a *author) num(depth int) sample {
	if depth <= 0 {
		return pickOne(a, col("x"), col("y"), col("z"), a.numLiteral())
	}
	d := depth - 1
	switch a.IntN(11) {
	case 0, 1, 2, 3:
		return a.arith(d)
	case 4:
		s := a.num(d)
		return sample{"-(" + s.src + ")", strict(func(v []any) any { return -v[0].(float64) }, s)}
	case 5:
		return a.cond(a.num(d), a.num(d), d)
	case 6:
		return a.coalesce(a.num(d), a.num(d))
	case 7:
		s := a.num(d)
		name := pickOne(a, "abs", "sqrt", "floor")
		f := map[string]func(float64) float64{"abs": math.Abs, "sqrt": math.Sqrt, "floor": math.Floor}[name]
		return sample{name + "(" + s.src + ")", strict(func(v []any) any { return finiteOr(f(v[0].(float64))) }, s)}
	case 8:
		return a.clamp(d)
	case 9:
		l, i := col("nums"), a.integer(d)
		return sample{fmt.Sprintf("nums[%s]", i.src), strict(elementAt, l, i)}
	default:
		p, q := a.instant(d), a.instant(d)
		return sample{fmt.Sprintf("(%s - %s)", p.src, q.src), strict(func(v []any) any {
			d := new(big.Float).SetInt(new(big.Int).Sub(big.NewInt(int64(v[0].(us))), big.NewInt(int64(v[1].(us)))))
			f, _ := d.Float64()
			return f / 1e6
		}, p, q)}
	}
}

func elementAt(v []any) any {
	list, i := v[0].([]any), v[1].(int64)
	if i < 0 || i >= int64(len(list)) {
		return nil
	}
	return list[i]
}

func (a *author) numLiteral() sample {
	f := pickOne(a, 0.5, 2.5, 1e300, 123.456, 1e-300)
	return lit(strconv.FormatFloat(f, 'g', -1, 64), f)
}

// arith is an operator with a number on one side at least, or a division.
func (a *author) arith(d int) sample {
	p, q := a.num(d), a.num(d)
	op := pickOne(a, "+", "-", "*", "/", "%")
	switch a.IntN(4) {
	case 0:
		p = a.integer(d)
	case 1:
		q = a.integer(d)
	}
	return sample{fmt.Sprintf("(%s %s %s)", p.src, op, q.src), strict(func(v []any) any {
		x, y := asNum(v[0]), asNum(v[1])
		return finiteOr(map[string]float64{"+": x + y, "-": x - y, "*": x * y, "/": x / y, "%": math.Mod(x, y)}[op])
	}, p, q)}
}

func (a *author) clamp(d int) sample {
	x, lo, hi := a.num(d), a.num(d), a.num(d)
	return sample{fmt.Sprintf("clamp(%s, %s, %s)", x.src, lo.src, hi.src), strict(func(v []any) any {
		return math.Min(math.Max(v[0].(float64), v[1].(float64)), v[2].(float64))
	}, x, lo, hi)}
}

func (a *author) cond(x, y sample, d int) sample {
	c := a.boolean(d)
	return sample{fmt.Sprintf("(%s ? %s : %s)", c.src, x.src, y.src), func(r row) any {
		switch c.eval(r) {
		case true:
			return x.eval(r)
		case false:
			return y.eval(r)
		}
		return nil
	}}
}

func (a *author) coalesce(x, y sample) sample {
	return sample{fmt.Sprintf("coalesce(%s, %s)", x.src, y.src), func(r row) any {
		if v := x.eval(r); v != nil {
			return v
		}
		return y.eval(r)
	}}
}

func (a *author) integer(depth int) sample {
	if depth <= 0 {
		n := pickOne(a, int64(0), 1, 2, 7, math.MaxInt64)
		return pickOne(a, col("i"), col("j"), lit(strconv.FormatInt(n, 10), n))
	}
	d := depth - 1
	switch a.IntN(6) {
	case 0, 1:
		return a.intArith(d)
	case 2:
		return a.cond(a.integer(d), a.integer(d), d)
	case 3:
		s := a.text(d)
		return sample{"length(" + s.src + ")", strict(func(v []any) any { return int64(len([]rune(v[0].(string)))) }, s)}
	case 4:
		s := a.num(d)
		return sample{"to_integer(" + s.src + ")", strict(func(v []any) any {
			f := math.Trunc(v[0].(float64))
			if f < -9223372036854775808 || f >= 9223372036854775808 {
				return nil
			}
			return int64(f)
		}, s)}
	default:
		t := a.instant(d)
		return sample{"hour(" + t.src + ")", strict(func(v []any) any {
			return int64(time.UnixMicro(int64(v[0].(us))).UTC().Hour())
		}, t)}
	}
}

func (a *author) intArith(d int) sample {
	p, q, op := a.integer(d), a.integer(d), pickOne(a, "+", "-", "*", "%")
	return sample{fmt.Sprintf("(%s %s %s)", p.src, op, q.src), strict(func(v []any) any {
		x, y, z := big.NewInt(v[0].(int64)), big.NewInt(v[1].(int64)), new(big.Int)
		switch op {
		case "+":
			z.Add(x, y)
		case "-":
			z.Sub(x, y)
		case "*":
			z.Mul(x, y)
		case "%":
			if y.Sign() == 0 {
				return nil
			}
			z.Rem(x, y)
		}
		if !z.IsInt64() {
			return nil
		}
		return z.Int64()
	}, p, q)}
}

func (a *author) boolean(depth int) sample {
	if depth <= 0 {
		return pickOne(a, col("p"), col("q"), lit("true", true), lit("false", false))
	}
	d := depth - 1
	switch a.IntN(9) {
	case 0, 1:
		return a.logic(d)
	case 2:
		s := a.boolean(d)
		return sample{"!(" + s.src + ")", strict(func(v []any) any { return !v[0].(bool) }, s)}
	case 3:
		s := pickOne(a, a.num, a.integer, a.boolean, a.text, a.instant)(d)
		not := a.IntN(2) == 0
		return sample{"((" + s.src + ") " + map[bool]string{true: "!=", false: "=="}[not] + " null)", func(r row) any { return (s.eval(r) == nil) != not }}
	case 4:
		return a.cond(a.boolean(d), a.boolean(d), d)
	case 5:
		return a.in(d)
	default:
		return a.comparison(d)
	}
}

func (a *author) logic(d int) sample {
	p, q, and := a.boolean(d), a.boolean(d), a.IntN(2) == 0
	op := map[bool]string{true: "&&", false: "||"}[and]
	return sample{fmt.Sprintf("(%s %s %s)", p.src, op, q.src), func(r row) any {
		x, y := p.eval(r), q.eval(r)
		if x == !and || y == !and {
			return !and
		}
		if x == nil || y == nil {
			return nil
		}
		return and
	}}
}

func (a *author) in(d int) sample {
	x, e1, e2 := a.num(d), a.num(d), a.numLiteral()
	return sample{fmt.Sprintf("contains([%s, %s], %s)", e1.src, e2.src, x.src), func(r row) any {
		v, w, u := x.eval(r), e1.eval(r), e2.eval(r)
		switch {
		case v == nil:
			return nil
		case v == w || v == u:
			return true
		case w == nil:
			return nil
		}
		return false
	}}
}

func (a *author) comparison(d int) sample {
	kind := a.IntN(4)
	p, q := a.num(d), a.num(d)
	switch kind {
	case 1:
		p = a.integer(d)
		if a.IntN(2) == 0 {
			q = a.integer(d)
		}
	case 2:
		p, q = a.text(d), a.text(d)
	case 3:
		p, q = a.instant(d), a.instant(d)
	}
	op := pickOne(a, "<", "<=", ">", ">=", "==", "!=")
	return sample{fmt.Sprintf("(%s %s %s)", p.src, op, q.src), strict(func(v []any) any {
		c := order(v[0], v[1])
		return map[string]bool{"<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0, "==": c == 0, "!=": c != 0}[op]
	}, p, q)}
}

func order(x, y any) int {
	if s, ok := x.(string); ok {
		return strings.Compare(s, y.(string))
	}
	if t, ok := x.(us); ok {
		x, y = int64(t), int64(y.(us))
	}
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok {
			return int(b2u(i > j)) - int(b2u(i < j))
		}
	}
	f, g := asNum(x), asNum(y)
	return int(b2u(f > g)) - int(b2u(f < g))
}

func (a *author) text(depth int) sample {
	if depth <= 0 {
		return pickOne(a, col("s"), col("t"), lit(`"b/c"`, "b/c"), lit(`""`, ""))
	}
	d := depth - 1
	switch a.IntN(5) {
	case 0:
		p, q := a.text(d), a.integer(d)
		return sample{fmt.Sprintf(`"<${%s}-${%s}>"`, p.src, q.src), strict(func(v []any) any {
			return fmt.Sprintf("<%s-%d>", v...)
		}, p, q)}
	case 1:
		return a.cond(a.text(d), a.text(d), d)
	case 2:
		return a.coalesce(a.text(d), a.text(d))
	case 3:
		s := a.text(d)
		return sample{"upper(" + s.src + ")", strict(func(v []any) any { return strings.ToUpper(v[0].(string)) }, s)}
	default:
		s, i := a.text(d), a.integer(d)
		return sample{fmt.Sprintf(`split_part(%s, "/", %s)`, s.src, i.src), strict(func(v []any) any {
			parts := strings.Split(v[0].(string), "/")
			k := v[1].(int64)
			if k < 0 {
				k += int64(len(parts))
			}
			if k < 0 || k >= int64(len(parts)) {
				return nil
			}
			return parts[k]
		}, s, i)}
	}
}

func (a *author) instant(depth int) sample {
	if depth <= 0 {
		return col("ts")
	}
	d := depth - 1
	switch a.IntN(4) {
	case 0:
		p, q := a.instant(d), a.integer(d)
		return sample{fmt.Sprintf("(%s + %s)", p.src, q.src), strict(func(v []any) any {
			move := math.Round(float64(v[1].(int64)) * 1e6)
			if move < -9223372036854775808 || move >= 9223372036854775808 {
				return nil
			}
			z := new(big.Int).Add(big.NewInt(int64(v[0].(us))), big.NewInt(int64(move)))
			if !z.IsInt64() {
				return nil
			}
			return us(z.Int64())
		}, p, q)}
	case 1:
		return a.cond(a.instant(d), a.instant(d), d)
	case 2:
		return a.coalesce(a.instant(d), a.instant(d))
	default:
		p := a.instant(d)
		return sample{fmt.Sprintf(`trunc(%s, "5m")`, p.src), strict(func(v []any) any {
			x, m := big.NewInt(int64(v[0].(us))), big.NewInt(300e6)
			z := new(big.Int).Sub(x, new(big.Int).Mod(x, m))
			if !z.IsInt64() {
				return nil
			}
			return us(z.Int64())
		}, p)}
	}
}
