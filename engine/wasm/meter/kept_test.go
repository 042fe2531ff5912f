package meter_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// TestKept: which globals are exported, and that none is where an instance remembers more than its memory and globals.
func TestKept(t *testing.T) {
	i32, constant, vector := []byte{0x7f, 1, 0x41, 0, 0x0b}, []byte{0x7e, 0, 0x42, 0, 0x0b}, append(append([]byte{0x7b, 1, 0xfd, 12}, make([]byte, 16)...), 0x0b)
	many := slices.Repeat([][]byte{i32}, 65)
	for _, c := range []struct {
		name    string
		globals [][]byte
		code    []byte
		kept    []string
	}{
		{"none", nil, nil, []string{}},
		{"those that can be set", [][]byte{i32, constant, i32}, nil, []string{"tidemill:global 0", "tidemill:global 2"}},
		{"a vector", [][]byte{i32, vector}, nil, nil},
		{"many", many, nil, nil},
		{"table.set", [][]byte{i32}, []byte{0x41, 0, 0xd0, 0x70, 0x26, 0}, nil},
		{"table.get", [][]byte{i32}, []byte{0x41, 0, 0x25, 0, 0x1a}, []string{"tidemill:global 0"}},
		{"table.size", [][]byte{i32}, []byte{0xfc, 16, 0, 0x1a}, []string{"tidemill:global 0"}},
		{"table.grow", [][]byte{i32}, []byte{0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a}, nil},
		{"table.fill", [][]byte{i32}, []byte{0x41, 0, 0xd0, 0x70, 0x41, 1, 0xfc, 17, 0}, nil},
		{"elem.drop", [][]byte{i32}, []byte{0xfc, 13, 0}, nil},
		{"data.drop", [][]byte{i32}, []byte{0xfc, 9, 0}, nil},
		{"memory.fill", [][]byte{i32}, []byte{0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 11, 0}, []string{"tidemill:global 0"}},
	} {
		body := append(append([]byte{0}, c.code...), 0x0b)
		out := []byte("\x00asm\x01\x00\x00\x00")
		for _, s := range []struct {
			id   byte
			data []byte
		}{{1, vec([]byte{0x60, 0, 0})}, {3, vec([]byte{0})}, {4, vec([]byte{0x70, 0, 1})}, {5, vec([]byte{0, 1})}, {6, vec(c.globals...)},
			{10, vec(append(binary.AppendUvarint(nil, uint64(len(body))), body...))}} {
			out = append(append(append(out, s.id), binary.AppendUvarint(nil, uint64(len(s.data)))...), s.data...)
		}
		rewritten, m, err := meter.Rewrite(out, meter.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(m.Kept, c.kept) || (m.Kept == nil) != (c.kept == nil) {
			t.Errorf("%s: kept %q, want %q", c.name, m.Kept, c.kept)
		}
		again, err := meter.Read(rewritten, meter.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for k, name := range m.Kept {
			if e := again.Exports[k]; e.Name != name || e.Kind != meter.Global {
				t.Errorf("%s: export %v, want the global %s", c.name, e, name)
			}
		}
	}
}
