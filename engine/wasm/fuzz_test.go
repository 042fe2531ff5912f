package wasm

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/state"
)

// FuzzManifest reads any text as a manifest: an error or a manifest, which is the
// same when it is written and read again.
func FuzzManifest(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no manifests", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"name":"a","name":"b"} {}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParseManifest(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if a, _ := json.Marshal(n); string(a) != string(again) {
			t.Errorf("%s became %s", again, a)
		}
		m.Settings(map[string]json.RawMessage{"limit": json.RawMessage(`3`)})
		for _, d := range m.Tables("", 0) {
			if d.Name == "" {
				t.Error("a table has no name")
			}
		}
	})
}

// words make a memory of a guest that has structures worth mutating in it: a result of two
// columns, a number and a string, of three rows.
func goodMemory() []byte {
	mem := make([]byte, 1024)
	put := func(at int, v uint64) { binary.LittleEndian.PutUint64(mem[at:], v) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(mem[at:], v) }
	array := func(at int, n, buffers, children uint64, bufferAt, childAt uint32) {
		put(at, n)
		put(at+24, buffers)
		put(at+32, children)
		put32(at+40, bufferAt)
		put32(at+44, childAt)
	}
	put32(16, 32) // the result's rows
	put32(20, 224)
	array(32, 3, 1, 3, 400, 408)
	put32(408, 96)
	put32(412, 160)
	put32(416, 288)
	array(96, 3, 2, 0, 424, 0) // _row or a number
	put32(428, 512)
	array(160, 3, 2, 0, 432, 0)
	put32(436, 544)
	array(288, 3, 3, 0, 440, 0)
	put32(444, 576)
	put32(448, 600)
	array(224, 3, 3, 0, 456, 0) // rejects
	put32(456, 640)
	put32(460, 576)
	put32(464, 600)
	put32(516, 1)
	put32(520, 2)
	put(544, math.Float64bits(1.5))
	put32(580, 1)
	put32(584, 2)
	put32(588, 3)
	copy(mem[600:], "abc")
	return mem
}

// FuzzAnswer reads any memory as a guest's answer and copies it out: an error or
// columns of as many rows as they say, never a panic.
func FuzzAnswer(f *testing.F) {
	f.Add(goodMemory(), uint32(16), uint8(0))
	f.Add(goodMemory(), uint32(16), uint8(1))
	plain := goodMemory()
	clear(plain[20:24]) // nothing is refused
	f.Add(plain, uint32(16), uint8(0))
	manifests := []*Manifest{
		{Kind: Transform, MaxRows: 2, Writes: []Column{{Name: "a", Type: "number", Nullable: true}, {Name: "b", Type: "string", Nullable: true}}},
		{Kind: Enrich, MaxRows: 1, Writes: []Column{{Name: "a", Type: "integer"}, {Name: "b", Type: "bool"}, {Name: "c", Type: "string"}}},
	}
	f.Fuzz(func(t *testing.T, mem []byte, at uint32, which uint8) {
		if len(mem) > 1<<16 {
			return
		}
		const n = 3
		g := &guest{mem: mem}
		m := manifests[int(which)%len(manifests)]
		a := g.answer(at, m, n, nil)
		if g.err != nil {
			return
		}
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		r := &Runner{plugin: &Plugin{Manifest: m}, in: Input{Rows: n},
			o: RunnerOptions{Alloc: alloc, Count: func(string, int64) {}, Tables: []*state.Table{state.New(m.Tables("", 1)[0])}}}
		for _, w := range m.Writes {
			typ, _ := typeOf(w.Type)
			r.parts = append(r.parts, output{typ: typ, alloc: alloc})
			r.parts[len(r.parts)-1].begin()
		}
		r.accept(&a, 0, n)
		for i := range r.parts {
			col := r.parts[i].done()
			if col.Len() != r.out.Rows {
				t.Errorf("%d rows and a column of %d", r.out.Rows, col.Len())
			}
			for i := range col.Len() {
				_ = col.ValueStr(i)
			}
			col.Release()
		}
		if r.out.From != nil && len(r.out.From) != r.out.Rows {
			t.Errorf("%d rows from %v", r.out.Rows, r.out.From)
		}
	})
}

// TestGoodMemory: the fuzzer begins with answers that are good.
func TestGoodMemory(t *testing.T) {
	g := &guest{mem: goodMemory()}
	m := &Manifest{Kind: Transform, MaxRows: 2, Writes: []Column{{Name: "a", Type: "number"}, {Name: "b", Type: "string"}}}
	a := g.answer(16, m, 3, nil)
	if g.err == nil || a.rejects == nil {
		t.Fatalf("rows of refused rows were taken: %v", g.err)
	}
	binary.LittleEndian.PutUint32(g.mem[20:], 0)
	g.err = nil
	a = g.answer(16, m, 3, nil)
	if g.err != nil || !reflect.DeepEqual([]uint32{a.row(0), a.row(1), a.row(2)}, []uint32{0, 1, 2}) || string(a.columns[1].bytes(2)) != "c" {
		t.Errorf("%v: %+v", g.err, a)
	}
}
