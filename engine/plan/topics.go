package plan

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// checkTopics warns of an ingest whose records have no topic to take a column from that the channel goes by: a column
// comes from topics or from payloads, and is null for these records whatever their payloads say.
func (ch *Channel) checkTopics(n *Node) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range ch.Fields {
		if !f.Topic || f.Property || !ch.goesBy(f.Name) {
			continue
		}
		for _, t := range n.Bound.Topics {
			if slices.Contains(t.Columns(), f.Name) {
				continue
			}
			diags = append(diags, config.Warnf(n.Block.Range, "A column that is null",
				"%s of channel.%s comes from topics, and those of %q have no {%s}: there it is null, whatever the payload says. %s", f.Name, ch.Config.Name, t, f.Name, otherName(f.Name))...)
		}
		if len(n.Bound.Topics) == 0 {
			diags = append(diags, config.Warnf(n.Block.Range, "A column that is null",
				"%s of channel.%s comes from topics, and records of %s have none: there it is null, whatever the payload says. %s", f.Name, ch.Config.Name, n.Address, otherName(f.Name))...)
		}
	}
	return diags
}

func otherName(name string) string {
	return "Give the level of the topic another name, such as {topic_" + name + "}, and have all payloads say " + name + "; or let these records into a channel of their own."
}

// goesBy says whether the channel was written with a column in mind: as its key, or in its schema.
func (ch *Channel) goesBy(name string) bool {
	if ch.Config.Key == name {
		return true
	}
	for _, f := range ch.Config.Schema {
		if f.Name == name {
			return true
		}
	}
	return false
}
