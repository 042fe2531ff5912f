package config

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Dedupe says which rows of a channel are the same: those that agree in all of
// Keys and come within a time.
type Dedupe struct {
	Keys   []string // dotted columns, as written
	Within time.Duration
	Max    int // rows remembered, of a partition
	Range  hcl.Range
}

const (
	maxDedupeKeys   = 16
	maxDedupeWithin = 100 * 24 * time.Hour
	dedupeRows      = 1 << 20
)

// dedupe reads the argument of that name: { key = [device, seq], within = "1h" }.
func (l *loader) dedupe(x hcl.Expression, c *Channel) *Dedupe {
	const right = `dedupe takes { key = [device, seq], within = "1h" }, and max = the number of rows remembered`
	d := &Dedupe{Within: time.Hour, Max: dedupeRows, Range: x.Range()}
	pairs, diags := hcl.ExprMap(x)
	if diags.HasErrors() {
		l.fail(x.Range(), "Not a dedupe", "%s.", right)
		return nil
	}
	for _, pair := range pairs {
		switch name := hcl.ExprAsKeyword(pair.Key); name {
		case "key":
			l.dedupeKeys(d, pair.Value)
		case "within":
			l.dedupeWithin(d, pair.Value)
		case "max":
			l.dedupeMax(d, pair.Value)
		default:
			l.fail(pair.Key.Range(), "Unsupported argument", "dedupe has no argument %q.%s There are key, within and max.", name, DidYouMean(name, []string{"key", "within", "max"}))
		}
	}
	if len(d.Keys) == 0 && !slices.ContainsFunc(pairs, func(p hcl.KeyValuePair) bool { return hcl.ExprAsKeyword(p.Key) == "key" }) {
		l.fail(x.Range(), "Missing key", "%s.", right)
	}
	l.checkDedupeKey(d, c)
	return d
}

func (l *loader) dedupeKeys(d *Dedupe, x hcl.Expression) {
	list, diags := hcl.ExprList(x)
	if diags.HasErrors() {
		list = []hcl.Expression{x}
	}
	if len(list) == 0 || len(list) > maxDedupeKeys {
		l.fail(x.Range(), "Not a key", "key lists from 1 to %d columns, such as [device, seq].", maxDedupeKeys)
	}
	for _, item := range list {
		name, at := l.column(item, "key")
		switch {
		case name == "":
			continue
		case slices.Contains(d.Keys, name):
			l.fail(at, "Named twice", "%s stands in key already.", name)
			continue
		case strings.HasPrefix(name, "_"):
			l.fail(at, "Not a key", "key takes columns of the records; %s belongs to the engine.", name)
			continue
		}
		d.Keys = append(d.Keys, name)
	}
}

func (l *loader) dedupeWithin(d *Dedupe, x hcl.Expression) {
	text, ok := literal(x)
	if !ok {
		l.fail(x.Range(), "Not a duration", `within takes a duration in quotes, such as "1h".`)
		return
	}
	length, err := ParseDuration(text)
	switch {
	case err != nil:
		l.fail(x.Range(), "Not a duration", "within: %v.", err)
	case length < time.Second || length > maxDedupeWithin:
		l.fail(x.Range(), "Out of range", "within goes from 1s to %s.", FormatDuration(maxDedupeWithin))
	default:
		d.Within = length
	}
}

func (l *loader) dedupeMax(d *Dedupe, x hcl.Expression) {
	v, diags := x.Value(nil)
	n := 0
	if lit, ok := x.(*hclsyntax.LiteralValueExpr); ok && !diags.HasErrors() && TypeText(lit.Val.Type()) == "number" {
		big := v.AsBigFloat()
		if i, exact := big.Int64(); exact == 0 && i <= 1<<28 {
			n = int(i)
		}
	}
	if n < 1 {
		l.fail(x.Range(), "Out of range", "max goes from 1 to %d.", 1<<28)
		return
	}
	d.Max = n
}

// checkDedupeKey sees to it that equal rows meet: they have to be in one partition.
func (l *loader) checkDedupeKey(d *Dedupe, c *Channel) {
	if c.Key == "" || c.Partitions == 1 || len(d.Keys) == 0 || slices.Contains(d.Keys, c.Key) {
		return
	}
	l.fail(d.Range, "Equal rows in different partitions",
		"Rows of channel.%s are spread over %d partitions by %s, so that equal ones would not meet. Write key = [%s], or give the channel partitions = 1.",
		c.Name, c.Partitions, c.Key, strings.Join(append([]string{c.Key}, d.Keys...), ", "))
}
