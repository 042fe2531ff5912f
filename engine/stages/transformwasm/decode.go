package transformwasm

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// columnName is what a column that the plugin reads is called in the rows, unless columns says otherwise.
func (b *binder) columnName(name string) string {
	if !b.a.decodes {
		return name
	}
	return "_" + name // decode.RawPayload and decode.RawTopic; a manifest of this kind reads these two
}

// bindDecode binds the plugin over records: what comes from topics passes, and what the plugin writes under
// the name of such a column is left out, as a payload's member of that name is.
func (b *binder) bindDecode() {
	for _, c := range b.manifest.Reads {
		name := b.columnName(c.Name)
		at := b.in.FieldIndices(name)
		if len(at) != 1 {
			panic("BUG: records have no column " + name)
		}
		b.reads = append(b.reads, column{name, b.in.Field(at[0]).Type})
	}
	var fields []arrow.Field
	for _, f := range flow.UserFields(b.in) {
		if f.Name != decode.RawTopic && f.Name != decode.RawPayload {
			fields, b.passes, b.written = append(fields, f), append(b.passes, f.Name), append(b.written, -1)
		}
	}
	keep := b.declared(fields)
	for i, f := range b.manifest.Fields() {
		if !slices.Contains(b.passes, f.Name) && (keep == nil || slices.Contains(keep, f.Name)) {
			fields, b.passes, b.written = append(fields, f), append(b.passes, ""), append(b.written, i)
		}
	}
	b.out = flow.NewSchema(fields)
}

// declared is what the channel's schema names of what the plugin writes; nil: it has none, and all is kept.
func (b *binder) declared(topics []arrow.Field) []string {
	ch := b.at.Channel
	if len(ch.Schema) == 0 {
		return nil
	}
	keep, names, types := []string{}, []string{}, map[string]arrow.DataType{}
	for _, f := range slices.Concat(b.manifest.Fields(), topics) {
		if types[f.Name] == nil {
			names = append(names, f.Name)
		}
		types[f.Name] = f.Type
	}
	for _, f := range ch.Schema {
		switch have := types[f.Name]; {
		case have == nil:
			b.fail(f.Range, "Unknown name", "%s %s writes no column %q.%s", b.manifest.Name, b.manifest.Version, f.Name, stage.Suggest(f.Name, names))
		case !arrow.TypeEqual(have, f.Type):
			b.fail(f.Range, "Wrong type", "%s %s writes %s with the type %s.", b.manifest.Name, b.manifest.Version, f.Name, expr.TypeName(have))
		default:
			keep = append(keep, f.Name)
		}
	}
	return keep
}
