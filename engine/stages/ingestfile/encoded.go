package ingestfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// The formats hex and base64 carry payloads that are no text, and topics:
//
//	line    = [ topic " " ] payload
//	payload = { hex digit hex digit } | base64 of RFC 4648, with or without its padding
//
// `mosquitto_sub -F '%t %x'` writes such lines. A topic may hold blanks, a payload never does.
const (
	formatHex    = "hex"
	formatBase64 = "base64"
)

// encoded makes records of such lines.
type encoded struct {
	lines
	base64 bool
}

func newEncoded(format string) *encoded {
	e := &encoded{base64: format == formatBase64}
	e.take = e.record
	return e
}

// record takes a line that ends at pos.
func (e *encoded) record(line []byte, pos int64, out *batch) {
	at := bytes.LastIndexByte(line, ' ')
	topic, text := []byte(nil), line
	if at >= 0 {
		topic, text = line[:at], line[at+1:]
	}
	var payload []byte
	var err error
	switch {
	case len(topic) > journal.MaxName:
		out.refuse(pos, "the line before byte %d has a topic of %d bytes: at most %d are allowed", pos, len(topic), journal.MaxName)
		return
	case e.base64:
		payload, err = base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(text, "="))
	default:
		payload, err = hex.AppendDecode(nil, text)
	}
	if err != nil {
		out.refuse(pos, "the line before byte %d: %s", pos, strings.TrimPrefix(err.Error(), "encoding/hex: "))
		return
	}
	out.addRecord(string(topic), payload, pos)
}

// addRecord takes a record with a topic, as add does.
func (b *batch) addRecord(topic string, payload []byte, pos int64) {
	if pos <= b.pos {
		return
	}
	b.pos = pos
	p := b.topics.partition(topic)
	if p < 0 {
		p = b.partition(payload)
	}
	if pos <= b.farthest && uint64(pos) <= b.reached[p] {
		return
	}
	b.records = append(b.records, journal.Record{Partition: p, Topic: topic, Payload: payload, Received: b.received, Pos: uint64(pos)})
}

// topicKeys finds the partition of a record by its topic.
type topicKeys struct {
	templates  []decode.TopicTemplate
	key        string // the channel's
	partitions int
}

// partition is -1 where the key is not in the topic.
func (t *topicKeys) partition(topic string) int {
	if t == nil {
		return -1
	}
	for _, template := range t.templates {
		values, ok := template.Match(topic, nil)
		if !ok {
			continue
		}
		if at := slices.Index(template.Columns(), t.key); at >= 0 {
			return flow.PartitionOf(flow.Hash([]byte(values[at])), t.partitions)
		}
		return -1
	}
	return -1
}

// bindTopics reads topic.
func (a *args) bindTopics(o *options, at stage.At) hcl.Diagnostics {
	if config.Absent(a.Topic) {
		return nil
	}
	where := a.Topic.Range()
	if a.Format != formatHex && a.Format != formatBase64 {
		return config.Errorf(where, "No topics in this format", "Records have topics in files of the formats hex and base64: write format = \"hex\", or leave topic away.")
	}
	const detail = `topic takes the template of a topic, such as "dt/{site}/{device}/telemetry", or a list of them.`
	v, diags := config.Value(a.Topic, at.Eval)
	if diags.HasErrors() {
		return diags
	}
	if v, _ = v.Unmark(); v.Type() == cty.String {
		v = cty.TupleVal([]cty.Value{v})
	}
	if v.IsNull() || !v.IsWhollyKnown() || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return config.Errorf(where, "Not a topic template", detail)
	}
	for _, item := range v.AsValueSlice() {
		if item.IsNull() || item.Type() != cty.String {
			return config.Errorf(where, "Not a topic template", detail)
		}
		t, err := decode.ParseTopicTemplate(item.AsString())
		if err != nil {
			diags = append(diags, config.Errorf(where, "Not a topic template", "%v.", err)...)
			continue
		}
		o.topics = append(o.topics, t)
	}
	return diags
}
