package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"
)

type row struct {
	Device    string    `json:"device"`
	TS        time.Time `json:"ts"`
	Site      string    `json:"site"`
	Lat       *float64  `json:"lat"`
	Speed     float64   `json:"speed"`
	Temp      *float64  `json:"temp"`
	Setpoint  float64   `json:"setpoint"`
	Ambient   float64   `json:"ambient"`
	DoorOpen  bool      `json:"door_open"`
	Fuel      float64   `json:"fuel"`
	Battery   float64   `json:"battery"`
	Seq       int       `json:"seq"`
	arrivalUS int64
}

func mustNew(t testing.TB, o Options) *Fleet {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func all(t testing.TB, o Options) []byte {
	f := mustNew(t, o)
	var out []byte
	for ok := true; ok; {
		out, _, ok = f.Next(out)
	}
	return out
}

func rows(t *testing.T, o Options) (out []row, broken int) {
	t.Helper()
	f := mustNew(t, o)
	last := int64(0)
	for {
		line, at, ok := f.Next(nil)
		if !ok {
			return out, broken
		}
		if at < last {
			t.Fatalf("a line arrives at %d, after one of %d", at, last)
		}
		last = at
		if line[len(line)-1] != '\n' || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("not one line: %q", line)
		}
		r := row{arrivalUS: at}
		if json.Unmarshal(line, &r) != nil {
			broken++
			continue
		}
		out = append(out, r)
	}
}

// TestDigests pins the bytes: a change here changes benchmarks, pipelines'
// expected output and every seed that somebody has written down.
func TestDigests(t *testing.T) {
	demo := Demo()
	demo.Records = 40000
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"plain", Options{Devices: 500, Records: 20000}, "b347b672a7af7303"},
		{"another seed", Options{Devices: 500, Records: 20000, Seed: 7}, "38476860c51642cf"},
		{"everything", demo, "1f1d50dc3ba148af"},
	} {
		got := all(t, c.o)
		sum := sha256.Sum256(got)
		if hex.EncodeToString(sum[:8]) != c.want {
			t.Errorf("%s: the digest of %d bytes is %x\n%s", c.name, len(got), sum[:8], got[:500])
		}
	}
}

// TestPlain looks at a fleet without faults, as the benchmarks use it.
func TestPlain(t *testing.T) {
	for _, o := range []Options{{Devices: 8000, Records: 60000}, {Devices: 100, Records: 120000}} {
		data := all(t, o)
		rows, broken := rows(t, o)
		if len(rows) != int(o.Records) || broken > 0 {
			t.Fatalf("%d rows and %d broken ones", len(rows), broken)
		}
		if mean := len(data) / len(rows); mean < 216 || mean > 228 {
			t.Errorf("a line has %d bytes on average", mean)
		}
		warm := 0
		next := map[string]int{}
		for _, r := range rows {
			if *r.Temp > r.Setpoint+3 && !r.DoorOpen {
				warm++
			}
			if next[r.Device] != 0 && r.Seq != next[r.Device] {
				t.Fatalf("%s goes on with %d, not %d", r.Device, r.Seq, next[r.Device])
			}
			next[r.Device] = r.Seq + 1
			if *r.Temp < -30 || *r.Temp > 30 || r.Speed < 0 || r.Speed > 100 || r.Fuel < 0 || r.Fuel > 100 || r.Battery < 12 || r.Battery > 14 ||
				*r.Lat < 35 || *r.Lat > 65 || r.DoorOpen && r.Speed > 0 || r.Ambient < -10 || r.Ambient > 35 {
				t.Fatalf("implausible: %+v", r)
			}
			if late := time.UnixMicro(r.arrivalUS).Sub(r.TS); late < 0 || late > 3*time.Second {
				t.Fatalf("it arrives %v after it was measured: %+v", late, r)
			}
		}
		if share := float64(warm) / float64(len(rows)); share < 0.04 || share > 0.06 {
			t.Errorf("%d devices, %d rows: temp > setpoint + 3 && !door_open holds for %.4f of them", o.Devices, len(rows), share)
		}
		if len(next) != o.Devices {
			t.Errorf("%d devices have sent", len(next))
		}
	}
}

// TestFaults counts what was asked for.
func TestFaults(t *testing.T) {
	o := Options{Devices: 200, Duration: 6 * time.Hour, Offline: 0.2, Skewed: 0.1, SkewBy: time.Hour,
		Faults: Faults{Malformed: 0.01, OutOfRange: 0.02, Duplicated: 0.03, Missing: 0.04, Failing: 0.25, DoorMoving: 0.5}}
	rows, broken := rows(t, o)
	total := float64(len(rows) + broken)
	var missing, odd, twice, moving, late, skewed, hot float64
	last := map[string]int{}
	for _, r := range rows {
		switch {
		case r.Temp == nil:
			missing++
		case *r.Temp > 900 || *r.Temp < -200:
			odd++
		case *r.Temp > r.Setpoint+12 && !r.DoorOpen:
			hot++
		}
		if last[r.Device] == r.Seq {
			twice++
		}
		last[r.Device] = r.Seq
		if r.DoorOpen && r.Speed > 0 {
			moving++
		}
		switch by := time.UnixMicro(r.arrivalUS).Sub(r.TS); {
		case by < 0:
			skewed++
		case by > time.Minute:
			late++
		}
	}
	for _, c := range []struct {
		name             string
		got, least, most float64
	}{
		{"malformed", float64(broken) / total, 0.008, 0.012}, {"out of range", odd / total, 0.017, 0.023},
		{"duplicated", twice / total, 0.025, 0.035}, {"missing", missing / total, 0.035, 0.045},
		{"door open while moving", moving / total, 0.003, 0.03}, {"late", late / total, 0.15, 0.3},
		{"clock ahead", skewed / total, 0.01, 0.1}, {"compressor failed", hot / total, 0.002, 0.1},
		{"all", total, 0.8 * 200 * 720, 1.1 * 200 * 720},
	} {
		if !(c.got >= c.least && c.got <= c.most) {
			t.Errorf("%s: %.4f is not in %v to %v", c.name, c.got, c.least, c.most)
		}
	}
}

func TestImpossibleOptions(t *testing.T) {
	for _, o := range []Options{
		{Devices: -1}, {Devices: 10_000_001}, {Every: time.Nanosecond}, {Every: -1}, {Duration: -1}, {Records: -1}, {Offline: 1}, {Offline: -0.1},
		{Skewed: 1.1}, {Faults: Faults{Missing: 2}}, {SkewBy: 1000 * time.Hour}, {OfflineFor: time.Second}, {Start: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	f := mustNew(t, Options{Devices: 1000})
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(10000, func() { f.Next(dst) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkNext(b *testing.B) {
	f := mustNew(b, Options{Devices: 8000})
	dst := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if len(dst) > 1<<20-1024 {
			dst = dst[:0]
		}
		dst, _, _ = f.Next(dst)
	}
}
