package decode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// TestRaw: rows of records as they came, from the first offset that is asked for, and what of them can be taken out.
func TestRaw(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	template, err := ParseTopicTemplate("dt/{site}/#")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewRaw(Config{Alloc: mem, Topics: []TopicTemplate{template},
		Fields: []Field{{Name: "site", Type: arrow.BinaryTypes.String, Topic: true, Skip: true}, {Name: "v", Type: arrow.PrimitiveTypes.Float64}}})
	if err != nil {
		t.Fatal(err)
	}
	b := blockOf(7, "one", "", "\x00\xff", "four")
	b.Topics, b.TopicOf = []string{"dt/kiel/x", "", "$http/in/1/0/k"}, []uint16{0, 1, 2, 0}
	for from, want := range map[uint64]string{
		0:  `7 7 kiel "dt/kiel/x" "one"|8 8 - "" ""|9 9 - "" "\x00\xff"|10 10 kiel "dt/kiel/x" "four"`,
		9:  `9 9 - "" "\x00\xff"|10 10 kiel "dt/kiel/x" "four"`,
		11: "",
	} {
		var out Result
		d.Decode(b, from, &out)
		var got []string
		if out.Rows != nil {
			got = rawRows(out.Rows)
			taken := flow.Take(out.Rows, []int32{1}, mem)
			if one := rawRows(taken); one[0] != got[1] {
				t.Errorf("from %d: took %s of %s", from, one, got)
			}
			taken.Release()
			out.Rows.Release()
		}
		if text := strings.Join(got, "|"); text != want || out.Stats.Records != len(got) {
			t.Errorf("from %d: %s, of %d records; want %s", from, text, out.Stats.Records, want)
		}
	}
}

func rawRows(rows arrow.RecordBatch) (out []string) {
	text := func(name string) *array.String {
		return rows.Column(rows.Schema().FieldIndices(name)[0]).(*array.String)
	}
	for i := range int(rows.NumRows()) {
		site := "-"
		if s := text("site"); s.IsValid(i) {
			site = s.Value(i)
		}
		payload := rows.Column(rows.Schema().FieldIndices(RawPayload)[0]).(*array.Binary).Value(i)
		out = append(out, fmt.Sprintf("%d %d %s %q %q", flow.Offsets(rows)[i], flow.Received(rows)[i], site, text(RawTopic).Value(i), payload))
	}
	return out
}
