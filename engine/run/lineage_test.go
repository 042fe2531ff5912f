package run

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestAssigned: which modules a file names, by when its records were received. Times are minutes.
func TestAssigned(t *testing.T) {
	at := func(minute int) time.Time { return time.UnixMicro(int64(minute) * 60e6) }
	events := []RolloutEvent{
		{At: at(10), Plugin: "p", Action: "base", Stable: "v1"},
		{At: at(10), Plugin: "q", Action: "base", Stable: "w1"},
		{At: at(20), Plugin: "p", Rollout: "lab", Action: "shadow", Stable: "v1", Canary: "v2"},
		{At: at(30), Plugin: "p", Rollout: "lab", Action: "canary", Stable: "v1", Canary: "v2"},
		{At: at(40), Plugin: "p", Rollout: "lab", Action: "promote", Stable: "v2"},
		{At: at(50), Plugin: "p", Rollout: "lab", Action: "remove", Stable: "v2"},
		{At: at(60), Plugin: "q", Action: "base", Stable: "w2"},
	}
	r := &rollouts{}
	r.file.Book = &rollout.Book{Bases: []rollout.Base{{Plugin: "p", Digest: "v1"}, {Plugin: "q", Digest: "w2"}, {Plugin: "r", Digest: "x1"}}}
	for _, c := range []struct {
		plugins  string
		from, to int
		want     string
	}{
		{"", 15, 70, ""},
		{"p", 15, 16, "v1"},
		{"p", 25, 26, "v1"},
		{"p", 25, 35, "v1 v2"},
		{"p", 32, 32, "v1 v2"},
		{"p", 45, 46, "v1 v2"}, // the rollout is of a fleet: others have the base
		{"p", 55, 56, "v1"},
		{"q", 15, 46, "w1"},
		{"q", 15, 60, "w1 w2"}, // nobody knows which of them the record of the very moment met
		{"q", 70, 71, "w2"},
		{"p q", 15, 16, "v1 w1"},
		{"q r", 15, 16, "w1 x1"}, // the history knows nothing of r any more
		{"q", 1, 2, "w2"},        // before the history: what is known
	} {
		r.file.History = events
		got := strings.Join(r.assigned(strings.Fields(c.plugins), at(c.from).UnixMicro(), at(c.to).UnixMicro()), " ")
		if got != c.want {
			t.Errorf("%s, received from %d to %d: %q, want %q", c.plugins, c.from, c.to, got, c.want)
		}
	}
}

// TestPluginsOf: what decodes a channel has a part in its rows, as a stage has.
func TestPluginsOf(t *testing.T) {
	made := func(name string, in ...plan.Input) *plan.Node {
		return &plan.Node{In: in, Bound: stage.Bound{Plugin: name}}
	}
	raw := plan.Input{Channel: &plan.Channel{Decoder: made("senml")}}
	channel := &plan.Channel{}
	channel.Feeders = []*plan.Node{made("", plan.Input{Node: made("health", raw)})}
	sink := made("", plan.Input{Node: made("fence", plan.Input{Channel: channel})})
	if got := strings.Join(pluginsOf(sink, &plan.Pipeline{}), " "); got != "fence health senml" {
		t.Errorf("plugins before a sink: %q", got)
	}
}
