package config

import (
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/flow"
)

const (
	maxPartitions     = 1_024
	defaultPartitions = 4
)

func (l *loader) channels(blocks []*hclsyntax.Block) {
	byName := map[string]*Channel{}
	for _, b := range blocks {
		c := l.channel(b)
		if first, twice := byName[c.Name]; twice {
			l.duplicate("channel."+c.Name, b.LabelRanges[0], first.Range)
			continue
		}
		byName[c.Name] = c
		l.cfg.Channels = append(l.cfg.Channels, c)
	}
	sort.Slice(l.cfg.Channels, func(i, j int) bool { return l.cfg.Channels[i].Name < l.cfg.Channels[j].Name })
}

type channelArgs struct {
	Key         hcl.Expression `hcl:"key,optional"`
	Time        hcl.Expression `hcl:"time,optional"`
	Partitions  int            `hcl:"partitions,optional"`
	Retention   Duration       `hcl:"retention,optional"`
	RetainBytes Size           `hcl:"retain_bytes,optional"`
	Schema      hcl.Expression `hcl:"schema,optional"`
	Explode     hcl.Expression `hcl:"explode,optional"`
	Ahead       Duration       `hcl:"ahead,optional"`
	MaxKeys     int            `hcl:"max_keys,optional"`
	Dedupe      hcl.Expression `hcl:"dedupe,optional"`
	Decode      hcl.Expression `hcl:"decode,optional"`
	Clock       *clockArgs     `hcl:"clock,block"`
}

func (l *loader) channel(b *hclsyntax.Block) *Channel {
	args := channelArgs{Ahead: "10m", MaxKeys: 1 << 20}
	l.add(decodeOwn(b.Body, &args, l.cfg.Eval))
	c := &Channel{
		Name: b.Labels[0], Range: b.DefRange(),
		Partitions: args.Partitions, MaxKeys: args.MaxKeys,
		Retention: args.Retention.Length(), RetainBytes: args.RetainBytes.Bytes(), Ahead: args.Ahead.Length(),
		Learn: Absent(args.Schema) && Absent(args.Decode),
	}
	if !Absent(args.Decode) {
		c.Decode = args.Decode
	}
	if !Absent(args.Key) {
		c.Key, c.KeyRange = l.column(args.Key, "key")
	}
	if !Absent(args.Time) && l.timeIsExpression(args.Time) {
		c.Time = args.Time
	}
	if !Absent(args.Explode) {
		c.Explode, _ = l.column(args.Explode, "explode")
	}
	if c.Decode != nil && c.Explode != "" {
		l.fail(args.Explode.Range(), "Nothing to explode", "A plugin that decodes gives a row for each of a payload's records itself. Leave explode away.")
	}
	if !Absent(args.Schema) {
		s := &schemaReader{explode: c.Explode}
		c.Schema = s.read(args.Schema)
		l.add(s.diags)
		if !s.diags.HasErrors() {
			l.checkExplode(args.Explode, c, s)
			l.checkKey(c)
		}
	}
	l.checkExplodedKey(c)
	l.checkDuration(b.Body, "ahead", args.Ahead, 0, 100*365*24*time.Hour)
	l.checkInt(b.Body, "max_keys", int64(args.MaxKeys), 1, 1<<31)
	l.checkPartitions(b.Body, c)
	if !Absent(args.Dedupe) {
		c.Dedupe = l.dedupe(args.Dedupe, c)
	}
	l.clock(b.Body, args.Clock, c)
	return c
}

func (l *loader) checkPartitions(body *hclsyntax.Body, c *Channel) {
	a := body.Attributes["partitions"]
	keyed := body.Attributes["key"] != nil
	switch {
	case a == nil && keyed:
		c.Partitions = defaultPartitions
	case a == nil:
		c.Partitions = 1
	case c.Partitions < 1 || c.Partitions > maxPartitions:
		l.checkInt(body, "partitions", int64(c.Partitions), 1, maxPartitions)
		c.Partitions = 1
	case c.Partitions > 1 && !keyed:
		l.fail(a.Expr.Range(), "Partitions without a key", "Records without a key have one order, and so one partition. Name the column that tells devices apart, such as key = device, or leave partitions away.")
		c.Partitions = 1
	}
}

// column reads a dotted column name written without quotes.
func (l *loader) column(x hcl.Expression, what string) (string, hcl.Range) {
	at := x.Range()
	switch x := x.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		text := TraversalText(x.Traversal)
		if strings.ContainsAny(text, "[*") {
			l.fail(at, "Not a column", "%s takes the name of a column, with dots for members of objects: a.b", what)
			return "", at
		}
		if root := x.Traversal.RootName(); strings.Contains(root, "-") {
			l.fail(at, "Not a column", "%q is one name here, and names of columns in an expression have no hyphens. Did you mean %s?", text, repairName(text))
			return "", at
		}
		return text, at
	case *hclsyntax.TemplateExpr:
		if text, ok := literal(x); ok {
			l.fail(at, "Quotes around a name", "%s takes the name of a column without quotes: %s = %s", what, what, text)
			return "", at
		}
	case *hclsyntax.ExprSyntaxError:
		return "", at
	}
	l.fail(at, "Not a column", "%s takes the name of one column, such as %s = device", what, what)
	return "", at
}

// literal returns the text of a string without templates.
func literal(x hcl.Expression) (string, bool) {
	t, ok := x.(*hclsyntax.TemplateExpr)
	if !ok || !t.IsStringLiteral() {
		return "", false
	}
	v, diags := t.Value(nil)
	if diags.HasErrors() {
		return "", false
	}
	return v.AsString(), true
}

// timeIsExpression catches the one mistake in time that compiles: a text.
func (l *loader) timeIsExpression(x hcl.Expression) bool {
	if text, ok := literal(x); ok {
		l.fail(x.Range(), "Quotes around a name", "time takes a column or an expression without quotes: time = %s", text)
		return false
	}
	_, broken := x.(*hclsyntax.ExprSyntaxError)
	return !broken
}

// checkKey looks at the key's type; that the schema has it is checked by plan,
// which knows learned fields too.
func (l *loader) checkKey(c *Channel) {
	for _, f := range c.Schema {
		if f.Name == c.Key && f.Type.ID() == arrow.LIST {
			l.fail(c.KeyRange, "Wrong type of key", "%s is a list; a key is one value.", c.Key)
		}
	}
}

func (l *loader) checkExplodedKey(c *Channel) {
	if c.Explode == "" || c.Key == "" {
		return
	}
	if c.Key == c.Explode || strings.HasPrefix(c.Key, c.Explode+".") {
		l.fail(c.KeyRange, "Key within the exploded list", "A record goes to its partition whole, before it is exploded: the key must stand outside %s.", c.Explode)
	}
}

func (l *loader) checkExplode(x hcl.Expression, c *Channel, s *schemaReader) {
	if c.Explode == "" || s.exploded {
		return
	}
	for _, f := range c.Schema {
		if f.Name == c.Explode {
			l.fail(x.Range(), "Not a list", "explode takes a list; %s is none in the schema.", c.Explode)
			return
		}
	}
	l.fail(x.Range(), "Unknown column", "The schema has no list %q to explode.%s", c.Explode, didYouMean(c.Explode, s.lists, ""))
}

// reserved says that rows have a column of that name in any case.
func reserved(name string) bool {
	for _, f := range flow.MetaFields() {
		if f.Name == name {
			return true
		}
	}
	return false
}
