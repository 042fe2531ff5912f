package lineproto

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// rowsOf takes the columns of a batch by name.
func rowsOf(b arrow.RecordBatch, l Layout) *Rows {
	col := func(name string) arrow.Array { return b.Column(b.Schema().FieldIndices(name)[0]) }
	r := &Rows{Times: b.Column(flow.ColTime).(*array.Timestamp)}
	for _, n := range l.Tags {
		r.Tags = append(r.Tags, col(n))
	}
	for _, n := range l.Fields {
		r.Fields = append(r.Fields, col(n))
	}
	if l.Measurement == "" {
		r.Measurement = col("m").(*array.String)
	}
	return r
}

func encode(t testing.TB, l Layout, text string) (lines []string, problems []Problem) {
	t.Helper()
	b, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	e, err := NewEncoder(l)
	if err != nil {
		t.Fatal(err)
	}
	var out Lines
	problems = append(problems, e.Append(&out, rowsOf(b, l), int(b.NumRows()))...)
	from := 0
	for i, end := range out.Ends {
		line := string(out.Text[from:end])
		if line != "" && !strings.HasPrefix(line[out.Heads[i]:], " ") {
			t.Errorf("the head of %q has %d bytes", line, out.Heads[i])
		}
		lines = append(lines, line)
		from = end
	}
	return lines, problems
}

func TestLines(t *testing.T) {
	full := Layout{Measurement: "m 1,2", Tags: []string{"b", "a"}, Fields: []string{"n", "i", "ok", "at", "s"}}
	const head = "_time\ta:string\tb:string\tn:number\ti:integer\tok:bool\tat:timestamp\ts:string\tm:string\n"
	own := Layout{Tags: []string{"a"}, Fields: []string{"n"}}
	for _, c := range []struct {
		layout Layout
		row    string
		want   string // the line, or what the problem says
	}{
		{full, "7\tx\ty\t1.5\t-3\ttrue\t9\ttext\t-", "m\\ 1\\,2,a=x,b=y n=1.5,i=-3i,ok=true,at=9000i,s=\"text\" 7\n"},
		{full, "7\t-\t\"\"\t-\t-\tfalse\t-\t\"\"\t-", "m\\ 1\\,2 ok=false,s=\"\" 7\n"},
		{full, "-7\t\"a b,c=d\"\t-\t0.1\t-\t-\t-\t\"q\\\"b\\\\s\\nn\"\t-", "m\\ 1\\,2,a=a\\ b\\,c\\=d n=0.1,s=\"q\\\"b\\\\s\nn\" -7\n"},
		{full, "7\t\"end\\\\\"\t-\t1\t-\t-\t-\t-\t-", "the tag a ends in a backslash"},
		{full, "7\tx\ty\t-\t-\t-\t-\t-\t-", "no field of it has a value"},
		{full, "9223372036854775\tx\ty\t1\t-\t-\t-\t-\t-", "outside of what InfluxDB can hold"},
		{full, "-9223372036854775\tx\ty\t1\t-\t-\t-\t-\t-", "outside of what InfluxDB can hold"},
		{own, "7\tx\t-\t1\t-\t-\t-\t-\t\"a b\"", "a\\ b,a=x n=1 7\n"},
		{own, "7\tx\t-\t1\t-\t-\t-\t-\t\"#a\"", "begins with #"},
		{own, "7\tx\t-\t1\t-\t-\t-\t-\t\"\"", "is empty"},
		{own, "7\tx\t-\t1\t-\t-\t-\t-\t-", "is null"},
		{own, "7\tx\t-\t1\t-\t-\t-\t-\t\"a\\\\ b\"", "has a backslash before"},
	} {
		lines, problems := encode(t, c.layout, head+c.row+"\n")
		got := lines[0]
		if got == "" && len(problems) == 1 && problems[0].Field == "" && strings.Contains(problems[0].Reason, c.want) {
			continue
		}
		if got != c.want || len(problems) > 0 {
			t.Errorf("%q: %q, %v; want %q", c.row, got, problems, c.want)
		}
	}
}

func TestPrecisions(t *testing.T) {
	for p, want := range map[Precision][]string{
		Nanos: {"1999999000", "-1000"}, Micros: {"1999999", "-1"}, Millis: {"1999", "-1"}, Seconds: {"1", "-1"},
	} {
		lines, _ := encode(t, Layout{Measurement: "m", Fields: []string{"n"}, Precision: p}, "_time\tn:number\n1999999\t1\n-1\t1\n")
		for i, w := range want {
			if lines[i] != "m n=1 "+w+"\n" {
				t.Errorf("precision %d: %q, want %s", p, lines[i], w)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, l := range []Layout{
		{Measurement: "m", Tags: []string{"time"}}, {Measurement: "m", Fields: []string{"a", "a"}}, {Measurement: "m", Tags: []string{"a"}, Fields: []string{"a"}},
		{Measurement: "m", Fields: []string{""}}, {Measurement: "m", Fields: []string{`a\`}}, {Measurement: "#"}, {Measurement: `a\`},
	} {
		if _, err := NewEncoder(l); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// naive writes what the encoder does, by fmt and strconv.
func naive(device, site string, values []float64, n int64, us int64) string {
	esc := strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `)
	out := "m,device=" + esc.Replace(device)
	if site != "" {
		out += ",site=" + esc.Replace(site)
	}
	sep := " "
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		format := byte('f')
		if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
			format = 'e'
		}
		text := strconv.FormatFloat(v, format, -1, 64)
		if n := len(text); format == 'e' && text[n-4] == 'e' && text[n-2] == '0' {
			text = text[:n-2] + text[n-1:]
		}
		out += fmt.Sprintf("%sv%d=%s", sep, i, text)
		sep = ","
	}
	return out + fmt.Sprintf("%sn=%di %d\n", sep, n, us)
}

// TestAsStrconv compares with strconv, over decimals of devices and bits of all kinds.
func TestAsStrconv(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 20_000
	devices := []string{"trailer-00042", "a b", "x,y=z", "exactly8", "über,alles", "nine chars", "sixteen chars,, "}
	b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "site", Type: arrow.BinaryTypes.String},
		{Name: "v0", Type: arrow.PrimitiveTypes.Float64}, {Name: "v1", Type: arrow.PrimitiveTypes.Float64}, {Name: "n", Type: arrow.PrimitiveTypes.Int64},
	}))
	defer b.Release()
	var want []string
	for range n {
		d, s := devices[rng.IntN(len(devices))], devices[rng.IntN(len(devices))]
		if rng.IntN(5) == 0 {
			s = ""
		}
		v := []float64{math.Round((rng.Float64()-0.5)*1e6) / math.Pow10(rng.IntN(6)), math.Float64frombits(rng.Uint64())}
		k, us := int64(rng.Uint64())>>rng.IntN(64), rng.Int64N(1<<52)-1<<51
		for i := range flow.MetaColumns {
			switch f := b.Field(i).(type) {
			case *array.TimestampBuilder:
				f.Append(arrow.Timestamp(us))
			case *array.Int64Builder:
				f.Append(0)
			case *array.Int32Builder:
				f.Append(0)
			case *array.Uint32Builder:
				f.Append(0)
			}
		}
		b.Field(flow.MetaColumns).(*array.StringBuilder).Append(d)
		b.Field(flow.MetaColumns + 1).(*array.StringBuilder).Append(s)
		b.Field(flow.MetaColumns + 2).(*array.Float64Builder).Append(v[0])
		b.Field(flow.MetaColumns + 3).(*array.Float64Builder).Append(v[1])
		b.Field(flow.MetaColumns + 4).(*array.Int64Builder).Append(k)
		want = append(want, naive(d, s, v, k, us))
	}
	rows := b.NewRecordBatch()
	defer rows.Release()
	l := Layout{Measurement: "m", Tags: []string{"site", "device"}, Fields: []string{"v0", "v1", "n"}}
	e, err := NewEncoder(l)
	if err != nil {
		t.Fatal(err)
	}
	var out Lines
	for _, cut := range []int64{n, 1, 777} { // sliced columns have offsets
		for from := int64(0); from < min(n, 5*cut); from += cut {
			part := rows.NewSlice(from, min(n, from+cut))
			out.Reset()
			e.Append(&out, rowsOf(part, l), int(part.NumRows()))
			at := 0
			for i, end := range out.Ends {
				if got := string(out.Text[at:end]); got != want[int(from)+i] {
					t.Fatalf("row %d: %q, want %q", int(from)+i, got, want[int(from)+i])
				}
				at = end
			}
			part.Release()
		}
	}
}
