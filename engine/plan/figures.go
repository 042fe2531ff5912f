package plan

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/state"
)

// Of the table of FiguresDecl: what stands in a row.
const (
	FigureLast    = iota // when the latest record was received, us
	FigureRecords        // rows, where records are exploded
	FigureSkew           // us
	FigureStep           // us, by which skew moves
	FigureRejects
	Figures
)

// FiguresDecl is the table of a channel's partition of what /v1/devices tells of its keys; only where the channel has a key. A slot
// is that of the table of KeysDecl, whose limit is the one that counts, and which has another digest where this one has.
func (ch *Channel) FiguresDecl() state.Decl {
	keys := ch.KeysDecl() // its digest tells of the columns but for their width
	return state.Decl{
		Name: "channel." + ch.Config.Name + ".figures", Digest: fmt.Sprintf("1:%d:%s", max(keys.Columns[0].Width, 1), keys.Digest), MaxKeys: 1 << 30, Keyless: true,
		Columns: []state.Column{{Name: "figures", Type: state.I64, Width: Figures}},
	}
}

// explainFigures is nil where the channel has no key.
func (ch *Channel) explainFigures() *TablePlan {
	if ch.Config.Key == "" {
		return nil
	}
	t := explainTable(ch.FiguresDecl(), ch.Config.Partitions)
	t.Most = ch.KeysDecl().MaxKeys
	return &t
}
