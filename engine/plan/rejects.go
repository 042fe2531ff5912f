package plan

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
)

// RejectSchema is the schema of reject rows: what could not be processed,
// where, and why.
var RejectSchema = flow.NewSchema([]arrow.Field{
	{Name: "stage", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "reason", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "field", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "channel", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "partition", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "offset", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "index", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "received", Type: flow.Timestamp, Nullable: true},
	{Name: "row", Type: arrow.BinaryTypes.String, Nullable: true},
})

// DefaultRejects is the path, within the data folder, of the file that takes
// the rejects of a pipeline that names no sink for them.
func DefaultRejects(pipeline string) string { return "rejects/" + pipeline + ".ndjson" }

// bindRejects finds the sink that takes a pipeline's rejects, or makes the
// engine's own.
func (p *Plan) bindRejects(pl *Pipeline, done map[string]*Node) hcl.Diagnostics {
	if r := pl.Config.Rejects; r != nil {
		n := done[r.String()]
		if n == nil {
			for _, b := range pl.Config.Stages {
				if b.Address() == r.String() && !b.Enabled {
					return config.Errorf(r.Range, "Rejects go to a sink that is switched off",
						"%s has enabled = false. Name another sink, or leave rejects out: then they go to a file in the data folder.", r)
				}
			}
			return nil
		}
		if n.Feeds != nil {
			return config.Errorf(r.Range, "Rejects feed a channel", "%s feeds channel.%s, which takes rows of stages. Rejects go to a sink such as sink \"file\".", r, n.Feeds.Config.Name)
		}
		n.Rejects = true
		pl.Rejects = n
		return nil
	}
	body := constantBody(map[string]string{"path": "data://" + DefaultRejects(pl.Config.Name), "format": "ndjson"}, pl.Config.Range)
	b := &config.Block{Kind: "sink", Type: "file", Name: rejectsName(pl.Config), Enabled: true, Body: body, Range: pl.Config.Range}
	n, diags := p.bindNode(pl, b, done, newInference())
	if n == nil {
		return diags
	}
	n.Rejects = true
	pl.Nodes = append(pl.Nodes, n)
	pl.Rejects = n
	return diags
}

// rejectsName is a name for the engine's own sink that no other sink has.
func rejectsName(c *config.Pipeline) string {
	name := "rejects"
	for slices.ContainsFunc(c.Stages, func(b *config.Block) bool { return b.Kind == "sink" && b.Name == name }) {
		name = "default_" + name
	}
	return name
}

// constantBody makes the body of a block that the engine adds by itself.
func constantBody(attrs map[string]string, at hcl.Range) hcl.Body {
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}, SrcRange: at, EndRange: at}
	for name, value := range attrs {
		body.Attributes[name] = &hclsyntax.Attribute{
			Name: name, Expr: stringLiteral(value, at), SrcRange: at, NameRange: at, EqualsRange: at,
		}
	}
	return body
}
