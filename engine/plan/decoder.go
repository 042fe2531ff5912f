package plan

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// bindDecoder binds the plugin of a channel's decode over its records, and takes the
// channel's fields from it. What is wrong is told when all are bound.
func (p *Plan) bindDecoder(ch *Channel) {
	c := ch.Config
	if c.Decode == nil || ch.Fed { // refuseFed tells
		return
	}
	b := &config.Block{Kind: "decode", Type: "wasm", Name: c.Name, Enabled: true, Range: c.Decode.Range(), Body: decoderBody(c.Decode)}
	spec, diags := p.findSpec(b)
	if diags.HasErrors() {
		ch.decoding = diags
		return
	}
	n := &Node{Block: b, Spec: spec, Address: "channel." + c.Name + ".decode", Home: ch}
	p.setDigests(n)
	n.Bound, ch.decoding = p.decoderBound(ch, n)
	if n.Bound.Out == nil || ch.decoding.HasErrors() {
		return
	}
	ch.Decoder = n
	for _, f := range flow.UserFields(n.Bound.Out) {
		ch.declare(decode.Field{Name: f.Name, Type: f.Type})
	}
	ch.Fields = slices.DeleteFunc(ch.Fields, func(f decode.Field) bool { return !n.Bound.Out.HasField(f.Name) })
	ch.reschema()
	ch.decoding = ch.checkDecodedKey()
}

// decoderBody is a body in which the plugin stands as in that of any stage that runs one.
func decoderBody(x hcl.Expression) hcl.Body {
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}, SrcRange: x.Range(), EndRange: x.Range()}
	if named, ok := x.(hclsyntax.Expression); ok {
		body.Attributes["plugin"] = &hclsyntax.Attribute{Name: "plugin", Expr: named, SrcRange: x.Range(), NameRange: x.Range(), EqualsRange: x.Range()}
	}
	return body
}

// rebindDecoder binds it again, for a partition of its own.
func (p *Plan) rebindDecoder(ch *Channel) {
	n := *ch.Decoder
	n.Home = ch
	bound, diags := p.decoderBound(ch, &n)
	if diags.HasErrors() {
		panic("BUG: what decodes a channel bound once and does not bind again: " + diags.Error())
	}
	n.Bound, ch.Decoder = bound, &n
}

func (p *Plan) decoderBound(ch *Channel, n *Node) (bound stage.Bound, diags hcl.Diagnostics) {
	args := n.Spec.Args()
	if diags := config.DecodeBody(n.Block.Body, args, p.Config.Eval); diags.HasErrors() {
		return bound, diags
	}
	in := decode.RawSchema(ch.Fields)
	at := p.at(n, ch)
	at.Keys, at.Inputs, at.By = []string{""}, []string{"channel." + ch.Config.Name}, [][]string{nil}
	if ch.fromTopic(ch.Config.Key) {
		at.Keys[0] = ch.Config.Key
	}
	at.Scope = func(int) *expr.Scope { return &expr.Scope{Schema: in, Vars: p.Config.Vars, What: at.Inputs[0]} }
	return args.Bind([]*arrow.Schema{in}, at)
}

// fromTopic tells whether a column is a level of the records' topics.
func (ch *Channel) fromTopic(name string) bool {
	return slices.ContainsFunc(ch.Fields, func(f decode.Field) bool { return f.Name == name && f.Topic && !f.Property })
}

// checkDecodedKey refuses a key that is not known yet when a record goes to its partition.
func (ch *Channel) checkDecodedKey() hcl.Diagnostics {
	c := ch.Config
	if c.Key == "" || c.Partitions == 1 || ch.fromTopic(c.Key) || !ch.Schema.HasField(c.Key) {
		return nil
	}
	return config.Errorf(c.KeyRange, "A key that is decoded later",
		"Records find their partition before plugin.%s decodes them, so that %s cannot lead there. Take the key from the topic (topic = \"dt/{device}/...\" in the ingest), or write partitions = 1.",
		ch.Decoder.Bound.Plugin, c.Key)
}
