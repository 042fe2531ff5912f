package journal

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// cpu returns the CPU time that this process has used, ns.
func cpu() int64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return use.Utime.Nano() + use.Stime.Nano()
}

const benchBatch = 5000

func benchRecords(partitions int) []Record {
	records := make([]Record, benchBatch)
	data := make([]byte, 206*benchBatch)
	for i := range data {
		data[i] = byte('a' + i%23)
	}
	for i := range records {
		records[i] = Record{
			Partition: i * 7919 % partitions, Payload: data[i*206 : (i+1)*206],
			Topic: "dt/yard/trailer/telemetry", Received: 1_700_000_000_000_000, Pos: uint64(i + 1),
		}
	}
	return records
}

// BenchmarkAppend measures Append and Flush of 206-byte records in batches of
// 5,000, four batches a flush or one. ns/op is for one record.
func BenchmarkAppend(b *testing.B) {
	for _, each := range []int{1, 4} {
		b.Run(fmt.Sprintf("batches=%d", each), func(b *testing.B) { benchAppend(b, each) })
	}
}

func benchAppend(b *testing.B, each int) {
	log, err := Open(env.Real(), b.TempDir(), Options{RetainBytes: 512 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	records := benchRecords(4)
	pos, batches := uint64(0), 0
	b.ReportAllocs()
	start := cpu()
	for n := 0; n < b.N; n += benchBatch {
		pos += benchBatch
		batch := Batch{Records: records[:min(benchBatch, b.N-n)], Source: "file", Pos: pos}
		if err := log.Appender().Append(batch); err != nil {
			b.Fatal(err)
		}
		if batches++; batches%each > 0 {
			continue
		}
		if err := log.Appender().Flush(); err != nil {
			b.Fatal(err)
		}
		if batches%256 == 0 {
			log.Trim(0)
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/record")
}

// BenchmarkRawWrite is the floor under BenchmarkAppend: the same bytes, ready
// made, written and synced with nothing else done.
func BenchmarkRawWrite(b *testing.B) {
	file, err := env.Real().FS.Open(b.TempDir()+"/x", env.Create)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 256<<10)
	per := len(block) / 208
	start := cpu()
	for n, at := 0, int64(0); n < b.N; n += per {
		if _, err := file.WriteAt(block, at); err != nil {
			b.Fatal(err)
		}
		if at += int64(len(block)); at%(1<<20) > 0 {
			continue
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		if f, ok := file.(env.Forgetter); ok {
			f.Forget(at-1<<20, 1<<20)
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/record")
}

// BenchmarkAppendOnly leaves out Flush's writing: what the CPU does for a record in memory.
func BenchmarkAppendOnly(b *testing.B) {
	log, err := Open(env.Real(), b.TempDir(), Options{PendingBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	d := log.(*disk)
	records := benchRecords(4)
	b.ReportAllocs()
	start := cpu()
	for n := 0; n < b.N; n += benchBatch {
		if err := d.Append(Batch{Records: records[:min(benchBatch, b.N-n)]}); err != nil {
			b.Fatal(err)
		}
		g := d.take()
		d.encode(g)
		for _, m := range g.blocks {
			m.block.Release()
		}
		d.filling.pending = 0
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/record")
}

// BenchmarkRead measures reading whole partitions, from the tail cache and from disk.
func BenchmarkRead(b *testing.B) {
	for _, cache := range []int{1 << 30, 1} {
		b.Run(fmt.Sprintf("cached=%v", cache > 1), func(b *testing.B) { benchRead(b, cache) })
	}
}

func benchRead(b *testing.B, cache int) {
	log, err := Open(env.Real(), b.TempDir(), Options{CacheBytes: cache})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	records := benchRecords(4)
	for range 40 {
		if err := log.Appender().Append(Batch{Records: records}); err != nil {
			b.Fatal(err)
		}
		if err := log.Appender().Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	start := cpu()
	for n, p := 0, 0; n < b.N; p = (p + 1) % 4 {
		r, err := log.Read(p, 0)
		if err != nil {
			b.Fatal(err)
		}
		for n < b.N {
			block, err := r.Next()
			if err != nil {
				b.Fatal(err)
			}
			if block == nil {
				break
			}
			n += block.Count
			block.Release()
		}
		r.Close()
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/record")
}
