package plan

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/state"
)

// ClockPlan is what is done about clocks that are wrong.
type ClockPlan struct {
	Tolerance string     `json:"tolerance,omitempty"` // of a correction; "": none is made
	Ahead     string     `json:"ahead"`
	Future    string     `json:"far_future"`
	Behind    string     `json:"behind,omitempty"` // "": without end
	Past      string     `json:"far_past,omitempty"`
	Estimates *TablePlan `json:"estimates,omitempty"`
}

func (ch *Channel) explainClock() *ClockPlan {
	k := &ch.Config.Clock
	if !k.Any() {
		return nil
	}
	out := &ClockPlan{Ahead: config.FormatDuration(ch.Config.Ahead), Future: k.Future.String()}
	if k.Behind > 0 {
		out.Behind, out.Past = config.FormatDuration(k.Behind), k.Past.String()
	}
	if k.Correct {
		t := explainTable(ch.ClockDecl(), ch.Config.Partitions)
		out.Tolerance, out.Estimates = config.FormatDuration(k.Tolerance), &t
	}
	return out
}

func (c *ClockPlan) text() string {
	fate := map[string]string{"keep": "keeps its time", "receive": "gets the time of receipt", "reject": "is rejected"}
	var out []string
	if c.Estimates != nil {
		out = append(out, fmt.Sprintf("corrected by the median of each key where that is over %s, %s", c.Tolerance, c.Estimates.text()))
	}
	if c.Future != "keep" {
		out = append(out, fmt.Sprintf("a row over %s ahead %s", c.Ahead, fate[c.Future]))
	}
	if c.Behind != "" {
		out = append(out, fmt.Sprintf("a row over %s behind %s", c.Behind, fate[c.Past]))
	}
	return strings.Join(out, "; ")
}

// Of the table of ClockDecl: how many differences of a key are kept, and what else stands in a row.
const (
	ClockSamples = 15
	ClockFields  = 7
)

// ClockDecl is the table of a channel's partition of how far the clocks of its keys are off; only where the channel
// corrects them.
func (ch *Channel) ClockDecl() state.Decl {
	return state.Decl{
		Name: "channel." + ch.Config.Name + ".clock", Digest: "1:" + ch.Config.Key, MaxKeys: ch.Config.MaxKeys,
		Columns: []state.Column{{Name: "offsets", Type: state.I64, Width: ClockSamples}, {Name: "clock", Type: state.I64, Width: ClockFields}},
	}
}
