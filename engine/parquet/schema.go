package parquet

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// column is a column of a file: a field, or the elements of one that is a list.
type column struct {
	at       int // in the schema
	name     string
	typ      arrow.DataType // of a value
	physical int
	list     bool
	optional bool
	path     []string
}

// levels are the greatest definition and repetition levels of a column.
func (c *column) levels() (def, rep int) {
	switch {
	case c.list:
		return 3, 1
	case c.optional:
		return 1, 0
	}
	return 0, 0
}

// Writable says whether a column of this type can be written.
func Writable(t arrow.DataType) bool {
	if l, ok := t.(*arrow.ListType); ok {
		return scalar(l.Elem()) >= 0
	}
	return scalar(t) >= 0
}

// scalar is the physical type of values of a type, -1 if there is none.
func scalar(t arrow.DataType) int {
	switch t.ID() {
	case arrow.BOOL:
		return typeBool
	case arrow.INT32:
		return typeInt32
	case arrow.INT64:
		return typeInt64
	case arrow.TIMESTAMP:
		if t.(*arrow.TimestampType).Unit == arrow.Microsecond {
			return typeInt64
		}
	case arrow.FLOAT64:
		return typeDouble
	case arrow.STRING:
		return typeByteArray
	}
	return -1
}

// columnsOf lists the columns of a schema.
func columnsOf(s *arrow.Schema) ([]column, error) {
	out := make([]column, s.NumFields())
	for i, f := range s.Fields() {
		c := column{at: i, name: f.Name, typ: f.Type, optional: f.Nullable, path: []string{f.Name}}
		if l, ok := f.Type.(*arrow.ListType); ok {
			c.list, c.typ, c.path = true, l.Elem(), []string{f.Name, "list", "element"}
		}
		if !Writable(f.Type) {
			return nil, fmt.Errorf("column %s is of type %s, which is not written to Parquet", f.Name, f.Type)
		}
		c.physical = scalar(c.typ)
		out[i] = c
	}
	return out, nil
}

// Repetition types, by their numbers in the format.
const (
	required = 0
	optional = 1
	repeated = 2
)

// schema writes the list of schema elements, depth first: field 2 of a file's metadata.
func (t *thrift) schema(cols []column) {
	n := 1
	for i := range cols {
		n++
		if cols[i].list {
			n += 2
		}
	}
	t.list(2, thriftStruct, n)
	t.begin()
	t.text(4, "schema")
	t.i32(5, len(cols))
	t.end()
	for i := range cols {
		c := &cols[i]
		if !c.list {
			t.leaf(c, c.name, c.optional)
			continue
		}
		t.begin()
		t.i32(3, optional)
		t.text(4, c.name)
		t.i32(5, 1)
		t.i32(6, 3) // LIST
		t.structure(10)
		t.empty(3)
		t.end()
		t.end()
		t.begin()
		t.i32(3, repeated)
		t.text(4, "list")
		t.i32(5, 1)
		t.end()
		t.leaf(c, "element", true)
	}
}

func (t *thrift) leaf(c *column, name string, null bool) {
	t.begin()
	t.i32(1, c.physical)
	if null {
		t.i32(3, optional)
	} else {
		t.i32(3, required)
	}
	t.text(4, name)
	switch c.typ.ID() {
	case arrow.STRING:
		t.i32(6, 0) // UTF8
		t.structure(10)
		t.empty(1)
		t.end()
	case arrow.TIMESTAMP:
		utc := c.typ.(*arrow.TimestampType).TimeZone != ""
		if utc {
			t.i32(6, 10) // TIMESTAMP_MICROS
		}
		t.structure(10)
		t.structure(8)
		t.boolean(1, utc)
		t.structure(2)
		t.empty(2) // of microseconds
		t.end()
		t.end()
		t.end()
	}
	t.end()
}

// arrowSchema is a schema as readers of Arrow want it in a file's metadata, so that
// fields keep their own metadata, such as units.
func arrowSchema(s *arrow.Schema) string {
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(s))
	if err := w.Close(); err != nil { // writes the schema; a bytes.Buffer does not fail
		panic("BUG: a schema that cannot be written: " + err.Error())
	}
	// What follows the schema is the mark of a stream's end.
	return base64.StdEncoding.EncodeToString(bytes.TrimSuffix(buf.Bytes(), []byte("\xff\xff\xff\xff\x00\x00\x00\x00")))
}

func (c *column) String() string { return strings.Join(c.path, ".") }
