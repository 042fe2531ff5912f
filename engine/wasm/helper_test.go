package wasm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
)

// module reads a guest of testdata with its manifest put in.
func module(t testing.TB, name string) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Attach(code, manifest)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func host(t testing.TB) *Host {
	t.Helper()
	h, err := NewHost(Options{Clock: env.Real().Clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func load(t testing.TB, m []byte, l Limits) *Plugin {
	t.Helper()
	p, err := host(t).Load(m, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func tables(m *Manifest) (list []*state.Table) {
	for _, d := range m.Tables("", 0) {
		list = append(list, state.New(d))
	}
	return list
}

// runner opens a plugin with tables of its own.
func runner(t testing.TB, p *Plugin, o RunnerOptions) *Runner {
	t.Helper()
	if o.Tables == nil {
		o.Tables = tables(p.Manifest)
	}
	if o.Alloc == nil {
		o.Alloc = memory.DefaultAllocator
	}
	r, err := p.NewRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func floats(v []float64, valid []bool) arrow.Array {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues(v, valid)
	return b.NewArray()
}
