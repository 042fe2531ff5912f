package decode

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// TopicTemplate says how the topics of records look, and which of their levels
// are columns: dt/{site}/{asset_type}/{device}/telemetry. A level + stands for anything, and
// # at the end for any levels, also none.
type TopicTemplate struct {
	text    string
	levels  []string // "{" and the name for a column
	columns []string
	open    bool // ends in #
}

// ParseTopicTemplate reads a template. The error says what would be right.
func ParseTopicTemplate(text string) (TopicTemplate, error) {
	t := TopicTemplate{text: text, levels: strings.Split(text, "/")}
	if text == "" || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return t, fmt.Errorf("a topic template is a text such as dt/{site}/{device}/telemetry")
	}
	for i, level := range t.levels {
		name, named := strings.CutPrefix(level, "{")
		switch {
		case named && strings.HasSuffix(name, "}"):
			name = strings.TrimSuffix(name, "}")
			if err := checkTopicName(name); err != nil {
				return t, err
			}
			if slices.Contains(t.columns, name) {
				return t, fmt.Errorf("{%s} stands twice; each name is a column of its own", name)
			}
			t.columns = append(t.columns, name)
			t.levels[i] = "{" + name
		case strings.ContainsAny(level, "{}"):
			return t, fmt.Errorf("%q mixes text and a name; a name stands for a whole level between slashes, such as {device}", level)
		case level == "#" && i == len(t.levels)-1:
			t.open, t.levels = true, t.levels[:i]
		case level != "+" && strings.ContainsAny(level, "+#"):
			return t, fmt.Errorf("%q: + stands alone between slashes, # alone at the end", level)
		}
	}
	return t, nil
}

func checkTopicName(name string) error {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("{%s}: a name has letters, digits and _, and begins with a letter", name)
		}
	}
	if name == "" || name[0] == '_' || len(name) > maxName {
		return fmt.Errorf("{%s}: a name has letters, digits and _, and begins with a letter", name)
	}
	return nil
}

// String is the template as it was written.
func (t TopicTemplate) String() string { return t.text }

// Columns lists the names, in the order of the levels.
func (t TopicTemplate) Columns() []string { return t.columns }

// Filter is the MQTT topic filter that takes every topic that the template
// takes, and some more: those with an empty level where a name stands.
func (t TopicTemplate) Filter() string {
	levels := slices.Clone(t.levels)
	for i, level := range levels {
		if strings.HasPrefix(level, "{") {
			levels[i] = "+"
		}
	}
	if t.open {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}

// Match appends the values of the columns if the topic is as the template says.
func (t TopicTemplate) Match(topic string, values []string) (_ []string, ok bool) {
	rest, more := topic, true
	for _, want := range t.levels {
		if !more {
			return values, false
		}
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case want == "+":
		case strings.HasPrefix(want, "{"):
			if level == "" {
				return values, false
			}
			values = append(values, level)
		case want != level:
			return values, false
		}
	}
	return values, t.open || !more
}

// maxKnownTopics is how many topics the decoder remembers the columns of.
const maxKnownTopics = 1 << 16

// topicColumns fills the columns that come from the topic. They have no node, and what a
// payload has under such a name is ignored; but for those with OrPayload, which have a column of the payload below them.
type topicColumns struct {
	fields    []Field
	templates []TopicTemplate
	known     map[string]int32 // numbers of topics
	topics    []string         // by number, in the order in which they first came
	values    []level          // of all fields of the first topic, then of the second ...
	next      int              // the topic that mostly comes next: devices take turns
	block     *journal.Block
	of        []int32    // numbers of the block's topics
	places    []int32    // of the rows that become columns: where the values of their topics begin
	ignored   int        // values of payloads in the rows made last whose topics had the field too
	list      []level    // values of a property
	order     []int32    // and their numbers
	sealed    []Envelope // of the block's records, where some field is a property
}

// level is one value.
type level struct {
	text string
	ok   bool
}

// splitTopicFields takes the fields from topics out of c.Fields; nil when there are none.
func splitTopicFields(c *Config) (*topicColumns, error) {
	t := &topicColumns{templates: c.Topics, known: map[string]int32{}}
	for len(c.Fields) > 0 && c.Fields[0].Topic {
		if f := c.Fields[0]; f.Type == nil || f.Type.ID() != arrow.STRING {
			return nil, fmt.Errorf("field %q: a field from the topic is a string", f.Name)
		} else if f.Property && f.OrPayload {
			return nil, fmt.Errorf("field %q: a property does not come from the payload", f.Name)
		}
		t.fields = append(t.fields, c.Fields[0])
		c.Fields = c.Fields[1:]
	}
	for i, f := range c.Fields {
		if f.Topic || f.OrPayload || t.has(f.Name) {
			return nil, fmt.Errorf("field %q, number %d: fields from the topic stand once, and before the others", f.Name, i+len(t.fields))
		}
	}
	if len(t.fields) == 0 {
		return nil, nil
	}
	return t, nil
}

func (t *topicColumns) has(name string) bool {
	return t != nil && slices.ContainsFunc(t.fields, func(f Field) bool { return f.Name == name })
}

// orPayload returns the fields that payloads give where topics do not, as fields of payloads.
func (t *topicColumns) orPayload() (fields []Field) {
	if t == nil {
		return nil
	}
	for _, f := range t.fields {
		if f.OrPayload {
			fields = append(fields, Field{Name: f.Name, Type: f.Type, Skip: f.Skip})
		}
	}
	return fields
}

// gives tells whether the topic of the block's record with that offset gives a field. Nothing is below a column without topics.
func (t *topicColumns) gives(name string, offset int64) bool {
	if t == nil {
		return false
	}
	of := 0
	if list := t.block.TopicOf; list != nil {
		of = int(list[offset-int64(t.block.First)])
	}
	i := slices.IndexFunc(t.fields, func(f Field) bool { return f.Name == name })
	return t.values[int(t.of[of])*len(t.fields)+i].ok
}

// open looks the block's topics up.
func (t *topicColumns) open(b *journal.Block) {
	if len(t.topics) >= maxKnownTopics {
		clear(t.known)
		clear(t.topics)
		clear(t.values)
		t.topics, t.values, t.next = t.topics[:0], t.values[:0], 0
	}
	t.block, t.of = b, t.of[:0]
	for _, topic := range b.Topics {
		t.of = append(t.of, t.number(topic))
	}
	if len(t.of) == 0 {
		t.of = append(t.of, t.number(""))
	}
	t.unseal(b)
}

// number returns the number of a topic, which has one from then on. A device sends after the one that it sent after
// before, more often than not: then nothing is looked up, and what is read stands side by side.
func (t *topicColumns) number(topic string) int32 {
	if t.next == len(t.topics) {
		t.next = 0
	}
	if t.next < len(t.topics) && t.topics[t.next] == topic {
		t.next++
		return int32(t.next - 1)
	}
	n, ok := t.known[topic]
	if !ok {
		n = int32(len(t.topics))
		topic = strings.Clone(topic) // a block's topics stand in memory that they share
		t.known[topic] = n
		t.topics = append(t.topics, topic)
		t.values = append(t.values, t.split(topic)...)
	}
	t.next = int(n) + 1
	return n
}

// unseal reads the envelopes of a block if some field is a property. One that cannot be read is as none.
func (t *topicColumns) unseal(b *journal.Block) {
	t.sealed = t.sealed[:0]
	if len(b.EnvelopeEnds) == 0 || !slices.ContainsFunc(t.fields, func(f Field) bool { return f.Property && !f.Skip }) {
		return
	}
	for i := range b.Count {
		e, _ := ParseEnvelope(b.Envelope(i))
		t.sealed = append(t.sealed, e)
	}
}

// split finds the first template that a topic is like, and gives the values of all fields.
func (t *topicColumns) split(topic string) []level {
	out := make([]level, len(t.fields))
	for _, template := range t.templates {
		texts, ok := template.Match(topic, nil)
		if !ok || !utf8.ValidString(topic) {
			continue
		}
		for i, name := range template.columns {
			if at := slices.IndexFunc(t.fields, func(f Field) bool { return f.Name == name }); at >= 0 {
				out[at] = level{texts[i], true}
			}
		}
		break
	}
	return out
}

// close appends the columns of rows with these offsets; below are columns of the payload, some of which fill what topics lack.
func (t *topicColumns) close(out []arrow.Array, offsets []int64, below []*column, alloc memory.Allocator, shells *flow.Shells) []arrow.Array {
	for i := range t.of {
		t.of[i] *= int32(len(t.fields))
	}
	t.places = slices.Grow(t.places[:0], len(offsets))[:len(offsets)]
	if list := t.block.TopicOf; list != nil {
		for row, offset := range offsets {
			t.places[row] = t.of[list[offset-int64(t.block.First)]]
		}
	} else {
		for row := range t.places {
			t.places[row] = t.of[0]
		}
	}
	t.ignored = 0
	for i, f := range t.fields {
		if !f.Skip {
			out = append(out, t.column(i, offsets, below, alloc, shells))
		}
	}
	t.block = nil
	return out
}

// valuesOf says where the values of field i stand: that of a row at its number in at. Valid until the next call.
func (t *topicColumns) valuesOf(offsets []int64, i int, below []*column) (values []level, at []int32) {
	f := &t.fields[i]
	c := slices.IndexFunc(below, func(c *column) bool { return c.below != nil && c.field.Name == f.Name })
	if !f.Property && c < 0 {
		return t.values[i:], t.places
	}
	t.list, t.order = t.list[:0], t.order[:0]
	for row, offset := range offsets {
		var v level
		if f.Property {
			v = t.property(offset, i)
		} else {
			v = t.either(i, below[c], row, row == 0 || offsets[row-1] != offset)
		}
		t.list, t.order = append(t.list, v), append(t.order, int32(row))
	}
	return t.list, t.order
}

// either is what the topic of a row gives for field i, or else the row's text in c, as long as that lasts. first: it is its record's first row.
func (t *topicColumns) either(i int, c *column, row int, first bool) level {
	v := t.values[int(t.places[row])+i]
	said := c.valid == nil || c.valid[row>>3]>>(row&7)&1 != 0
	switch from, to := c.ends[row], c.ends[row+1]; {
	case !said:
	case !v.ok:
		return level{unsafe.String(unsafe.SliceData(c.data[from:]), to-from), true}
	case first:
		t.ignored++
	}
	return v
}

func (t *topicColumns) property(offset int64, i int) level {
	if len(t.sealed) == 0 {
		return level{}
	}
	v, ok := t.sealed[offset-int64(t.block.First)].Property(t.fields[i].Name)
	return level{string(v), ok && utf8.Valid(v)}
}

func (t *topicColumns) column(i int, offsets []int64, below []*column, alloc memory.Allocator, shells *flow.Shells) arrow.Array {
	size, nulls := 0, 0
	values, at := t.valuesOf(offsets, i, below)
	for _, p := range at {
		if v := &values[p]; v.ok {
			size += len(v.text)
		} else {
			nulls++
		}
	}
	ends, texts := memory.NewResizableBuffer(alloc), memory.NewResizableBuffer(alloc)
	ends.Resize(4 * (len(offsets) + 1))
	texts.Resize(size)
	var bits *memory.Buffer
	if nulls > 0 {
		bits = memory.NewResizableBuffer(alloc)
		bits.Resize((len(offsets) + 7) / 8)
		clear(bits.Bytes())
	}
	to, data, n := arrow.Int32Traits.CastFromBytes(ends.Bytes()), texts.Bytes(), 0
	to[0] = 0
	for row, p := range at {
		v := &values[p]
		if v.ok {
			n += copy(data[n:], v.text)
		}
		to[row+1] = int32(n)
		if v.ok && bits != nil {
			bitutil.SetBit(bits.Bytes(), row)
		}
	}
	clear(t.list) // texts of properties and payloads need not live until the next block
	return shells.Column(arrow.BinaryTypes.String, len(offsets), nulls, nil, bits, ends, texts)
}
