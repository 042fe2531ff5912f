package plan

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
)

// inference gathers, by channel, the fields whose types are known only from their use.
type inference struct {
	fields map[string][]decode.Field
	where  map[string]hcl.Range // by channel and name
	told   map[string]bool      // likewise: there is a warning about it
}

func newInference() *inference {
	return &inference{fields: map[string][]decode.Field{}, where: map[string]hcl.Range{}, told: map[string]bool{}}
}

// once leaves out warnings about names of which there was one already.
func (f *inference) once(channel string, diags hcl.Diagnostics) hcl.Diagnostics {
	var kept hcl.Diagnostics
	for _, d := range diags {
		if name, ok := d.Extra.(expr.OpenName); ok {
			id := channel + "\x00" + string(name)
			if f.told[id] {
				continue
			}
			f.told[id] = true
		}
		kept = append(kept, d)
	}
	return kept
}

func (f *inference) found() bool { return len(f.fields) > 0 }

// into returns the Infer function of an open scope over a channel.
func (f *inference) into(channel string) func(string, arrow.DataType, hcl.Range) string {
	return func(name string, t arrow.DataType, at hcl.Range) string {
		for _, old := range f.fields[channel] {
			if old.Name != name {
				continue
			}
			if arrow.TypeEqual(old.Type, t) {
				return ""
			}
			was := f.where[channel+"\x00"+name]
			return fmt.Sprintf("%s is used as a %s at %s line %d and as a %s here; declare it in the channel's schema",
				name, expr.TypeName(old.Type), was.Filename, was.Start.Line, expr.TypeName(t))
		}
		f.fields[channel] = append(f.fields[channel], decode.Field{Name: name, Type: t})
		f.where[channel+"\x00"+name] = at
		return ""
	}
}
