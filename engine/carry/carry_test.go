package carry

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// TestThereAndBack: what was kept as bytes is what it was, batch after batch.
func TestThereAndBack(t *testing.T) {
	rows, err := flow.ParseRows(memory.DefaultAllocator, `_time s:string x:number i:integer b:bool at:timestamp
00:00:01 a   1.5    -3                  true  00:00:07
00:00:02 ""  -0     9223372036854775807 false 00:00:08
00:00:03 -   -      -                   -     -
00:00:04 "é" 1e-300 0                   true  2026-01-31T00:00:00Z
`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	user := rows.Columns()[flow.MetaColumns:]
	var types []arrow.DataType
	for _, c := range user {
		types = append(types, c.DataType())
	}
	cols := NewColumns(types)
	for range 3 {
		var meta Meta
		for i := range int(rows.NumRows()) {
			Read(Append(nil, user, i), cols)
			meta.Add(int64(i), 0, int64(flow.Received(rows)[i]), int64(flow.Times(rows)[i]), flow.Slots(rows)[i], flow.Marks(rows)[i])
		}
		back := meta.Rows(rows.Schema(), Finish(cols))
		if got, want := flow.FormatRows([]string{"_time"}, back), flow.FormatRows([]string{"_time"}, rows); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		back.Release()
	}
}
