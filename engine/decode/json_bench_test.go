package decode

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/engine/journal"
)

const benchFields = "device:string ts:timestamp site:string lat:number lon:number speed:number temp:number " +
	"setpoint:number ambient:number door_open:bool fuel:number battery:number seq:integer"

// benchRecord is what encoding/json decodes into.
type benchRecord struct {
	Device   string    `json:"device"`
	TS       time.Time `json:"ts"`
	Site     string    `json:"site"`
	Lat      float64   `json:"lat"`
	Lon      float64   `json:"lon"`
	Speed    float64   `json:"speed"`
	Temp     float64   `json:"temp"`
	Setpoint float64   `json:"setpoint"`
	Ambient  float64   `json:"ambient"`
	DoorOpen bool      `json:"door_open"`
	Fuel     float64   `json:"fuel"`
	Battery  float64   `json:"battery"`
	Seq      int64     `json:"seq"`
}

// benchText writes record i of 13 fields and about 206 bytes, as trailers send it.
func benchText(r *rand.Rand, i int, order int) string {
	sites := [...]string{"rotterdam", "hamburg", "antwerp", "felixstowe", "gdansk"}
	head := fmt.Sprintf(`{"device":"trailer-%05d","ts":%q,"site":%q,`, r.IntN(8000),
		time.Unix(1795342530+int64(i)/200, 0).UTC().Format("2006-01-02T15:04:05.000Z"), sites[r.IntN(len(sites))])
	place := fmt.Sprintf(`"lat":%.5f,"lon":%.5f,"speed":%.1f,`, 50+r.Float64()*4, 3+r.Float64()*6, r.Float64()*90)
	if order == 1 {
		place = fmt.Sprintf(`"lon":%.5f,"lat":%.5f,`, 3+r.Float64()*6, 50+r.Float64()*4)
	}
	return head + place + fmt.Sprintf(`"temp":%.2f,"setpoint":%.1f,"ambient":%.1f,"door_open":%t,"fuel":%.2f,"battery":%.2f,"seq":%d}`,
		-22+r.Float64()*30, -18.0, r.Float64()*35, r.IntN(20) == 0, r.Float64()*100, 11.5+r.Float64()*2.5, 100000+i)
}

// benchBlocks makes blocks of 256 KiB; every odd-th record is laid out otherwise.
func benchBlocks(n, odd int) (blocks []*journal.Block, records []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		var texts []string
		for size := 0; size < 256<<10; {
			order := 0
			if odd > 0 && r.IntN(odd) == 0 {
				order = 1
			}
			s := benchText(r, len(records)+len(texts), order)
			texts = append(texts, s)
			size += len(s)
		}
		blocks = append(blocks, blockOf(uint64(len(records)), texts...))
		records = append(records, texts...)
	}
	return blocks, records
}

// pool is an allocator that keeps what is freed, as run's does.
type pool struct{ free map[int][][]byte }

func (p *pool) Allocate(n int) []byte {
	if list := p.free[n]; len(list) > 0 {
		p.free[n] = list[:len(list)-1]
		return list[len(list)-1]
	}
	return memory.DefaultAllocator.Allocate(n)
}

func (p *pool) Reallocate(n int, b []byte) []byte {
	c := p.Allocate(n)
	copy(c, b)
	p.Free(b)
	return c
}

func (p *pool) Free(b []byte) { p.free[len(b)] = append(p.free[len(b)], b) }

// cpuTime returns the CPU time that the thread has used, ns. The benchmarks use
// it because others share the machine. The caller has locked the thread.
func cpuTime(b testing.TB) float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return float64(t.Nano())
}

// median returns the middle one of times, which it sorts.
func median(times []float64) float64 {
	slices.Sort(times)
	return times[len(times)/2]
}

// decodeBlocks decodes all blocks n times and returns the CPU time a record, the
// middle one of the n, and how many records were fast.
func decodeBlocks(b testing.TB, d Decoder, blocks []*journal.Block, n int) (ns, fast float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out Result
	var times []float64
	records, quick := 0, 0
	for range n {
		start, before := cpuTime(b), records
		for _, block := range blocks {
			d.Decode(block, 0, &out)
			records += out.Stats.Records
			quick += out.Stats.Fast
			if len(out.Rejects) > 0 {
				b.Fatalf("unexpected reject: %s", out.Rejects[0].Reason)
			}
			out.Rows.Release()
		}
		times = append(times, (cpuTime(b)-start)/float64(records-before))
	}
	return median(times), float64(quick) / float64(records)
}

// BenchmarkJSON reports the CPU time that a record takes, and how much longer
// encoding/json takes to fill a struct, measured in the same run.
func BenchmarkJSON(b *testing.B) {
	for _, c := range []struct {
		name string
		odd  int
		mod  func(*Config)
	}{
		{"plain", 0, func(*Config) {}},
		{"two-layouts", 8, func(*Config) {}},
		{"learned", 0, func(c *Config) { c.Fields, c.Learn = nil, true }},
		{"one-read", 0, func(c *Config) {
			for i := range c.Fields {
				c.Fields[i].Skip = c.Fields[i].Name != "temp"
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			blocks, records := benchBlocks(8, c.odd)
			conf := Config{Alloc: &pool{map[int][][]byte{}}, Fields: parseFields(b, benchFields)}
			c.mod(&conf)
			d, err := NewJSON(conf)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			ns, fast := decodeBlocks(b, d, blocks, b.N)
			b.StopTimer()
			b.ReportMetric(ns, "ns/record")
			b.ReportMetric(100*fast, "%fast")
			b.ReportMetric(stdlibTime(b, records)/ns, "x-encoding/json")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkBlockSizes reports what a record costs in blocks of few records and of many, whose topics, one of 100 each, are a column.
func BenchmarkBlockSizes(b *testing.B) {
	const all, topics = 40_000, 100
	r := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for i := range all {
		texts = append(texts, benchText(r, i, 0))
	}
	template, err := ParseTopicTemplate("bench/{gateway}/telemetry")
	if err != nil {
		b.Fatal(err)
	}
	for _, rows := range []int{100, 400, 1600, 10_000} {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			var blocks []*journal.Block
			for from := 0; from < all; from += rows {
				block := blockOf(uint64(from), texts[from:from+rows]...)
				block.Topics = nil
				for i := range topics {
					block.Topics = append(block.Topics, fmt.Sprintf("bench/gateway-%d/telemetry", i))
				}
				for i := range rows {
					block.TopicOf = append(block.TopicOf, uint16(i/4%topics))
				}
				blocks = append(blocks, block)
			}
			fields := append([]Field{{Name: "gateway", Type: arrow.BinaryTypes.String, Topic: true}}, parseFields(b, benchFields)...)
			d, err := NewJSON(Config{Alloc: &pool{map[int][][]byte{}}, Fields: fields, Topics: []TopicTemplate{template}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			ns, _ := decodeBlocks(b, d, blocks, b.N)
			b.StopTimer()
			b.ReportMetric(ns, "ns/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkGeneral measures the decoder without plans.
func BenchmarkGeneral(b *testing.B) {
	blocks, _ := benchBlocks(8, 0)
	d, err := newJSON(Config{Alloc: &pool{map[int][][]byte{}}, Fields: parseFields(b, benchFields)})
	if err != nil {
		b.Fatal(err)
	}
	d.noPlans = true
	b.ResetTimer()
	ns, _ := decodeBlocks(b, d, blocks, b.N)
	b.ReportMetric(ns, "ns/record")
	b.ReportMetric(0, "ns/op")
}

// stdlibTime returns the CPU time in which encoding/json decodes a record, ns:
// the middle one of several passes.
func stdlibTime(b *testing.B, records []string) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	texts := make([][]byte, len(records))
	for i, s := range records {
		texts[i] = []byte(s)
	}
	var times []float64
	for range 5 {
		start := cpuTime(b)
		for _, s := range texts {
			var r benchRecord
			if err := json.Unmarshal(s, &r); err != nil {
				b.Fatal(err)
			}
		}
		times = append(times, (cpuTime(b)-start)/float64(len(records)))
	}
	return median(times)
}
