package hostile

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// addFunction adds a function of type ()->() and returns its index.
func (a *asm) addFunction(code ...byte) byte {
	a.functions = append(a.functions, []byte{1})
	a.codes = append(a.codes, body(code...))
	return byte(len(a.functions) - 1)
}

// TestRefused: modules that never get so far as to have an instance.
func TestRefused(t *testing.T) {
	loop := []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	for _, c := range []struct {
		name, cause string
		make        func(a *asm)
	}{
		{"import that is not offered", "sock_open of env", func(a *asm) {
			a.imports = [][]byte{join(text("env"), text("sock_open"), []byte{0, 1})}
		}},
		{"imported memory", "only functions can be imported", func(a *asm) {
			a.imports = [][]byte{join(text("tidemill"), text("mem"), []byte{2, 1, 1, 1})}
			a.memories = nil
		}},
		{"the host's own import", "the host's own", func(a *asm) {
			a.imports = [][]byte{join(text("tidemill:meter"), text("more"), []byte{0, 1})}
		}},
		{"host call of another type", "it must take i32, i32, i32", func(a *asm) {
			a.imports = [][]byte{join(text("tidemill"), text("log"), []byte{0, 1})}
		}},
		{"host call that the manifest does not list", `"calls": ["fail"]`, func(a *asm) {
			a.types = append(a.types, []byte{0x60, 2, 0x7f, 0x7f, 0})
			a.imports = [][]byte{join(text("tidemill"), text("fail"), []byte{0, 2})}
		}},
		{"WASI of another type", "another type than WASI", func(a *asm) {
			a.imports = [][]byte{join(text("wasi_snapshot_preview1"), text("fd_write"), []byte{0, 1})}
		}},
		{"no memory", "exports no memory", func(a *asm) { a.exports = a.exports[1:] }},
		{"no run", "does not export the function tidemill_run", func(a *asm) { a.exports = a.exports[:2] }},
		{"run of another type", "takes nothing", func(a *asm) {
			f := a.addFunction()
			a.exports[2] = join(text("tidemill_run"), []byte{0, f})
		}},
		{"memory larger than the limit", "pages of memory from the start", func(a *asm) { a.memories[0] = join([]byte{0}, leb(20_000)) }},
		{"table bomb", "items of a table from the start", func(a *asm) { a.tables = [][]byte{join([]byte{0x70, 0}, leb(100_000_000))} }},
		{"many tables", "17 tables", func(a *asm) { a.tables = slices.Repeat([][]byte{{0x70, 0, 1}}, 17) }},
		{"64-bit memory", "limits of form 0x4", func(a *asm) { a.memories[0] = []byte{4, 1} }},
		{"shared memory", "limits of form 0x3", func(a *asm) { a.memories[0] = []byte{3, 1, 1} }},
		{"reaching for the meter's global", "there is no global 0", func(a *asm) { a.addFunction(0x42, 0, 0x24, 0) }},
		{"reaching for the meter's local", "there is no local 0", func(a *asm) { a.addFunction(append(loop, 0x42, 0, 0x21, 0)...) }},
		{"reaching for the meter's import", "there is no function 9", func(a *asm) { a.addFunction(0x10, 9) }},
		{"the meter's export", "the host's own", func(a *asm) {
			a.exports = append(a.exports, join(text("tidemill:fuel"), []byte{0, 0}))
		}},
		{"branch out of the function", "a branch goes out of 2 blocks", func(a *asm) { a.addFunction(0x0c, 2) }},
		{"a body that does not end", "it ends too early", func(a *asm) { a.codes[0] = []byte{2, 0, 0x02} }},
		{"a million locals", "locals; at most", func(a *asm) {
			a.codes[0] = sized(join([]byte{1}, leb(1_000_000), []byte{0x7f, 0x41, 0, 0x0b}))
		}},
		{"a function of 2 MiB", "at most 1048576", func(a *asm) { a.codes[0] = body(bytes.Repeat([]byte{0x01}, 2<<20)...) }},
		{"60,000 functions", "at most 50000", func(a *asm) {
			for range 60_000 {
				a.functions, a.codes = append(a.functions, []byte{1}), append(a.codes, body())
			}
		}},
		{"a length that lies", "are announced", func(a *asm) { a.exports[0] = join(leb(0xffffffff), []byte("memory")) }},
		{"threads", "instruction 0xfe", func(a *asm) { a.addFunction(0xfe, 3, 0) }},
		{"type confusion", "not valid", func(a *asm) { a.addFunction(0x42, 1, 0x10, 0, 0x1a) }},
		{"two manifests", "2 sections", func(a *asm) { a.raw = withManifest(nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := plugin()
			c.make(a)
			a.move()
			p, err := newHost(t).Load(withManifest(a.bytes()), wasm.Limits{})
			if err == nil {
				_ = p.Close()
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("refused for %q; want %q", err, c.cause)
			}
		})
	}
}

// TestStart: modules that fail while they come to life.
func TestStart(t *testing.T) {
	loop := []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	for _, c := range []struct {
		name, cause string
		make        func(a *asm)
	}{
		{"a start function that loops", "used up its fuel", func(a *asm) { a.start = [][]byte{{a.addFunction(loop...)}} }},
		{"_initialize that loops", "used up its fuel", func(a *asm) {
			a.exports = append(a.exports, join(text("_initialize"), []byte{0, a.addFunction(loop...)}))
		}},
		{"a start function that traps", "unreachable", func(a *asm) { a.start = [][]byte{{a.addFunction(0x00)}} }},
		{"endless recursion", "stack overflow", func(a *asm) {
			f := a.addFunction()
			a.codes[f] = body(0x10, f)
			a.start = [][]byte{{f}}
		}},
		{"mutual recursion through a table", "stack overflow", func(a *asm) {
			f := a.addFunction(0x41, 0, 0x11, 1, 0)
			a.tables = [][]byte{{0x70, 0, 1}}
			a.elements = [][]byte{{0, 0x41, 0, 0x0b, 1, f}}
			a.start = [][]byte{{f}}
		}},
		{"data beyond memory", "out of bounds", func(a *asm) {
			a.data = [][]byte{join([]byte{0, 0x41}, []byte{0x80, 0x80, 0x80, 0x10}, []byte{0x0b, 1, 0})}
		}},
		{"table.grow loop", "used up its fuel", func(a *asm) {
			f := a.addFunction(0x03, 0x40, 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a, 0x0c, 0, 0x0b)
			a.tables = [][]byte{{0x70, 0, 1}}
			a.start = [][]byte{{f}}
		}},
		{"table.fill loop", "used up its fuel", func(a *asm) {
			f := a.addFunction(0x03, 0x40, 0x41, 0, 0xd0, 0x70, 0x41, 0x80, 0x80, 0x04, 0xfc, 17, 0, 0x0c, 0, 0x0b)
			a.tables = [][]byte{{0x70, 0, 0x80, 0x80, 0x04}}
			a.start = [][]byte{{f}}
		}},
		{"call of an empty place in a table", "invalid table access", func(a *asm) {
			a.tables = [][]byte{{0x70, 0, 1}}
			a.start = [][]byte{{a.addFunction(0x41, 0, 0x11, 1, 0)}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := plugin()
			c.make(a)
			p, err := newHost(t).Load(withManifest(a.bytes()), wasm.Limits{InitFuel: 200_000_000})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var tables []*state.Table
			for _, d := range p.Manifest.Tables("", 0) {
				tables = append(tables, state.New(d))
			}
			if r, err := p.NewRunner(wasm.RunnerOptions{Tables: tables}); err == nil {
				r.Close()
				t.Error("it started")
			} else if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("it fails for %q; want %q", err, c.cause)
			}
		})
	}
}

// TestCompileBombs: what is large in a way that is allowed compiles in bounded
// time, and the rest is refused at once. The limit of time is a hundred times what it takes.
func TestCompileBombs(t *testing.T) {
	for _, c := range []struct {
		name string
		code func() []byte
	}{
		{"a million instructions", func() []byte { return bytes.Repeat([]byte{0x41, 1, 0x1a}, 340_000) }},
		{"deep blocks", func() []byte {
			return join(bytes.Repeat([]byte{0x02, 0x40}, 300_000), bytes.Repeat([]byte{0x0b}, 300_000))
		}},
		{"deep loops", func() []byte {
			return join(bytes.Repeat([]byte{0x03, 0x40}, 100_000), bytes.Repeat([]byte{0x0b}, 100_000))
		}},
		{"wide br_table", func() []byte {
			return join([]byte{0x41, 0, 0x0e}, leb(1_000_000), bytes.Repeat([]byte{0}, 1_000_001))
		}},
		{"many ifs", func() []byte { return bytes.Repeat([]byte{0x41, 1, 0x04, 0x40, 0x0b}, 200_000) }},
		{"many loops", func() []byte { return bytes.Repeat([]byte{0x03, 0x40, 0x0b}, 1_500) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := plugin()
			a.addFunction(c.code()...)
			start := time.Now()
			p, err := newHost(t).Load(withManifest(a.bytes()), wasm.Limits{})
			took := time.Since(start)
			if err == nil {
				_ = p.Close()
			}
			t.Logf("%v: %v", took.Round(time.Millisecond), err)
			if took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}
