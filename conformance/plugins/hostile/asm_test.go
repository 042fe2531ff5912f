package hostile

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tidemill/tidemill/engine/wasm"
)

// asm puts a module together, section by section. Indices and code are the caller's.
type asm struct {
	types, imports, functions, tables, memories, globals, exports, start, elements, codes, data [][]byte
	raw                                                                                         []byte // behind all sections
}

func leb(v uint32) []byte { return binary.AppendUvarint(nil, uint64(v)) }

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func text(s string) []byte { return join(leb(uint32(len(s))), []byte(s)) }

func vector(items [][]byte) []byte { return join(leb(uint32(len(items))), join(items...)) }

// body is a function's code, without locals.
func body(code ...byte) []byte { return sized(join([]byte{0}, code, []byte{0x0b})) }

func sized(b []byte) []byte { return join(leb(uint32(len(b))), b) }

func (a *asm) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	put := func(id byte, items [][]byte) {
		if len(items) > 0 {
			out = join(out, []byte{id}, sized(vector(items)))
		}
	}
	put(1, a.types)
	put(2, a.imports)
	put(3, a.functions)
	put(4, a.tables)
	put(5, a.memories)
	put(6, a.globals)
	put(7, a.exports)
	if len(a.start) > 0 {
		out = join(out, []byte{8}, sized(a.start[0]))
	}
	put(9, a.elements)
	put(10, a.codes)
	put(11, a.data)
	return append(out, a.raw...)
}

// plugin is the least that is a plugin: types 0 (i32)->i32 and 1 ()->(), functions
// alloc and run that return 0.
func plugin() *asm {
	return &asm{
		types:     [][]byte{{0x60, 1, 0x7f, 1, 0x7f}, {0x60, 0, 0}},
		functions: [][]byte{{0}, {0}},
		memories:  [][]byte{{0, 1}},
		exports: [][]byte{
			join(text("memory"), []byte{2, 0}), join(text("tidemill_alloc"), []byte{0, 0}), join(text("tidemill_run"), []byte{0, 1}),
		},
		codes: [][]byte{body(0x41, 0), body(0x41, 0)},
	}
}

// move lets the exports of functions name the same ones behind imported functions.
func (a *asm) move() {
	n := byte(0)
	for _, i := range a.imports {
		if bytes.Contains(i, []byte{0}) && i[len(i)-2] == 0 {
			n++
		}
	}
	for _, e := range a.exports {
		if len(e) > 2 && e[len(e)-2] == 0 {
			e[len(e)-1] += n
		}
	}
}

const leastManifest = `{"name":"asm","version":"1.0.0","abi":1,"kind":"enrich","reads":[{"name":"temp","type":"number"}],"writes":[{"name":"x","type":"number"}]}`

// withManifest attaches a manifest without looking at the module.
func withManifest(module []byte) []byte {
	return join(module, []byte{0}, sized(join(text("tidemill.manifest"), []byte(leastManifest))))
}

// TestLeast: what the other tests break works.
func TestLeast(t *testing.T) {
	p, err := newHost(t).Load(withManifest(plugin().bytes()), wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
