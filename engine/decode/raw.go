package decode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// Columns of what NewRaw gives, behind those from the topic: the record as it came. No
// level of a topic can have such a name.
const (
	RawTopic   = "_topic"
	RawPayload = "_payload"
)

// RawSchema is what NewRaw gives for a channel whose fields from topics are these.
func RawSchema(fields []Field) *arrow.Schema {
	var out []arrow.Field
	for _, f := range fields {
		if f.Topic {
			out = append(out, arrow.Field{Name: f.Name, Type: f.Type, Nullable: true})
		}
	}
	return flow.NewSchema(append(out,
		arrow.Field{Name: RawTopic, Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: RawPayload, Type: arrow.BinaryTypes.Binary, Nullable: true}))
}

// raw makes a row of every record and looks at no payload.
type raw struct {
	fields []Field
	topics *topicColumns // nil: none
	alloc  memory.Allocator
	schema *arrow.Schema
	meta   metaColumns
}

// NewRaw returns a decoder for those who decode payloads themselves: a row a record, with the
// fields from topics, all of them whatever Skip says, RawTopic and RawPayload. Other fields of the
// configuration are not looked at. The payloads point into the block: Result.Rows must not outlive it.
func NewRaw(c Config) (Decoder, error) {
	if c.Alloc == nil {
		c.Alloc = memory.DefaultAllocator
	}
	fields := slices.DeleteFunc(slices.Clone(c.Fields), func(f Field) bool { return !f.Topic })
	for i := range fields {
		fields[i].Skip = false
	}
	c.Fields = slices.Clone(fields)
	topics, err := splitTopicFields(&c)
	if err != nil {
		return nil, err
	}
	return &raw{fields: fields, topics: topics, alloc: c.Alloc, schema: RawSchema(fields)}, nil
}

func (d *raw) Schema() *arrow.Schema { return d.schema }

func (d *raw) Fields() []Field { return slices.Clone(d.fields) }

func (d *raw) Decode(b *journal.Block, from uint64, out *Result) {
	if b.Kind != journal.Records || len(b.Ends) != b.Count || len(b.Received) != b.Count {
		panic("BUG: the block to decode is not a complete block of records")
	}
	*out = Result{}
	first := 0
	if from > b.First {
		first = int(min(from-b.First, uint64(b.Count)))
	}
	n := b.Count - first
	if out.Stats.Records = n; n == 0 {
		return
	}
	d.meta.open(n, d.alloc)
	for i := range n {
		d.meta.set(i, int64(b.First)+int64(first+i), b.Received[first+i])
	}
	offsets := d.meta.offset[:n]
	shells := flow.NewShells(d.schema.NumFields())
	cols := make([]arrow.Array, flow.MetaColumns, d.schema.NumFields())
	if d.topics != nil {
		d.topics.open(b)
		cols = d.topics.close(cols, offsets, nil, d.alloc, &shells)
	}
	cols = append(cols, d.topicOf(b, first), d.payloads(b, first))
	d.meta.close(cols, n, &shells)
	out.Rows = array.NewRecordBatch(d.schema, cols, int64(n))
	for _, c := range cols {
		c.Release()
	}
}

// topicOf is the column of topics. What came without one has an empty one.
func (d *raw) topicOf(b *journal.Block, first int) arrow.Array {
	n, size := b.Count-first, 0
	at := func(i int) string {
		topic := ""
		switch {
		case len(b.Topics) == 0:
		case b.TopicOf == nil:
			topic = b.Topics[0]
		default:
			topic = b.Topics[b.TopicOf[first+i]]
		}
		if strings.HasPrefix(topic, "$") {
			return "" // an ingest's own, in which nobody publishes
		}
		return topic
	}
	for i := range n {
		size += len(at(i))
	}
	ends, texts := memory.NewResizableBuffer(d.alloc), memory.NewResizableBuffer(d.alloc)
	defer ends.Release()
	defer texts.Release()
	ends.Resize(4 * (n + 1))
	texts.Resize(size)
	to, data, used := arrow.Int32Traits.CastFromBytes(ends.Bytes()), texts.Bytes(), 0
	to[0] = 0
	for i := range n {
		used += copy(data[used:], at(i))
		to[i+1] = int32(used)
	}
	return d.texts(arrow.BinaryTypes.String, n, ends, texts)
}

// payloads is the column of payloads, which stay where they are.
func (d *raw) payloads(b *journal.Block, first int) arrow.Array {
	n, start := b.Count-first, uint32(0)
	if first > 0 {
		start = b.Ends[first-1]
	}
	if size := b.Ends[b.Count-1] - start; size > maxText {
		panic(fmt.Sprintf("BUG: a block has %d bytes of payloads", size))
	}
	ends := memory.NewResizableBuffer(d.alloc)
	defer ends.Release()
	ends.Resize(4 * (n + 1))
	to := arrow.Int32Traits.CastFromBytes(ends.Bytes())
	to[0] = 0
	for i := range n {
		to[i+1] = int32(b.Ends[first+i] - start)
	}
	return d.texts(arrow.BinaryTypes.Binary, n, ends, memory.NewBufferBytes(b.Payload[start:b.Ends[b.Count-1]]))
}

func (d *raw) texts(t arrow.DataType, n int, ends, data *memory.Buffer) arrow.Array {
	a := array.NewData(t, n, []*memory.Buffer{nil, ends, data}, nil, 0, 0)
	defer a.Release()
	return array.MakeFromData(a)
}

var _ Decoder = (*raw)(nil)
