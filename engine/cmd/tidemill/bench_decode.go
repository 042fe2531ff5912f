package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

// benchRecord is what encoding/json fills.
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

func benchFields() []decode.Field {
	f, s := arrow.DataType(arrow.PrimitiveTypes.Float64), arrow.DataType(arrow.BinaryTypes.String)
	return []decode.Field{
		{Name: "device", Type: s}, {Name: "ts", Type: flow.Timestamp}, {Name: "site", Type: s},
		{Name: "lat", Type: f}, {Name: "lon", Type: f}, {Name: "speed", Type: f}, {Name: "temp", Type: f},
		{Name: "setpoint", Type: f}, {Name: "ambient", Type: f}, {Name: "door_open", Type: arrow.FixedWidthTypes.Boolean},
		{Name: "fuel", Type: f}, {Name: "battery", Type: f}, {Name: "seq", Type: arrow.PrimitiveTypes.Int64},
	}
}

// Records that are decoded over and over: more than caches and branch predictors remember.
const benchDecoded = 200_000

// decode measures decoding alone, in this process, and encoding/json beside it.
func (b *bencher) decode(r *benchResult, in *benchInput) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(r.Procs))
	lines, err := readLines(in.Name, benchDecoded)
	if err != nil {
		return err
	}
	r.Records = int64(len(lines))
	blocks := blocksOf(lines)
	d, err := decode.NewJSON(decode.Config{Fields: benchFields(), Alloc: &keeper{map[int][][]byte{}}})
	if err != nil {
		return err
	}
	if r.CPU, err = cpuPerRecord(len(lines), 2*b.runs+1, func() error { return decodeAll(d, blocks, len(lines)) }); err != nil {
		return err
	}
	r.Peer = "encoding/json"
	if r.PeerCPU, err = cpuPerRecord(len(lines), b.runs, func() error { return unmarshalAll(lines) }); err != nil {
		return err
	}
	r.Wall, r.Ratio = r.CPU, r.PeerCPU/r.CPU
	return nil
}

func decodeAll(d decode.Decoder, blocks []*journal.Block, want int) error {
	var out decode.Result
	rows := 0
	for _, block := range blocks {
		d.Decode(block, block.First, &out)
		if len(out.Rejects) > 0 {
			return fmt.Errorf("a record was rejected: %s", out.Rejects[0].Reason)
		}
		rows += int(out.Rows.NumRows())
		out.Rows.Release()
	}
	if rows != want {
		return fmt.Errorf("%d records gave %d rows", want, rows)
	}
	return nil
}

func unmarshalAll(lines [][]byte) error {
	for _, line := range lines {
		var x benchRecord
		if err := json.Unmarshal(line, &x); err != nil {
			return err
		}
	}
	return nil
}

// cpuPerRecord returns the CPU time of the middle one of n runs, ns a record,
// after one to warm up.
func cpuPerRecord(records, n int, f func() error) (float64, error) {
	var times []float64
	for range n + 1 {
		before := cpuTime()
		if err := f(); err != nil {
			return 0, err
		}
		times = append(times, float64(cpuTime()-before)/float64(records))
	}
	times = times[1:]
	slices.Sort(times)
	return times[len(times)/2], nil
}

// cpuTime is what this process has used, of all its threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("BUG: the kernel does not know this process: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func readLines(name string, most int) ([][]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out [][]byte
	lines := bufio.NewScanner(f)
	for len(out) < most && lines.Scan() {
		out = append(out, append([]byte(nil), lines.Bytes()...))
	}
	return out, lines.Err()
}

// blocksOf lays records out as the journal does.
func blocksOf(lines [][]byte) []*journal.Block {
	const size = 256 << 10
	var out []*journal.Block
	for i := 0; i < len(lines); {
		b := &journal.Block{Kind: journal.Records, First: uint64(i), Payload: make([]byte, 0, size+journal.Slack), Topics: []string{""}, Principals: []string{""}}
		for ; i < len(lines) && len(b.Payload)+len(lines[i]) <= size; i++ {
			b.Payload = append(b.Payload, lines[i]...)
			b.Ends = append(b.Ends, uint32(len(b.Payload)))
			b.Received = append(b.Received, 1)
		}
		b.Count = len(b.Ends)
		out = append(out, b)
	}
	return out
}

// keeper is an allocator that gives out again what came back, as the engine's does.
type keeper struct{ free map[int][][]byte }

func (k *keeper) Allocate(n int) []byte {
	if list := k.free[n]; len(list) > 0 {
		k.free[n] = list[:len(list)-1]
		return list[len(list)-1]
	}
	return memory.DefaultAllocator.Allocate(n)
}

func (k *keeper) Reallocate(n int, b []byte) []byte {
	c := k.Allocate(n)
	copy(c, b)
	k.Free(b)
	return c
}

func (k *keeper) Free(b []byte) { k.free[len(b)] = append(k.free[len(b)], b) }

var _ memory.Allocator = (*keeper)(nil)
