package decode

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// blockOf makes a block of records, the first of which has the offset first.
// What follows the payload is made to look like more of it.
func blockOf(first uint64, records ...string) *journal.Block {
	b := &journal.Block{Kind: journal.Records, First: first, Count: len(records), Ends: []uint32{}, Received: []int64{}}
	for i, r := range records {
		b.Payload = append(b.Payload, r...)
		b.Ends = append(b.Ends, uint32(len(b.Payload)))
		b.Received = append(b.Received, int64(first)+int64(i))
	}
	n := len(b.Payload)
	b.Payload = append(b.Payload, strings.Repeat(`1,"a":1}"`, 8)[:journal.Slack]...)[:n]
	return b
}

// parseFields reads "name:type[:unit][!]" separated by spaces; ! is Skip.
func parseFields(t testing.TB, s string) (fields []Field) {
	t.Helper()
	for _, w := range strings.Fields(s) {
		w, skip := strings.CutSuffix(w, "!")
		parts := strings.SplitN(w, ":", 3)
		f := Field{Name: parts[0], Skip: skip}
		list := strings.HasPrefix(parts[1], "[]")
		switch strings.TrimPrefix(parts[1], "[]") {
		case "number":
			f.Type = arrow.PrimitiveTypes.Float64
		case "integer":
			f.Type = arrow.PrimitiveTypes.Int64
		case "bool":
			f.Type = arrow.FixedWidthTypes.Boolean
		case "string":
			f.Type = arrow.BinaryTypes.String
		case "timestamp":
			f.Type = flow.Timestamp
		default:
			t.Fatalf("no such type: %s", w)
		}
		if list {
			f.Type = arrow.ListOf(f.Type)
		}
		if len(parts) == 3 {
			f.Unit = parts[2]
		}
		fields = append(fields, f)
	}
	return fields
}

// decoded is what a run of blocks gave, as text.
type decoded struct {
	rows    string
	rejects string
	stats   Stats
	schema  string
	fields  []Field
}

// decodeAll decodes blocks one after the other with one decoder and checks
// that no memory is left behind.
func decodeAll(t testing.TB, c Config, blocks ...*journal.Block) decoded {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	c.Alloc = alloc
	d, err := newJSON(c)
	if err != nil {
		t.Fatal(err)
	}
	return runAll(t, d, alloc, blocks...)
}

// runAll is decodeAll with a decoder that uses alloc.
func runAll(t testing.TB, d *jsonDecoder, alloc *memory.CheckedAllocator, blocks ...*journal.Block) decoded {
	t.Helper()
	var got decoded
	var rows, rejects strings.Builder
	for _, b := range blocks {
		var r Result
		d.Decode(b, 0, &r)
		if r.Rows != nil {
			writeRows(&rows, r.Rows)
			r.Rows.Release()
		}
		for _, x := range r.Rejects {
			where := "field " + x.Field
			if x.Whole {
				where = "whole"
			}
			fmt.Fprintf(&rejects, "%d.%d %s: %s\n", x.Offset, x.Index, where, x.Reason)
		}
		got.stats.Records += r.Stats.Records
		got.stats.Fast += r.Stats.Fast
		got.stats.Ignored += r.Stats.Ignored
		got.stats.Empty += r.Stats.Empty
	}
	got.fields = d.Fields()
	got.rows, got.rejects = rows.String(), rejects.String()
	for _, f := range flow.UserFields(d.Schema()) {
		got.schema += fmt.Sprintf("%q:%s ", f.Name, f.Type)
	}
	alloc.AssertSize(t, 0)
	return got
}

// writeRows writes a line a row: offset, index, then every value that is not null.
func writeRows(w *strings.Builder, rows arrow.RecordBatch) {
	for i := range int(rows.NumRows()) {
		fmt.Fprintf(w, "%d.%d", flow.Offsets(rows)[i], flow.Indexes(rows)[i])
		for j, f := range flow.UserFields(rows.Schema()) {
			if c := rows.Column(flow.MetaColumns + j); c.IsValid(i) {
				name := strconv.QuoteToASCII(f.Name)
				if plain := name[1 : len(name)-1]; plain == f.Name {
					name = plain
				}
				fmt.Fprintf(w, " %s=%s", name, valueText(c, i))
			}
		}
		w.WriteByte('\n')
	}
}

// everyWay decodes records in one block, and checks that the answer is the
// same without plans, with every record twice, with blocks cut at every
// record and anywhere, and when all fields were known from the start.
func everyWay(t testing.TB, c Config, records ...string) decoded {
	t.Helper()
	want := decodeAll(t, c, blockOf(0, records...))
	check := func(way string, got decoded) {
		t.Helper()
		got.stats.Fast = want.stats.Fast
		if got.rows != want.rows || got.rejects != want.rejects || got.stats != want.stats || got.schema != want.schema {
			t.Errorf("%s gives\n%s%s%+v %s\nand one block gives\n%s%s%+v %s", way,
				got.rows, got.rejects, got.stats, got.schema, want.rows, want.rejects, want.stats, want.schema)
		}
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	c.Alloc = alloc
	slow, err := newJSON(c)
	if err != nil {
		t.Fatal(err)
	}
	slow.noPlans = true
	check("the general way", runAll(t, slow, alloc, blockOf(0, records...)))
	for _, size := range []int{1, 3} {
		var blocks []*journal.Block
		for i := 0; i < len(records); i += size {
			blocks = append(blocks, blockOf(uint64(i), records[i:min(i+size, len(records))]...))
		}
		check(fmt.Sprintf("cutting at every %d", size), decodeAll(t, c, blocks...))
	}
	again(t, c, want, records)
	inStrips(t, c, want, records)
	return want
}

// inStrips decodes up to four of the records among their like, with the next one between them, so that strips are
// tried, and the same the general way.
func inStrips(t testing.TB, c Config, want decoded, records []string) {
	t.Helper()
	c.Fields = want.fields
	for i := 0; i < len(records); i += 1 + len(records)/4 {
		r := records[i]
		like := make([]string, 2*leastStrip)
		for k := range like {
			like[k] = r
		}
		mixed := append([]string(nil), like...)
		mixed[leastStrip+i%3] = records[(i+1)%len(records)]
		var got [2]decoded
		for way := range got {
			alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
			c.Alloc = alloc
			d, err := newJSON(c)
			if err != nil {
				t.Fatal(err)
			}
			d.noPlans = way == 0
			got[way] = runAll(t, d, alloc, blockOf(0, like...), blockOf(100, like...), blockOf(200, mixed...), blockOf(300, like...))
			got[way].stats.Fast = 0
		}
		if got[0].rows != got[1].rows || got[0].rejects != got[1].rejects || got[0].stats != got[1].stats {
			t.Errorf("among its like\n%s\ngives\n%s%s%+v\nand the general way\n%s%s%+v", r,
				got[1].rows, got[1].rejects, got[1].stats, got[0].rows, got[0].rejects, got[0].stats)
		}
	}
}

// again decodes the records with the schema that they lead to, twice: the
// second pass, which finds plans of all layouts, gives the same as the first.
func again(t testing.TB, c Config, want decoded, records []string) {
	t.Helper()
	c.Fields = want.fields
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	c.Alloc = alloc
	d, err := newJSON(c)
	if err != nil {
		t.Fatal(err)
	}
	first := runAll(t, d, alloc, blockOf(0, records...))
	second := runAll(t, d, alloc, blockOf(0, records...))
	if first.rows != second.rows || first.rejects != second.rejects || first.stats.Ignored != second.stats.Ignored {
		t.Errorf("the second pass gives\n%s%s%+v\nand the first\n%s%s%+v",
			second.rows, second.rejects, second.stats, first.rows, first.rejects, first.stats)
	}
}
