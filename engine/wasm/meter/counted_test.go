package meter_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// words are instructions by name; numbers stand for themselves, in one byte.
var words = map[string]byte{
	"block": 0x02, "loop": 0x03, "if": 0x04, "end": 0x0b, "br": 0x0c, "br_if": 0x0d, "br_table": 0x0e, "return": 0x0f, "call": 0x10,
	"drop": 0x1a, "get": 0x20, "set": 0x21, "tee": 0x22, "const": 0x41, "ne": 0x47, "add": 0x6a, "void": 0x40,
}

// module is one of functions () -> () with an i32 local 0 and an i32 local 1, the first of which is exported as f.
func assemble(t *testing.T, functions ...string) []byte {
	t.Helper()
	bodies := [][]byte{}
	types := [][]byte{}
	for _, f := range functions {
		body := []byte{1, 2, 0x7f}
		for _, w := range strings.Fields(f) {
			op, ok := words[w]
			if n := strings.TrimPrefix(w, "-"); !ok && n[0] >= '0' && n[0] <= '9' {
				v := 0
				for _, c := range n {
					v = 10*v + int(c-'0')
				}
				if w != n {
					v = -v & 0x7f
				}
				if v > 127 {
					body = append(body, byte(v)&0x7f|0x80)
					v >>= 7
				}
				body = append(body, byte(v))
				continue
			} else if !ok {
				t.Fatalf("no instruction %s", w)
			}
			body = append(body, op)
		}
		body = append(body, 0x0b)
		bodies = append(bodies, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		types = append(types, []byte{0})
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		data []byte
	}{{1, vec([]byte{0x60, 0, 0})}, {3, vec(types...)}, {7, vec(named("f", 0, 0))}, {10, vec(bodies...)}} {
		out = append(append(append(out, s.id), binary.AppendUvarint(nil, uint64(len(s.data)))...), s.data...)
	}
	return out
}

// spend runs a module and returns the fuel that it used, of so much at most, and how often it asked for some.
func spend(t *testing.T, module []byte, most int64) (used int64, asked int, err error) {
	t.Helper()
	ctx := context.Background()
	rewritten, _, err := meter.Rewrite(module, meter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	given := int64(0)
	more := api.GoFunc(func(_ context.Context, stack []uint64) {
		asked++
		for int64(stack[0]) < 0 {
			if given += 1000; given > most {
				panic(errFuel)
			}
			stack[0] += 1000
		}
	})
	i64 := []api.ValueType{api.ValueTypeI64}
	if _, err := runtime.NewHostModuleBuilder(meter.MoreModule).NewFunctionBuilder().WithGoFunction(more, i64, i64).Export(meter.MoreName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Instantiate(ctx, rewritten)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.ExportedFunction("f").Call(ctx)
	return given - int64(m.ExportedGlobal(meter.FuelName).Get()), asked, err
}

// TestCountedLoops: what a loop costs whose turns are known is paid before it, whole, and nobody looks while it turns.
func TestCountedLoops(t *testing.T) {
	long := strings.Repeat("const 1 drop ", 40) // price 40: drop is free
	for _, c := range []struct {
		name, code string
		used       int64
	}{
		{"to a number", "const 0 set 0 loop void " + long + "get 0 const 1 add tee 0 const 20 ne br_if 0 end", 2 + 20*(40+7)},
		{"by fours", "const 4 set 0 loop void " + long + "get 0 const 4 add tee 0 const 44 ne br_if 0 end", 2 + 10*(40+7)},
		{"down to 0", "const 20 set 0 loop void " + long + "get 0 const -1 add tee 0 br_if 0 end", 2 + 20*(40+5)},
		{"left in the first turn", "const 0 set 0 block void loop void " + long + "const 1 br_if 1 get 0 const 1 add tee 0 const 20 ne br_if 0 end end", 2 + 20*(40+9)},
		{"one in another", "const 0 set 0 loop void const 0 set 1 loop void " + long + "get 1 const 1 add tee 1 const 6 ne br_if 0 end get 0 const 1 add tee 0 const 5 ne br_if 0 end", 2 + 5*(2+6*(40+7)+7)},
	} {
		used, asked, err := spend(t, assemble(t, c.code), 1_000_000)
		if err != nil || used != c.used {
			t.Errorf("%s: %d of fuel, asked for %d times, %v; it should be %d", c.name, used, asked, err, c.used)
		}
	}
}

// TestNotCounted: loops that look alike and run on for ever are stopped.
func TestNotCounted(t *testing.T) {
	const turn = "get 0 const 1 add tee 0 const 5 ne br_if 0 end"
	for name, code := range map[string]string{
		"set twice":                 "const 0 set 0 loop void const 0 set 0 " + turn,
		"set in a block within":     "const 0 set 0 loop void block void const 0 set 0 end " + turn,
		"set in a loop within":      "const 0 set 0 loop void loop void const 0 set 0 end " + turn,
		"from where nobody knows":   "loop void get 0 const 2 add tee 0 const 5 ne br_if 0 end",
		"from one of two numbers":   "const 0 set 0 get 1 if void const 1 set 0 end loop void get 0 const 2 add tee 0 const 5 ne br_if 0 end",
		"from another local":        "const 1 set 0 get 1 set 0 loop void get 0 const 2 add tee 0 const 5 ne br_if 0 end",
		"past the number":           "const 0 set 0 loop void get 0 const 2 add tee 0 const 5 ne br_if 0 end",
		"from the number":           "const 5 set 0 loop void get 0 const 2 add tee 0 const 5 ne br_if 0 end",
		"by nothing":                "const 0 set 0 loop void get 0 const 0 add tee 0 const 5 ne br_if 0 end",
		"from another local by one": "const 0 set 0 loop void get 1 const 1 add tee 0 const 5 ne br_if 0 end",
		"another branch back":       "const 0 set 0 loop void const 1 br_if 0 " + turn,
		"a table of branches back":  "const 0 set 0 loop void block void get 1 br_table 1 1 0 end " + turn,
		"round an outer loop":       "loop void const 0 set 0 loop void " + turn + " br 0 end",
		"the branch of an outer":    "const 0 set 0 loop void loop void get 0 const 1 add tee 0 const 5 ne br_if 1 br 0 end end",
		"counted in a loop within":  "const 0 set 0 loop void const 0 set 1 loop void get 0 const 2 add tee 0 const 6 ne br_if 1 get 1 const 1 add tee 1 const 3 ne br_if 0 end end",
		"functions in a ring":       "call 1",
		"a function of its own":     "call 0",
	} {
		if _, _, err := spend(t, assemble(t, code, "call 2", "call 1"), 100_000); !errors.Is(err, errFuel) {
			t.Errorf("%s: it ended with %v", name, err)
		}
	}
}

// TestLooks: calls look at the fuel before long, also where no function has a loop.
func TestLooks(t *testing.T) {
	short := strings.Repeat("const 1 drop ", 100)
	for _, c := range []struct {
		name      string
		functions []string
		used      int64
		asked     int // at least
	}{
		{"a quiet function", []string{short + "call 1", short}, 201, 0},
		{"quiet functions by the dozen", []string{strings.Repeat("call 1 ", 3000), short}, 3000 + 300_000, 200},
		{"in a counted loop", []string{"const 0 set 0 loop void call 1 get 0 const 1 add tee 0 const 50 ne br_if 0 end",
			strings.Repeat("const 1 drop ", 3000)}, 2 + 50*8 + 150_000, 25},
		{"in one counted loop within another", []string{"const 0 set 0 loop void const 0 set 1 loop void call 1 get 1 const 1 add tee 1 const 20 ne br_if 0 end get 0 const 1 add tee 0 const 20 ne br_if 0 end",
			strings.Repeat("const 1 drop ", 3000)}, 2 + 20*(2+20*8+7) + 20*20*3000, 200},
		{"in layers", append(slices.Repeat([]string{strings.Repeat("call 1 ", 10)}, 1),
			strings.Repeat("call 2 ", 10), strings.Repeat("call 3 ", 10), strings.Repeat("call 4 ", 10), strings.Repeat("call 5 ", 10), short), 10 + 100 + 1000 + 10_000 + 100_000 + 10_000_000, 1000},
	} {
		used, asked, err := spend(t, assemble(t, c.functions...), 100_000_000)
		if err != nil || used != c.used || asked < c.asked {
			t.Errorf("%s: %d of fuel, asked for %d times, %v; it should be %d, and %d times or more", c.name, used, asked, err, c.used, c.asked)
		}
	}
}
