package window

import (
	"math"
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
)

const (
	maxBounds        = 1000
	maxSeries        = 1 << 16
	defaultCollected = 100
	maxCollected     = 10_000
	maxTop           = 100
)

// percentOf evaluates the second argument of percentile.
func percentOf(x hcl.Expression, eval *hcl.EvalContext) (float64, hcl.Diagnostics) {
	v, diags := config.Value(x, eval)
	if diags.HasErrors() {
		return 0, diags
	}
	if p, ok := numberOf(v); ok && p >= 0 && p <= 100 {
		if p > 0 && p < 1 {
			diags = append(diags, config.Warnf(x.Range(), "Percentage below 1", "percentile counts from 0 to 100: %v is nearly the least value. Write %v for the part %v.", p, math.Round(p*1e8)/1e6, p)...)
		}
		return p, diags
	}
	return 0, append(diags, config.Errorf(x.Range(), "Wrong percentage", "percentile takes a constant from 0 to 100, such as percentile(temp, 95).")...)
}

func numberOf(v cty.Value) (float64, bool) {
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.Number {
		return 0, false
	}
	f, _ := v.AsBigFloat().Float64()
	return f, !math.IsInf(f, 0)
}

// countOf evaluates how many values a list is to have.
func countOf(x hcl.Expression, eval *hcl.EvalContext, example string, most int) (int, hcl.Diagnostics) {
	v, diags := config.Value(x, eval)
	if diags.HasErrors() {
		return 1, diags
	}
	if n, ok := numberOf(v); ok && n >= 1 && n <= float64(most) && big.NewFloat(n).IsInt() {
		return int(n), diags
	}
	return 1, append(diags, config.Errorf(x.Range(), "Wrong number of values", "The second argument is a constant whole number from 1 to %d, as in %s.", most, example)...)
}

// boundsOf evaluates the bounds of a histogram.
func boundsOf(x hcl.Expression, eval *hcl.EvalContext) ([]float64, hcl.Diagnostics) {
	v, diags := config.Value(x, eval)
	if diags.HasErrors() {
		return nil, diags
	}
	wrong := func(what string) ([]float64, hcl.Diagnostics) {
		return nil, append(diags, config.Errorf(x.Range(), "Wrong bounds", "%s A histogram takes a constant list of numbers, such as histogram(temp, [0, 5, 10]).", what)...)
	}
	if !v.IsWhollyKnown() || v.IsNull() || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return wrong("This is no list.")
	}
	var out []float64
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		f, ok := numberOf(e)
		switch {
		case !ok:
			return wrong("Not all of these are numbers.")
		case len(out) > 0 && f <= out[len(out)-1]:
			return wrong("The bounds do not rise.")
		case len(out) == maxBounds:
			return wrong("These are more than 1000 bounds.")
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return wrong("This list is empty.")
	}
	return out, diags
}

// linearOf evaluates the second argument of time_avg.
func linearOf(x hcl.Expression, eval *hcl.EvalContext) (bool, hcl.Diagnostics) {
	v, diags := config.Value(x, eval)
	if diags.HasErrors() {
		return false, diags
	}
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.String && (v.AsString() == "hold" || v.AsString() == "linear") {
		return v.AsString() == "linear", diags
	}
	return false, append(diags, config.Errorf(x.Range(), "Unknown way between values", "time_avg takes \"hold\" (a value holds until the next, the default) or \"linear\".")...)
}
