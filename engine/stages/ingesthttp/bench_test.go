package ingesthttp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

// BenchmarkPost measures a request of 1,000 records of 207 bytes, client and
// all, and one of a single record, which waits for the disk.
func BenchmarkPost(b *testing.B) {
	record := fmt.Sprintf(`{"device":"trailer-0042","ts":"2026-11-22T03:00:00Z","temp":-18.25,"pad":%q}`, strings.Repeat("x", 130)) + "\n"
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := start(b, env.Real(), b.TempDir(), open0, journal.Options{})
			body, client, url := strings.Repeat(record, n), &http.Client{}, r.url()
			b.SetBytes(int64(len(body)))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a, err := post(client, url, body); err != nil || a.accepted != n {
						b.Error(a, err)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			r.close()
		})
	}
}

// BenchmarkSplit measures taking a body apart and checking it.
func BenchmarkSplit(b *testing.B) {
	record := fmt.Sprintf(`{"device":"trailer-0042","ts":"2026-11-22T03:00:00Z","temp":-18.25,"pad":%q}`, strings.Repeat("x", 130)) + "\n"
	body := []byte(strings.Repeat(record, 1000))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if records, err := split(body, true); err != nil || len(records) != 1000 {
			b.Fatal(err)
		}
	}
}
