package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

func TestKeyFinder(t *testing.T) {
	for _, c := range []struct {
		path, payload string
		same          string // the text whose hash it is; "" when there is none
	}{
		{"a", `{"a":"x"}`, "x"},
		{"a", ` { "a" : "x" }`, "x"},
		{"a", `{"b":{"a":"y"},"c":["a",{"a":"z"}],"a":"x"}`, "x"},
		{"a", `{"\u0061":"\u0078"}`, "x"},
		{"a", `{"a":"ü\n"}`, "ü\n"},
		{"a", `{"a":"a text longer than two words"}`, "a text longer than two words"},
		{"a", `{"a":"x`, ""},
		{"a", `{"a":"x\`, ""},
		{"a", `{"a":null}`, ""},
		{"a", `{"a":{"b":1}}`, ""},
		{"a", `{"a":[1]}`, ""},
		{"a", `{"b":1}`, ""},
		{"a", `{"b":01,"a":"x"}`, ""},
		{"a", `[{"a":"x"}]`, ""},
		{"a", ``, ""},
		{"a", `{"a":1e999}`, ""},
		{"a", `{"a":"x",`, "x"}, // as far as was looked
		{"a.b", `{"a":{"c":1,"b":"x"}}`, "x"},
		{"a.b", `{"a":{"c":{"b":"y"}},"a.b":"x"}`, "x"},
		{"a.b", `{"a":"x","b":"y"}`, ""},
		{"a.b.c", `{"a":{"b.c":"x"}}`, "x"},
		{"a\"b", `{"a\"b":"x"}`, "x"},
	} {
		hash, ok := NewKeyFinder(c.path).Hash([]byte(c.payload))
		want := uint64(0)
		if c.same != "" {
			want = flow.Hash([]byte(c.same))
		}
		if ok != (c.same != "") || hash != want {
			t.Errorf("the key %s of %s: got %x, %t; want the hash of %q", c.path, c.payload, hash, ok, c.same)
		}
	}
}

func TestKeyFinderEqualNumbers(t *testing.T) {
	f := NewKeyFinder("k")
	one, _ := f.Hash([]byte(`{"k":7}`))
	for _, s := range []string{`7.0`, `7e0`, `70e-1`, `0.7E+1`} {
		if h, ok := f.Hash([]byte(`{"k":` + s + `}`)); !ok || h != one {
			t.Errorf("%s has another hash than 7", s)
		}
	}
	zero, _ := f.Hash([]byte(`{"k":0}`))
	if h, ok := f.Hash([]byte(`{"k":-0.0}`)); !ok || h != zero {
		t.Errorf("-0.0 has another hash than 0")
	}
}

// FuzzKeyFinder compares the finder with what the decoder makes of a payload:
// the same value whenever both find one, and both do unless there is a reject.
func FuzzKeyFinder(f *testing.F) {
	for _, c := range cases(f, "testdata/decode.txt") {
		_, records := c.parse(f)
		for _, r := range records {
			f.Add(r)
		}
	}
	f.Add(`{"a":{"b":"x"},"a.b":5}`)
	f.Add(`{"a":"y","a":null}`)
	used := []KeyFinder{NewKeyFinder("a"), NewKeyFinder("o.x"), NewKeyFinder("b")}
	f.Fuzz(func(t *testing.T, payload string) {
		if len(payload) > 4096 {
			t.Skip("long payloads are like short ones")
		}
		for i, path := range []string{"a", "o.x", "b"} {
			hash, ok := used[i].Hash([]byte(payload))
			if h, o := NewKeyFinder(path).Hash([]byte(payload)); h != hash || o != ok {
				t.Errorf("the hash of %q depends on what came before", payload)
			}
			d, err := NewJSON(Config{Learn: true, MaxDepth: maxDepthLimit})
			if err != nil {
				t.Fatal(err)
			}
			var r Result
			d.Decode(blockOf(0, payload), 0, &r)
			want, has := keyOf(r, path)
			if has && (!ok || hash != want) || ok && !has && len(r.Rejects) == 0 {
				t.Errorf("the key %s of %q: finder %x, %t; decoder %x, %t", path, payload, hash, ok, want, has)
			}
			if r.Rows != nil {
				r.Rows.Release()
			}
		}
	})
}

// keyOf returns the hash of the value that the first row of r has for a name.
func keyOf(r Result, name string) (uint64, bool) {
	if r.Rows == nil {
		return 0, false
	}
	at := r.Rows.Schema().FieldIndices(name)
	if len(at) == 0 || r.Rows.Column(at[0]).IsNull(0) {
		return 0, false
	}
	switch c := r.Rows.Column(at[0]).(type) {
	case *array.String:
		return flow.Hash([]byte(c.Value(0))), true
	case *array.Float64:
		return flow.Hash(binary.LittleEndian.AppendUint64(nil, math.Float64bits(c.Value(0)+0))), true
	case *array.Boolean:
		return flow.Hash([]byte(fmt.Sprint(c.Value(0))[:1])), true
	case arrow.Array:
		return 0, false // a list is no key
	}
	return 0, false
}

// BenchmarkKeyFinder reports the CPU time a record takes.
func BenchmarkKeyFinder(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var records [][]byte
	for i := range 1000 {
		records = append(records, []byte(benchText(r, i, 0)))
	}
	for _, path := range []string{"device", "site", "seq"} {
		b.Run(path, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			f := NewKeyFinder(path)
			var times []float64
			for range b.N {
				start := cpuTime(b)
				for _, rec := range records {
					if _, ok := f.Hash(rec); !ok {
						b.Fatal("a record without a key")
					}
				}
				times = append(times, (cpuTime(b)-start)/float64(len(records)))
			}
			b.ReportMetric(median(times), "ns/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}
