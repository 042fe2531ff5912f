package plan

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
)

// partly lists the names in topics that records of some way into the channel lack: one without topics, or with a template without the name.
func partly(topics []decode.TopicTemplate, ways [][]decode.TopicTemplate) (names []string) {
	for _, t := range topics {
		for _, name := range t.Columns() {
			without := func(t decode.TopicTemplate) bool { return !slices.Contains(t.Columns(), name) }
			lacks := func(way []decode.TopicTemplate) bool { return len(way) == 0 || slices.ContainsFunc(way, without) }
			if !slices.Contains(names, name) && slices.ContainsFunc(ways, lacks) {
				names = append(names, name)
			}
		}
	}
	return names
}

// checkTopics warns of an ingest whose records have no topic to take a column from that the channel goes by, where payloads
// do not give it either because a plugin reads them: the column is null then.
func (ch *Channel) checkTopics(n *Node) hcl.Diagnostics {
	const why = "there it is null, since a plugin reads the payloads"
	var diags hcl.Diagnostics
	for _, f := range ch.Fields {
		if !f.Topic || f.Property || f.OrPayload || !ch.goesBy(f.Name) {
			continue
		}
		for _, t := range n.Bound.Topics {
			if slices.Contains(t.Columns(), f.Name) {
				continue
			}
			diags = append(diags, config.Warnf(n.Block.Range, "A column that is null",
				"%s of channel.%s comes from topics, and those of %q have no {%s}: %s. %s", f.Name, ch.Config.Name, t, f.Name, why, otherName(f.Name))...)
		}
		if len(n.Bound.Topics) == 0 {
			diags = append(diags, config.Warnf(n.Block.Range, "A column that is null",
				"%s of channel.%s comes from topics, and records of %s have none: %s. %s", f.Name, ch.Config.Name, n.Address, why, otherName(f.Name))...)
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
