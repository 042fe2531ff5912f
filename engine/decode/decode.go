package decode

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/journal"
)

// Field is a column to decode. A nested member a.b of an object is the field
// "a.b"; objects themselves are never columns.
type Field struct {
	Name string
	// Type is float64, int64, bool, utf8, flow.Timestamp, or a list of one of them.
	Type arrow.DataType
	// Unit is how a JSON number becomes a timestamp: "s", "ms", "us", "ns", or
	// "" to tell by magnitude (below 1e11 seconds, 1e14 ms, 1e17 us, else ns).
	Unit string
	// Skip says that nobody reads the field: it is checked for type as always, but not a column.
	Skip bool
	// Topic says that the field is a level of the record's topic, by
	// Config.Topics, and not of the payload, whose member of that name is ignored and counted. Its
	// type is utf8. Such fields stand before all others.
	Topic bool
	// OrPayload says of a field with Topic that where a record's topic does not give it, the payload's member of
	// that name does, if it is a text. In the other records that member is ignored and counted, whatever it is.
	OrPayload bool
	// Property says of a field with Topic that it is a property of the record's
	// envelope, and not a level of its topic.
	Property bool
}

// Config says how the records of a channel are decoded.
type Config struct {
	Fields []Field
	// Learn makes columns of fields that Fields does not name, as they appear:
	// numbers are float64; the first non-null value decides the type.
	Learn bool
	// Explode names a list; each element of it becomes a row of its own with the
	// record's other fields repeated. Members of element objects are fields
	// "list.member"; scalar elements are the field "list". A record whose list is
	// empty or missing gives no rows and is counted; a value that is not a list is a reject.
	Explode string

	// Topics say where in a topic the fields with Topic stand; the first that a
	// topic is like counts. Where none is they are null, or come from the payload (Field.OrPayload).
	Topics []TopicTemplate

	MaxDepth  int // nesting of objects and lists; default 64
	MaxFields int // learned fields; further ones are counted in Stats.Ignored; default 1,000
	MaxRows   int // rows of one exploded record; default 100,000
	// Alloc makes the buffers of batches. Default memory.DefaultAllocator.
	Alloc memory.Allocator
}

// Reject is a record, or a field of it, that could not be decoded.
type Reject struct {
	Offset int64
	Index  int32
	// Whole says that the record gave no row. Otherwise the row lives on with a
	// null where Field should be.
	Whole  bool
	Field  string // "" with Whole
	Reason string // for a person: what was found, where (byte position), what would be right
	// Payload is the record, borrowed from the block, at most 64 KiB of it.
	Payload []byte
}

// Result is what one Decode gives. The caller owns Rows and releases it;
// Rejects is valid until the next Decode.
type Result struct {
	// Rows has the schema of Decoder.Schema. Its _time column equals _received,
	// _slot is 0 and _mark is flow.NoMark: the caller may overwrite these three
	// in place before it passes the batch on. nil when there are no rows.
	Rows    arrow.RecordBatch
	Rejects []Reject
	// Learned says that Schema has grown with this block. Rows has the new schema.
	Learned bool
	Stats   Stats
}

// Stats counts what a Decode saw.
type Stats struct {
	Records int
	Fast    int // records that were as the guess foretold
	Ignored int // values of fields that nobody asked for
	Empty   int // records whose exploded list was empty or missing
}

// Decoder decodes the blocks of one partition. One goroutine.
//
// What a record gives depends on that record and on the schema alone, never on
// how blocks were cut. With Learn a field's column is null in rows before the
// one that brought it.
type Decoder interface {
	// Decode decodes the records of b at or after offset from. It never fails as
	// a whole and never panics: what is wrong is in Rejects.
	Decode(b *journal.Block, from uint64, out *Result)
	// Schema is the schema of the next batch: metadata columns, then fields in
	// the order declared or learned.
	Schema() *arrow.Schema
	// Fields returns the fields, learned ones included, to be kept in a checkpoint.
	Fields() []Field
}

// NewJSON returns a decoder of RFC 8259 JSON, one value a record.
func NewJSON(c Config) (Decoder, error) { return newJSON(c) }
