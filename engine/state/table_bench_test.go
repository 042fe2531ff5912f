package state

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func BenchmarkInternStrings(b *testing.B) {
	for _, keys := range []int{8_000, 200_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			const rows = 4096
			sb := array.NewStringBuilder(memory.DefaultAllocator)
			var batches []*array.String
			for k := 0; k < 4*keys; {
				for range rows {
					sb.Append(fmt.Sprintf("trailer-%05d", k*7919%keys))
					k++
				}
				batches = append(batches, sb.NewStringArray())
			}
			tab, out := New(Decl{Name: "t"}), make([]uint32, rows)
			b.ResetTimer()
			for i := range b.N {
				if err := tab.InternStrings(batches[i%len(batches)], out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	tab := New(Decl{Name: "t", Columns: []Column{{"cells", I64, 8}}})
	for i := range 200_000 {
		mustSlot(b, tab, fmt.Appendf(nil, "trailer-%05d", i))
	}
	b.ResetTimer()
	for range b.N {
		tab.Snapshot(true)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/200k-keys")
}
