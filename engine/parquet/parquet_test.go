package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var utc = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// testSchema has a column of every type that can be written.
var testSchema = arrow.NewSchema([]arrow.Field{
	{Name: "device", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "temp", Type: arrow.PrimitiveTypes.Float64, Nullable: true, Metadata: arrow.MetadataFrom(map[string]string{"unit": "celsius"})},
	{Name: "any", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "open", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "seq", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "ts", Type: utc, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	{Name: "numbers", Type: arrow.ListOf(arrow.PrimitiveTypes.Float64), Nullable: true},
	{Name: "_index", Type: arrow.PrimitiveTypes.Int32},
	{Name: "_offset", Type: arrow.PrimitiveTypes.Int64},
}, nil)

// randomBatch makes rows of every sort: null says how often a value is missing, wild
// that values are of the whole range.
func randomBatch(r *rand.Rand, n int, null float64, wild bool) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, testSchema)
	defer b.Release()
	for i := range n {
		for c := range testSchema.NumFields() {
			if testSchema.Field(c).Nullable && r.Float64() < null {
				b.Field(c).AppendNull()
				continue
			}
			appendRandom(b.Field(c), r, c, i, wild)
		}
	}
	return b.NewRecordBatch()
}

func appendRandom(b array.Builder, r *rand.Rand, c, i int, wild bool) {
	switch b := b.(type) {
	case *array.StringBuilder:
		switch {
		case c == 0:
			b.Append(fmt.Sprintf("trailer-%03d", r.IntN(50)))
		case wild:
			b.Append(strings.Repeat(string(rune('a'+r.IntN(1000))), r.IntN(40)))
		default:
			b.Append(fmt.Sprint("ü", i))
		}
	case *array.Float64Builder:
		if c == 3 && wild {
			b.Append(math.Float64frombits(r.Uint64() &^ (1 << 62)))
		} else {
			b.Append(float64(r.IntN(4000)-2000) / 10)
		}
	case *array.BooleanBuilder:
		b.Append(r.IntN(3) == 0)
	case *array.Int64Builder:
		if wild {
			b.Append(int64(r.Uint64()))
		} else {
			b.Append(int64(i))
		}
	case *array.Int32Builder:
		if wild {
			b.Append(int32(r.Uint32()))
		} else {
			b.Append(0)
		}
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(1767225600_000000 + int64(i)*1000000 + int64(r.IntN(5))))
	case *array.ListBuilder:
		b.Append(true)
		for range r.IntN(4) {
			if r.IntN(5) == 0 {
				b.ValueBuilder().AppendNull()
			} else {
				appendRandom(b.ValueBuilder(), r, 0, i, wild)
			}
		}
	}
}

// texts renders rows, so that they can be compared whatever batches they came in.
func texts(batches []arrow.RecordBatch, refs []Ref) []string {
	var out []string
	for _, r := range refs {
		line := ""
		for c := range int(batches[r.Batch].NumCols()) {
			line += batches[r.Batch].Column(c).ValueStr(int(r.Row)) + "|"
		}
		out = append(out, line)
	}
	return out
}

func all(batches []arrow.RecordBatch) []Ref {
	var refs []Ref
	for i, b := range batches {
		for j := range int(b.NumRows()) {
			refs = append(refs, Ref{uint32(i), uint32(j)})
		}
	}
	return refs
}

// TestReadBack writes rows of every sort and reads them with arrow-go.
func TestReadBack(t *testing.T) {
	for _, c := range []struct {
		rows int
		null float64
		wild bool
	}{{1, 0, false}, {1, 1, false}, {7, 0.5, true}, {1000, 0, false}, {1000, 0, true}, {5000, 0.3, false}, {5000, 0.9, true}, {5000, 1, false}, {PageRows + 17, 0.1, true}, {RowGroupRows + 333, 0.01, false}} {
		t.Run(fmt.Sprintf("%d rows, %v null, wild %v", c.rows, c.null, c.wild), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(c.rows), 1))
			var batches []arrow.RecordBatch
			for left := c.rows; left > 0; {
				n := min(left, 1+r.IntN(3000))
				b := randomBatch(r, n+2, c.null, c.wild)
				batches = append(batches, b.NewSlice(1, int64(n)+1)) // an offset that is not 0
				left -= n
			}
			refs := all(batches)
			r.Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
			e, err := NewEncoder(testSchema)
			if err != nil {
				t.Fatal(err)
			}
			meta := []KeyValue{{"_tidemill", `{"places":[1,2]}`}}
			data := e.Encode(nil, batches, refs, meta)
			if again := e.Encode(nil, batches, refs, meta); !bytes.Equal(data, again) {
				t.Error("the same rows give other bytes")
			}
			got, err := Read(data, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			want, have := texts(batches, refs), texts(got, all(got))
			if len(want) != len(have) {
				t.Fatalf("%d rows, want %d", len(have), len(want))
			}
			for i := range want {
				if want[i] != have[i] {
					t.Fatalf("row %d is\n%s, want\n%s", i, have[i], want[i])
				}
			}
			if unit, _ := got[0].Schema().Field(2).Metadata.GetValue("unit"); unit != "celsius" {
				t.Errorf("the unit of temp is %q", unit)
			}
			kv, err := Metadata(data)
			if err != nil || len(kv) != 2 || kv[1] != meta[0] {
				t.Errorf("metadata %v, %v", kv, err)
			}
		})
	}
}

// TestHybrid reads back what appendHybrid makes of runs of every length.
func TestHybrid(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		width := 1 + r.IntN(20)
		var values []uint32
		for range r.IntN(12) {
			v := r.Uint32() & (1<<width - 1)
			for range 1 + r.IntN(40)*r.IntN(2) {
				values = append(values, v)
			}
		}
		if got := hybrid(t, appendHybrid(nil, values, width), width, len(values)); !equal(got, values) {
			t.Fatalf("width %d: %v, want %v", width, got, values)
		}
	}
}

func equal(x, y []uint32) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

// hybrid is a plain reader, a bit at a time.
func hybrid(t *testing.T, b []byte, width, n int) []uint32 {
	t.Helper()
	var out []uint32
	for len(b) > 0 {
		head, shift := uint64(0), 0
		for {
			x := b[0]
			b = b[1:]
			head |= uint64(x&0x7f) << shift
			shift += 7
			if x < 0x80 {
				break
			}
		}
		if head&1 == 0 {
			v := uint32(0)
			for i := range (width + 7) / 8 {
				v |= uint32(b[i]) << (8 * i)
			}
			b = b[(width+7)/8:]
			for range head >> 1 {
				out = append(out, v)
			}
			continue
		}
		groups := int(head >> 1)
		for i := range groups * 8 {
			v := uint32(0)
			for k := range width {
				at := i*width + k
				v |= uint32(b[at/8]>>(at%8)&1) << k
			}
			out = append(out, v)
		}
		b = b[groups*width:]
	}
	if len(out) < n {
		t.Fatalf("%d values, want %d", len(out), n)
	}
	return out[:n]
}

// TestDamage: a file cut short, or with a bit flipped where its values are, is refused.
func TestDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	b := []arrow.RecordBatch{randomBatch(r, 3000, 0.1, false)}
	e, err := NewEncoder(testSchema)
	if err != nil {
		t.Fatal(err)
	}
	data := e.Encode(nil, b, all(b), nil)
	for cut := 0; cut < len(data); cut += 1 + len(data)/59 {
		if rows, err := Read(data[:cut], memory.DefaultAllocator); err == nil {
			t.Errorf("cut at %d of %d it is read, %d batches", cut, len(data), len(rows))
		}
	}
	want, missed := strings.Join(texts(b, all(b)), "\n"), 0
	for i := range 150 {
		bad := bytes.Clone(data)
		bad[r.IntN(len(bad))] ^= 1 << (i % 8)
		rows, err := Read(bad, memory.DefaultAllocator)
		if err == nil && strings.Join(texts(rows, all(rows)), "\n") != want {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of 150 flipped bits gave other rows and no error", missed)
	}
}

func TestTypesThatAreRefused(t *testing.T) {
	for _, typ := range []arrow.DataType{arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64)), arrow.Null, arrow.FixedWidthTypes.Timestamp_ns} {
		_, err := NewEncoder(arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ}}, nil))
		if err == nil || !strings.Contains(err.Error(), "column x") {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
