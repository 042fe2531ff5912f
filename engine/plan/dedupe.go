package plan

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

// checkDedupe checks the columns that a channel compares rows by. Where fields are learned, a
// name that is not known yet may still come.
func (ch *Channel) checkDedupe() hcl.Diagnostics {
	d := ch.Config.Dedupe
	if d == nil {
		return nil
	}
	var diags hcl.Diagnostics
	for _, name := range d.Keys {
		at := slices.IndexFunc(ch.Fields, func(f decode.Field) bool { return f.Name == name })
		switch {
		case at < 0 && !ch.Config.Learn:
			diags = append(diags, config.Errorf(d.Range, "Unknown column",
				"The schema of channel.%s has no field %q.%s", ch.Config.Name, name, config.DidYouMean(name, fieldNames(ch.Fields)))...)
		case at >= 0 && !flow.KeyType(ch.Fields[at].Type):
			diags = append(diags, config.Errorf(d.Range, "Not a key",
				"dedupe takes columns with one value a row; %s is a %s.", name, expr.TypeName(ch.Fields[at].Type))...)
		}
	}
	return diags
}

// SentWidth is how many packet identifiers stand in one row of the table of SentDecl.
const SentWidth = 8

// SentDecl is the table of a channel's partition of what senders have sent: by session and group of
// packet identifiers, the messages that had them.
func (ch *Channel) SentDecl() state.Decl {
	return state.Decl{
		Name: "channel." + ch.Config.Name + ".sent", Digest: "1", MaxKeys: 1 << 20,
		Columns: []state.Column{{Name: "sums", Type: state.I64, Width: SentWidth}, {Name: "at", Type: state.I64}},
	}
}

// MaxRepeats is how many slots the table of RepeatsDecl has.
const MaxRepeats = 1 << 18

// RepeatsDecl is the table of a channel's partition of what were duplicates, as far back as that many slots tell. The first
// tells of the others, and of what the table tells.
func (ch *Channel) RepeatsDecl() state.Decl {
	return state.Decl{
		Name: "channel." + ch.Config.Name + ".repeats", Digest: "1", MaxKeys: MaxRepeats, Keyless: true,
		Columns: []state.Column{{Name: "at", Type: state.I64, Width: 3}},
	}
}

// SeenDecl is the table of a channel's partition of rows seen; only where the channel has a dedupe. A row
// enters before the oldest leaves.
func (ch *Channel) SeenDecl() state.Decl {
	d := ch.Config.Dedupe
	return state.Decl{
		Name: "channel." + ch.Config.Name + ".seen", Digest: fmt.Sprintf("1:%q", d.Keys), MaxKeys: d.Max + 1,
		Columns: []state.Column{{Name: "at", Type: state.I64}},
	}
}
