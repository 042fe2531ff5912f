package decode

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// Limits that no configuration changes.
const (
	maxName         = 1024     // bytes of a learned field's name; a longer one is ignored and counted
	maxRejectedText = 64 << 10 // bytes of a record in a reject
	maxRepeated     = 64 << 20 // bytes that one exploded record may repeat
	maxValueless    = 1000     // unknown names with a null or an object, after which a record teaches nothing more
	maxDepthLimit   = 10_000   // what MaxDepth may be
)

// jsonDecoder decodes a record in one of two ways that give the same: by a
// plan (fast.go) when the record is laid out like one before it, or else
// member by member (general.go).
type jsonDecoder struct {
	c      Config
	cols   []*column
	nodes  nodes
	schema *arrow.Schema // nil: to be made again
	plans  plans
	// noPlans makes every record take the general way. Tests compare the two.
	noPlans bool
	topics  *topicColumns // nil: none
	pow     [16]float64   // of ten
	scale   [16]inverse   // of 10^(7-k) at k up to 7, and of 1 at 8: what a point in byte k of 8 multiplies by
	day     dayCache
	by      *inverses
	vectors bool // short numbers may be left as tokens
	rest    int  // blocks for which they are not

	strips   strips
	stripped bool // records of one layout may be decoded a column at a time

	// Of the batch that is being made.
	meta metaColumns
	rows int // rows done
	room int // rows that every column has room for
	out  *Result
	rej  []Reject

	// Of the record that is being decoded.
	scanner
	feed      feed
	offset    int64
	index     int32
	row       int
	stamp     uint64          // of the record, or of the element of its exploded list
	parent    uint64          // of the record that elements belong to
	last      uint64          // stamp given last
	path      []byte          // name of the member that is being read
	prev      *node           // the member read before
	scratch   []byte          // a name without its escapes
	list      int             // where the list to explode stands; -1
	depth     int             // containers open around its elements
	valueless map[string]bool // names whose value in this record taught nothing: a null, an object, a list of no one type
	trace     []token
	plain     bool // the record can serve as a plan
}

func newJSON(c Config) (*jsonDecoder, error) {
	if c.MaxDepth == 0 {
		c.MaxDepth = 64
	}
	if c.MaxFields == 0 {
		c.MaxFields = 1000
	}
	if c.MaxRows == 0 {
		c.MaxRows = 100_000
	}
	if c.Alloc == nil {
		c.Alloc = memory.DefaultAllocator
	}
	if c.MaxDepth < 1 || c.MaxDepth > maxDepthLimit {
		return nil, fmt.Errorf("MaxDepth is %d; it should be from 1 to %d", c.MaxDepth, maxDepthLimit)
	}
	if c.MaxFields < 0 || c.MaxRows < 1 {
		return nil, fmt.Errorf("MaxFields and MaxRows should not be negative")
	}
	topics, err := splitTopicFields(&c)
	if err != nil {
		return nil, err
	}
	d := &jsonDecoder{c: c, topics: topics, valueless: map[string]bool{}}
	d.nodes.explode = c.Explode
	d.max = c.MaxDepth
	for i := range d.pow {
		d.pow[i] = exactPow10(int64(i))
		d.scale[i] = inverseOf(int64(max(7-i, 0)))
	}
	d.by = newInverses()
	d.vectors = haveVectors() && c.Explode == ""
	d.stripped = haveStrips()
	d.reset()
	for _, f := range c.Fields {
		if err := d.checkField(f); err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name, err)
		}
		d.addField(f)
	}
	for _, f := range d.topics.orPayload() {
		d.addField(f).col.below = topics
	}
	d.c.Fields = nil // from here on the columns tell
	d.reset()
	return d, nil
}

func (d *jsonDecoder) checkField(f Field) error {
	if _, err := kindOf(f.Type); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "s", "ms", "us", "ns"}, f.Unit) {
		return fmt.Errorf(`the unit is %q; it should be "s", "ms", "us", "ns" or nothing`, f.Unit)
	}
	if isMeta(f.Name) {
		return fmt.Errorf("the name belongs to the engine")
	}
	if f.Name == "" || len(f.Name) > maxName {
		return fmt.Errorf("a name should have from 1 to %d bytes", maxName)
	}
	if n := d.nodes.find(f.Name); n != nil && n.col != nil {
		return fmt.Errorf("the name stands twice")
	}
	return nil
}

// isMeta says whether a name is that of a metadata column.
func isMeta(name string) bool {
	switch name {
	case "_offset", "_index", "_received", "_time", "_slot", "_mark":
		return true
	}
	return false
}

// addField makes a column of f and returns its node.
func (d *jsonDecoder) addField(f Field) *node {
	c := newColumn(f)
	d.cols = append(d.cols, c)
	d.schema = nil
	n := d.nodes.add(f.Name)
	n.col = c
	return n
}

// reset makes everything that follows from the list of columns again.
func (d *jsonDecoder) reset() {
	d.nodes.reset()
	if d.c.Explode != "" {
		d.nodes.add(d.c.Explode)
	}
	for _, c := range d.cols {
		d.nodes.add(c.field.Name).col = c
	}
	d.schema = nil
	d.plans.drop()
}

func (d *jsonDecoder) Fields() []Field {
	fields := make([]Field, 0, len(d.cols))
	if d.topics != nil {
		fields = append(fields, d.topics.fields...)
	}
	for _, c := range d.cols {
		if c.below == nil {
			fields = append(fields, c.field)
		}
	}
	return fields
}

func (d *jsonDecoder) Schema() *arrow.Schema {
	if d.schema == nil {
		var fields []arrow.Field
		for _, f := range d.Fields() {
			if !f.Skip {
				fields = append(fields, arrow.Field{Name: f.Name, Type: f.Type, Nullable: true})
			}
		}
		d.schema = flow.NewSchema(fields)
	}
	return d.schema
}

func (d *jsonDecoder) Decode(b *journal.Block, from uint64, out *Result) {
	if b.Kind != journal.Records || len(b.Ends) != b.Count || len(b.Received) != b.Count {
		panic("BUG: the block to decode is not a complete block of records")
	}
	if b.Count > 0 && cap(b.Payload)-int(b.Ends[b.Count-1]) < journal.Slack {
		panic("BUG: the block to decode has no slack after its payload")
	}
	*out = Result{}
	d.out, d.rej, d.rows = out, d.rej[:0], 0
	first := 0
	if from > b.First {
		first = int(min(from-b.First, uint64(b.Count)))
	}
	if first < b.Count {
		known := len(d.cols)
		if !d.rowsOf(b, first) {
			d.rest = restBlocks
			d.discard()
			if len(d.cols) > known { // what it taught is learned again, and at the same record
				d.cols = d.cols[:known]
				d.reset()
			}
			*out = Result{}
			d.rej, d.rows = d.rej[:0], 0
			d.rowsOf(b, first)
		}
		out.Learned = len(d.cols) > known
		out.Rows = d.close()
		out.Stats.Records = b.Count - first
		d.plans.tune(out.Stats.Records)
	}
	out.Rejects, d.out, d.s = d.rej, nil, nil
}

// rowsOf makes the columns of the records of b from number first on; false when
// a token turned out to be no number.
func (d *jsonDecoder) rowsOf(b *journal.Block, first int) bool {
	if d.topics != nil {
		d.topics.open(b)
	}
	d.open(b.Count - first)
	d.tokens(b.Count - first)
	d.block(b, first)
	for _, c := range d.cols {
		if !c.convert(d.rows, d.by) {
			return false
		}
	}
	return true
}

// block decodes the records of b from number first on.
func (d *jsonDecoder) block(b *journal.Block, first int) {
	for i := first; i < b.Count; {
		if n := d.strip(b, i); n > 0 {
			i += n
			continue
		}
		for end := min(i+stripRows, b.Count); i < end; i++ {
			d.one(b, i)
		}
	}
}

// one decodes record i of b.
func (d *jsonDecoder) one(b *journal.Block, i int) {
	d.offset, d.index = int64(b.First)+int64(i), 0
	before := d.rows
	if !d.noPlans && d.plans.fit(b.Payload, start(b, i), int(b.Ends[i]), d) {
		d.out.Stats.Fast++
		d.rows++
	} else {
		d.record(b.Record(i))
	}
	if d.rows == before+1 && d.index == 0 {
		d.meta.set(before, d.offset, b.Received[i])
	} else if d.rows > before {
		d.meta.setMany(before, d.rows, d.offset, b.Received[i])
	}
}

// start returns where record i of b begins.
func start(b *journal.Block, i int) int {
	if i == 0 {
		return 0
	}
	return int(b.Ends[i-1])
}

// open makes the buffers of a batch with room for n rows.
func (d *jsonDecoder) open(n int) {
	d.room = n
	d.meta.open(n, d.c.Alloc)
	for _, c := range d.cols {
		c.open(n, d.c.Alloc)
	}
}

// ensure makes room for row.
func (d *jsonDecoder) ensure(row int) {
	if row < d.room {
		return
	}
	d.room = max(row+1, 2*d.room)
	d.meta.reserve(d.room)
	for _, c := range d.cols {
		c.reserve(d.room)
	}
}

// close gives the rows away as a batch; nil when there are none.
func (d *jsonDecoder) close() arrow.RecordBatch {
	if d.rows == 0 {
		d.discard()
		return nil
	}
	schema := d.Schema()
	shells := flow.NewShells(schema.NumFields())
	arrays := make([]arrow.Array, flow.MetaColumns, schema.NumFields())
	if d.topics != nil {
		arrays = d.topics.close(arrays, d.meta.offset[:d.rows], d.cols, d.c.Alloc, &shells)
		d.out.Stats.Ignored += d.topics.ignored
	}
	d.meta.close(arrays, d.rows, &shells)
	for _, c := range d.cols {
		switch {
		case c.below != nil:
			c.discard()
		case !c.skip:
			arrays = append(arrays, c.close(d.rows, &shells))
		}
	}
	rows := array.NewRecordBatch(schema, arrays, int64(d.rows))
	for _, a := range arrays {
		a.Release()
	}
	return rows
}

// discard gives back the buffers of a batch.
func (d *jsonDecoder) discard() {
	d.meta.discard()
	for _, c := range d.cols {
		c.discard()
	}
}

// rejectField notes that field has no value in the current row.
func (d *jsonDecoder) rejectField(field, format string, args ...any) {
	d.plain = false
	d.rej = append(d.rej, Reject{Offset: d.offset, Index: d.index, Field: field,
		Reason: fmt.Sprintf(format, args...), Payload: d.payload()})
}

// rejectWhole notes that the current record gives no row.
func (d *jsonDecoder) rejectWhole(reason string) {
	d.rej = append(d.rej, Reject{Offset: d.offset, Index: d.index, Whole: true, Reason: reason, Payload: d.payload()})
}

func (d *jsonDecoder) payload() []byte {
	n := min(len(d.s), maxRejectedText)
	return d.s[:n:n]
}
