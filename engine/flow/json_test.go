package flow

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func mustRows(t testing.TB, text string) arrow.RecordBatch {
	t.Helper()
	rows, err := ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestJSONRows(t *testing.T) {
	for _, c := range []struct {
		name, rows, want string
		meta             bool
	}{
		{"every type", everyType, `
{"n":-17.5,"i":-9223372036854775808,"b":true,"s":"plain","t":"2026-11-22T10:15:30.5Z","l":[1,null,2.5],"odd name":"-","data":{"x":1e+300}}
{"n":null,"i":null,"b":null,"s":null,"t":null,"l":null,"odd name":null,"data":{"x":null}}
{"n":0,"i":5,"b":false,"s":"a \"b\" [c], é","t":"1970-01-01T00:00:00Z","l":[],"odd name":"","data":{"x":-0}}`, false},
		{"metadata", "_offset _time _mark v:bool\n7 00:01 - true\n8 00:02 00:01 false\n9 00:03 end -", `
{"_offset":7,"_index":0,"_received":"1970-01-01T00:01:00Z","_time":"1970-01-01T00:01:00Z","_slot":0,"_mark":null,"v":true}
{"_offset":8,"_index":0,"_received":"1970-01-01T00:02:00Z","_time":"1970-01-01T00:02:00Z","_slot":0,"_mark":60000000,"v":false}
{"_offset":9,"_index":0,"_received":"1970-01-01T00:03:00Z","_time":"1970-01-01T00:03:00Z","_slot":0,"_mark":null,"v":null}`, true},
		{"nesting", "a.b.c:number a.b.d:number a.e:number z:number a.b.f:number\n1 2 3 4 5", `
{"a":{"b":{"c":1,"d":2,"f":5},"e":3},"z":4}`, false},
		{"paths that block each other", "a:number a.b:number c.d:number c:number e.:number .f:number\n1 2 3 4 5 6", `
{"a":1,"a.b":2,"c":{"d":3},"c":4,"e.":5,".f":6}`, false},
		{"no columns", "_offset\n1\n2", "\n{}\n{}", false},
		{"lists", "l:list(string) t:list(timestamp) b:list(bool) i:list(integer)\n[a,\"b\\n\",-] [00:01,-] [true,false] [1,-2]", `
{"l":["a","b\n",null],"t":["1970-01-01T00:01:00Z",null],"b":[true,false],"i":[1,-2]}`, false},
	} {
		rows := mustRows(t, c.rows)
		e := NewJSONEncoder(rows.Schema(), c.meta)
		want := strings.TrimPrefix(c.want, "\n") + "\n"
		if got := string(e.AppendRows(nil, rows)); got != want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, want)
		}
		var by []byte
		for i := int64(0); i < rows.NumRows(); i++ {
			cut := rows.NewSlice(i, i+1)
			by = append(e.AppendRow(by, cut, 0), '\n')
			cut.Release()
		}
		if string(by) != want {
			t.Errorf("%s, a row at a time:\n%s", c.name, by)
		}
	}
}

func TestJSONStrings(t *testing.T) {
	texts := []string{"", "\x00\x1f", "a\tb\r\n", `\"`, "1234567\"", "12345678\\", "éßü", "日本語", "\U0001f69a", "\x7f", "a\u2028"}
	for c := range 256 {
		for _, at := range []int{0, 3, 7, 8, 12} {
			b := []byte("abcdefghijklm")
			b[at] = byte(c)
			texts = append(texts, string(b))
		}
	}
	for _, s := range texts {
		got := AppendJSONString([]byte("x"), s)[1:]
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q is written as %s", s, got)
		}
		if bytes.ContainsFunc(got, func(r rune) bool { return r < 0x20 }) {
			t.Errorf("%q holds a control character", got)
		}
	}
}

// TestFloats compares with encoding/json, for values of every kind and for
// every guess that could stand before them.
func TestFloats(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 0.3, 1e15, 1e15 - 1, 999999999999999, 1e16, 1e20, 1e21, 1e22, 1e-6, 9.999e-7, 1e-7, 5e-324,
		math.MaxFloat64, 123456789012345.6, 12345678901234.5, 0.000001, 1.5e-6, 0.30000000000000004, 2.0 / 3, 100, 1000000, 4503599627370497.5, -17.93, 51.92442}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		values = append(values, math.Float64frombits(r.Uint64()), float64(r.IntN(2000000)-1000000)/float64(powers[r.IntN(9)]), r.NormFloat64())
	}
	guess := 0
	for i, v := range values {
		if !isPlain(v) {
			continue
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		guesses := []int{guess, i % 15}
		for _, g := range guesses {
			b := make([]byte, jsonScalarRoom)
			n := putFloat(b, v, &g)
			if string(b[:n]) != string(want) {
				t.Fatalf("%s is written as %s", want, b[:n])
			}
			guess = g
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := string(AppendFloat(nil, v)); got != "null" {
			t.Errorf("%v is written as %s", v, got)
		}
	}
}

func TestIntegersAndTimes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 100000 {
		v := int64(r.Uint64()) >> (i % 64)
		if got := string(AppendInt(nil, v)); got != strconv.FormatInt(v, 10) {
			t.Fatalf("%d is written as %s", v, got)
		}
		us := time.UnixMicro(v).UTC()
		if got := string(AppendTime(nil, v)); us.Year() >= 0 && us.Year() <= 9999 && got != us.Format(time.RFC3339Nano) {
			t.Fatalf("%s is written as %s", us.Format(time.RFC3339Nano), got)
		}
	}
	for _, c := range []struct {
		us   int64
		want string
	}{
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{1000, "1970-01-01T00:00:00.001Z"},
		{math.MaxInt64, "+294247-01-10T04:00:54.775807Z"},
		{math.MinInt64, "-290308-12-21T19:59:05.224192Z"},
	} {
		if got := string(AppendTime(nil, c.us)); got != c.want {
			t.Errorf("%d is written as %s, not %s", c.us, got, c.want)
		}
	}
}

// trailerRows are rows of 13 fields like those of the demonstration fleet.
func trailerRows(n int) arrow.RecordBatch {
	fields := []arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: Timestamp}, {Name: "site", Type: arrow.BinaryTypes.String}}
	for _, name := range []string{"lat", "lon", "speed", "temp", "setpoint", "ambient"} {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64})
	}
	fields = append(fields, arrow.Field{Name: "door_open", Type: arrow.FixedWidthTypes.Boolean}, arrow.Field{Name: "fuel", Type: arrow.PrimitiveTypes.Float64},
		arrow.Field{Name: "battery", Type: arrow.PrimitiveTypes.Float64}, arrow.Field{Name: "seq", Type: arrow.PrimitiveTypes.Int64})
	b := array.NewRecordBuilder(memory.DefaultAllocator, NewSchema(fields))
	defer b.Release()
	r := rand.New(rand.NewPCG(5, 6))
	decimals := []int{5, 5, 1, 2, 1, 1, 0, 2, 2}
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.Int32Builder).Append(0)
		ts := arrow.Timestamp(1795342530000000 + i*3750)
		b.Field(2).(*array.TimestampBuilder).Append(ts)
		b.Field(3).(*array.TimestampBuilder).Append(ts)
		b.Field(4).(*array.Uint32Builder).Append(uint32(i))
		b.Field(5).(*array.Int64Builder).Append(NoMark)
		b.Field(6).(*array.StringBuilder).Append("trailer-" + strconv.Itoa(10000+r.IntN(8000)))
		b.Field(7).(*array.TimestampBuilder).Append(ts)
		b.Field(8).(*array.StringBuilder).Append("rotterdam")
		for c, d := range decimals {
			if c == 6 {
				b.Field(15).(*array.BooleanBuilder).Append(r.IntN(9) == 0)
				continue
			}
			b.Field(9 + c).(*array.Float64Builder).Append(math.Round((r.Float64()*140-40)*float64(powers[d])) / float64(powers[d]))
		}
		b.Field(18).(*array.Int64Builder).Append(int64(i + 123456))
	}
	return b.NewRecordBatch()
}

func BenchmarkJSONRows(b *testing.B) {
	rows := trailerRows(4096)
	e := NewJSONEncoder(rows.Schema(), false)
	dst := e.AppendRows(nil, rows)
	b.SetBytes(int64(len(dst) / 4096))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N/4096 + 1 {
		dst = e.AppendRows(dst[:0], rows)
	}
}

func FuzzFloat(f *testing.F) {
	f.Add(uint64(0), uint8(0))
	f.Add(math.Float64bits(0.1), uint8(14))
	f.Fuzz(func(t *testing.T, bits uint64, g uint8) {
		v, guess := math.Float64frombits(bits), int(g%15)
		if !isPlain(v) {
			return
		}
		b := make([]byte, jsonScalarRoom)
		b = b[:putFloat(b, v, &guess)]
		if want, _ := json.Marshal(v); string(b) != string(want) {
			t.Fatalf("%s is written as %s", want, b)
		}
	})
}
