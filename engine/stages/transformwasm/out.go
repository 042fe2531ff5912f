package transformwasm

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/wasm"
)

// bindSettings checks the plugin's own arguments.
func (b *binder) bindSettings() {
	given := map[string]json.RawMessage{}
	for _, a := range b.block.Config {
		text, err := ctyjson.Marshal(a.Value, a.Value.Type())
		if err != nil {
			b.fail(a.Range, "Wrong value", "The argument %s cannot be written as JSON.", a.Name)
			continue
		}
		given[a.Name] = text
	}
	settings, problems := b.manifest.Settings(given)
	b.settings = settings
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		at := b.block.Range
		hint := ""
		for _, a := range b.block.Config {
			if a.Name == name {
				at = a.Range
			}
		}
		if _, there := given[name]; there && !slices.Contains(b.manifest.OptionNames(), name) {
			hint = stage.Suggest(name, b.manifest.OptionNames())
		}
		b.fail(at, "Wrong argument of a plugin", "config.%s of %s: %s.%s", name, b.manifest.Name, problems[name], hint)
	}
}

// bindOut says what goes out: what passes, with written columns in place of those of
// the same name, and then the other written ones.
func (b *binder) bindOut() {
	keep := b.wanted()
	at := map[string]int{}
	for i, f := range b.manifest.Fields() {
		if keep == nil || slices.Contains(keep, f.Name) {
			at[f.Name] = i
		}
	}
	written := b.manifest.Fields()
	var fields []arrow.Field
	if b.manifest.Passes {
		for _, f := range flow.UserFields(b.in) {
			i, replaced := at[f.Name]
			if !replaced {
				fields, b.passes, b.written = append(fields, f), append(b.passes, f.Name), append(b.written, -1)
				continue
			}
			fields, b.passes, b.written = append(fields, written[i]), append(b.passes, ""), append(b.written, i)
			delete(at, f.Name)
		}
	}
	for i, f := range written {
		if at, ok := at[f.Name]; ok && at == i {
			fields, b.passes, b.written = append(fields, f), append(b.passes, ""), append(b.written, i)
		}
	}
	b.out = flow.NewSchema(fields)
}

// wanted reads out: the columns that are kept, of the types that they must have; nil: all.
func (b *binder) wanted() []string {
	if config.Absent(b.a.Out) {
		return nil
	}
	members, diags := stage.Members(b.a.Out, "out")
	b.diags = append(b.diags, diags...)
	keep := []string{}
	var known []string
	for _, c := range b.manifest.Writes {
		known = append(known, c.Name)
	}
	for _, m := range members {
		typ, ok := stage.ColumnName(m.Value)
		i := slices.Index(known, m.Name)
		switch {
		case !ok || !slices.Contains([]string{"number", "integer", "bool", "timestamp", "string"}, typ):
			b.fail(m.Value.Range(), "Not a type", "out takes name = type, with number, integer, bool, timestamp or string.")
		case i < 0:
			b.fail(m.At, "Unknown name", "%s %s writes no column %q.%s", b.manifest.Name, b.manifest.Version, m.Name, stage.Suggest(m.Name, known))
		case b.manifest.Writes[i].Type != typ:
			b.fail(m.Value.Range(), "Wrong type", "%s %s writes %s with the type %s.", b.manifest.Name, b.manifest.Version, m.Name, expr.TypeName(b.manifest.Writes[i].Arrow()))
		default:
			keep = append(keep, m.Name)
		}
	}
	return keep
}

// limits are the plugin block's limits.
func limits(p *config.Plugin) wasm.Limits {
	return wasm.Limits{MemoryBytes: p.Memory, FuelPerRow: p.FuelPerRow, Deadline: p.Deadline, LogBytes: int(p.LogLimit), HostCalls: p.HostCalls, Grants: p.Grants}
}
