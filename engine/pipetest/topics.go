package pipetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
)

// topics makes the topic of a record that has none, where the channel's ingest
// takes columns from topics: as its device would publish it.
type topics struct {
	all    []decode.TopicTemplate
	levels []string // of the first: "{name}" is a member of the record
	key    string   // the channel's, if it is one of the names
	parts  int
	buf    []byte
	known  []knownTopic // by sender
}

// knownTopic is what of has said of a sender.
type knownTopic struct {
	topic, site string
	partition   int
}

func newTopics(templates []decode.TopicTemplate, key string, partitions int) *topics {
	if len(templates) == 0 {
		return nil
	}
	t := &topics{all: templates, levels: strings.Split(templates[0].String(), "/"), parts: partitions}
	for _, template := range templates {
		if slices.Contains(template.Columns(), key) {
			t.key = key
		}
	}
	return t
}

// partition returns where the key in a topic leads; -1 where there is none in it.
func (t *topics) partition(topic string) int {
	if t.key == "" || t.parts == 1 {
		return -1
	}
	for _, template := range t.all {
		if values, ok := template.Match(topic, nil); ok {
			if at := slices.Index(template.Columns(), t.key); at >= 0 {
				return flow.PartitionOf(flow.Hash([]byte(values[at])), t.parts)
			}
			return -1
		}
	}
	return -1
}

// of returns the record's topic, and the partition that its key leads to; -1
// where the key is not in the topic.
func (t *topics) of(r *arriving) (topic string, partition int) {
	if r.sender == 0 {
		return t.make(r)
	}
	for len(t.known) <= r.sender {
		t.known = append(t.known, knownTopic{})
	}
	k := &t.known[r.sender]
	if k.topic == "" || k.site != r.site {
		k.site = r.site
		k.topic, k.partition = t.make(r)
	}
	return k.topic, k.partition
}

func (t *topics) make(r *arriving) (topic string, partition int) {
	var member func(name string) string
	if r.from != nil {
		member = r.from.member
	} else {
		var all map[string]any
		_ = json.Unmarshal(r.payload, &all) // what is no record has a topic all the same
		member = func(name string) string {
			if v := all[name]; v != nil {
				return fmt.Sprint(v)
			}
			return ""
		}
	}
	t.buf, partition = t.buf[:0], -1
	for i, level := range t.levels {
		if i > 0 {
			t.buf = append(t.buf, '/')
		}
		name, is := strings.CutPrefix(level, "{")
		if !is {
			t.buf = append(t.buf, level...)
			continue
		}
		name = strings.TrimSuffix(name, "}")
		value := member(name)
		if value == "" {
			value = name
		}
		if name == t.key && t.parts > 1 {
			partition = flow.PartitionOf(flow.Hash([]byte(value)), t.parts)
		}
		t.buf = append(t.buf, value...)
	}
	return string(t.buf), partition
}
