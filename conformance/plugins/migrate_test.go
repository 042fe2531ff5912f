package plugins

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// counter builds the plugin of testdata/migrate in a language, as a new project.
func counter(t *testing.T, language string) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "counter")
	if _, err := plugindev.New(dir, language); err != nil {
		t.Fatal(err)
	}
	source := map[string]string{"go": "counter.go.txt", "rust": "counter.rs", "c": "counter.c", "assemblyscript": "counter.ts"}[language]
	for _, name := range []string{source, "plugin.hcl.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata/migrate", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(name, ".txt")), []byte(strings.ReplaceAll(string(text), "LANGUAGE", language)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, module := build(t, dir)
	return module
}

// first is a record of version 1 of the counter's state.
func first(label string, count uint64, last float64) []byte {
	b := append(binary.LittleEndian.AppendUint32(nil, uint32(len(label))), label...)
	b = binary.LittleEndian.AppendUint64(b, count)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(last))
}

// TestMigrate: what each SDK offers turns state of version 1 into version 2, key by key, where keys without state and
// keys that have the new one stand between them.
func TestMigrate(t *testing.T) {
	compilers(t)
	for _, language := range plugindev.Languages() {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			migrates(t, load(t, counter(t, language)))
		})
	}
}

func migrates(t *testing.T, rig *plugindev.Rig) {
	var tables []*state.Table
	for _, d := range rig.Plugin.Manifest.Tables("", 0) {
		tables = append(tables, state.New(d))
	}
	r, err := rig.Plugin.NewRunner(wasm.RunnerOptions{Alloc: memory.DefaultAllocator, Tables: tables})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	slots := map[string]uint32{}
	for _, key := range []string{"new", "old", "older", "empty"} {
		if slots[key], _, err = tables[1].Slot([]byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	for key, record := range map[string][]byte{"old": first("trailer", 7, 0.5), "older": first("", 1, -3), "empty": first("12345678", 0, 0)} {
		tables[1].U32(0)[slots[key]] = 1
		tables[1].SetBytes(1, slots[key], record)
	}
	var got []float64
	for _, keys := range [][]string{{"new", "old"}, {"new", "older", "old", "older", "empty"}} {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		in := wasm.Input{Rows: len(keys)}
		for i, key := range keys {
			b.Append(1)
			in.Keys, in.Offsets = append(in.Keys, slots[key]), append(in.Offsets, int64(i))
			in.Indexes, in.Received = append(in.Indexes, 0), append(in.Received, 0)
		}
		in.Columns = []arrow.Array{b.NewArray()}
		out := r.Run(in)
		if len(out.Rejects) > 0 {
			t.Fatalf("rejects %v", out.Rejects)
		}
		got = append(got, out.Columns[0].(*array.Float64).Float64Values()...)
	}
	if want := []float64{1, 72.5, 2, 9, 73.5, 10, 2}; !slices.Equal(got, want) {
		t.Errorf("totals %v; want %v", got, want)
	}
	for key, want := range map[string]string{"new": "", "old": "trailer", "older": "", "empty": "12345678"} {
		record := tables[1].Bytes(1, slots[key])
		if note := string(record[12:]); tables[1].U32(0)[slots[key]] != 2 || note != want {
			t.Errorf("%s has version %d and the note %q; want %q", key, tables[1].U32(0)[slots[key]], note, want)
		}
	}
}
