package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// specDir is where wazero keeps the official tests of WebAssembly, translated to modules and JSON.
func specDir(t testing.TB) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest")
}

// script is what wast2json makes of a test.
type script struct {
	Commands []command `json:"commands"`
}

type command struct {
	Type       string  `json:"type"`
	Line       int     `json:"line"`
	Name       string  `json:"name"`
	Filename   string  `json:"filename"`
	As         string  `json:"as"`
	ModuleType string  `json:"module_type"`
	Action     action  `json:"action"`
	Expected   []value `json:"expected"`
}

type action struct {
	Type   string  `json:"type"`
	Field  string  `json:"field"`
	Module string  `json:"module"`
	Args   []value `json:"args"`
}

type value struct {
	Type  string `json:"type"`
	Lane  string `json:"lane_type"`
	Value any    `json:"value"`
}

// words are a value's bits; ok is false when any of several will do, such as a NaN.
func (v value) words() (w []uint64, ok bool) {
	if v.Type != "v128" {
		x, ok := number(fmt.Sprint(v.Value), v.Type)
		return []uint64{x}, ok
	}
	lanes := v.Value.([]any)
	width := 128 / len(lanes)
	w, ok = make([]uint64, 2), true
	for i, l := range lanes {
		x, good := number(l.(string), v.Lane)
		ok = ok && good
		w[i*width/64] |= x << (i * width % 64)
	}
	return w, ok
}

func number(s, typ string) (uint64, bool) {
	switch {
	case strings.Contains(s, "nan") || s == "<nil>":
		if typ == "f32" {
			return uint64(math.Float32bits(float32(math.NaN()))), false
		}
		return math.Float64bits(math.NaN()), false
	case s == "null":
		return 0, typ == "externref"
	case strings.HasPrefix(s, "-"):
		n, err := strconv.ParseInt(s, 10, 64)
		if strings.HasSuffix(typ, "32") {
			n = int64(uint32(n))
		}
		return uint64(n), err == nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if typ == "externref" {
		n++
	}
	return n, err == nil
}

// world is a runtime with the modules of a script.
type world struct {
	ctx     context.Context
	runtime wazero.Runtime
	named   map[string]api.Module
	last    api.Module
	meter   bool
}

const slice = 1_000_000

func newWorld(t testing.TB, features api.CoreFeatures, metered bool) *world {
	ctx := context.Background()
	w := &world{ctx: ctx, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features)), named: map[string]api.Module{}, meter: metered}
	more := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = slice })
	_, err := w.runtime.NewHostModuleBuilder(meter.MoreModule).NewFunctionBuilder().
		WithGoFunction(more, []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(meter.MoreName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// open has no limits but those of WebAssembly, so that nothing differs.
func open() meter.Limits {
	return meter.Limits{MemoryPages: 1 << 16, TableItems: math.MaxUint32, Tables: 1000, Functions: 1e6, FunctionBytes: 1 << 28, Locals: 1e6, Blocks: 1e6, Work: 1e15}
}

func (w *world) instantiate(module []byte, name string) (api.Module, error) {
	if w.meter {
		rewritten, _, err := meter.Rewrite(module, open())
		if err != nil {
			return nil, err
		}
		module = rewritten
	}
	return w.runtime.InstantiateWithConfig(w.ctx, module, wazero.NewModuleConfig().WithName(name))
}

// outcome is what a command came to, as a text.
func (w *world) act(a action) (results []uint64, err error) {
	m := w.last
	if a.Module != "" {
		m = w.named[a.Module]
	}
	if m == nil {
		return nil, fmt.Errorf("no module")
	}
	if a.Type == "get" {
		return []uint64{m.ExportedGlobal(a.Field).Get()}, nil
	}
	var args []uint64
	for _, v := range a.Args {
		x, _ := v.words()
		args = append(args, x...)
	}
	return m.ExportedFunction(a.Field).Call(w.ctx, args...)
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// TestSpec runs the official tests twice, original and rewritten, side by side.
func TestSpec(t *testing.T) {
	dir := specDir(t)
	for _, suite := range []struct {
		name     string
		features api.CoreFeatures
		least    int
	}{
		{"v1", api.CoreFeaturesV1, 15_000},
		{"v2", api.CoreFeaturesV2, 40_000},
		{"tail-call", api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall, 50},
		{"extended-const", api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst, 50},
	} {
		t.Run(suite.name, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(dir, suite.name, "testdata/*.json"))
			if err != nil || len(files) == 0 {
				t.Fatal("no tests", err)
			}
			n := 0
			for i, f := range files {
				if testing.Short() && i%8 != 0 {
					continue
				}
				n += runScript(t, dir, f, suite.features)
			}
			if n < suite.least && !testing.Short() {
				t.Errorf("%d commands were compared; there should be %d at least", n, suite.least)
			}
			t.Logf("%d commands", n)
		})
	}
}

func runScript(t *testing.T, dir, file string, features api.CoreFeatures) (commands int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	spectest, err := os.ReadFile(filepath.Join(dir, "testdata/spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	plain, metered := newWorld(t, features, false), newWorld(t, features, true)
	for _, w := range []*world{plain, metered} {
		if _, err := w.runtime.InstantiateWithConfig(w.ctx, spectest, wazero.NewModuleConfig()); err != nil {
			t.Fatal(err)
		}
		defer w.runtime.Close(w.ctx)
	}
	for i := 0; i < len(s.Commands); i++ {
		c := s.Commands[i]
		where := fmt.Sprintf("%s:%d %s", filepath.Base(file), c.Line, c.Type)
		switch c.Type {
		case "module":
			as := ""
			if next := i + 1; next < len(s.Commands) && s.Commands[next].Type == "register" {
				as, i = s.Commands[next].As, next
			}
			sameModule(t, where, filepath.Join(filepath.Dir(file), c.Filename), c.Name, as, plain, metered)
		case "assert_return", "action", "assert_trap", "assert_exhaustion":
			sameAction(t, where, c, plain, metered)
		case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType == "text" {
				continue
			}
			sameModule(t, where, filepath.Join(filepath.Dir(file), c.Filename), "", "", plain, metered)
		}
		commands++
	}
	return commands
}

func sameModule(t *testing.T, where, file, name, as string, worlds ...*world) {
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, w := range worlds {
		m, err := w.instantiate(module, as)
		errs = append(errs, err)
		if err == nil && !strings.Contains(where, "assert") {
			w.last = m
			if name != "" {
				w.named[name] = m
			}
		}
	}
	if (errs[0] == nil) != (errs[1] == nil) {
		t.Errorf("%s: the original says %v, rewritten it says %v", where, errs[0], errs[1])
	}
}

func sameAction(t *testing.T, where string, c command, plain, metered *world) {
	want, wantErr := plain.act(c.Action)
	got, err := metered.act(c.Action)
	if firstLine(err) != firstLine(wantErr) {
		t.Errorf("%s: the original ends with %q, rewritten it ends with %q", where, firstLine(wantErr), firstLine(err))
	}
	references := slices.ContainsFunc(c.Expected, func(v value) bool { return v.Type == "funcref" })
	if !references && !slices.Equal(got, want) {
		t.Errorf("%s: the original gives %x, rewritten it gives %x", where, want, got)
	}
	at := 0
	if c.Type != "assert_return" {
		c.Expected = nil // of a trap it has types alone
	}
	for _, v := range c.Expected {
		w, exact := v.words()
		if exact && !references && (len(got) < at+len(w) || !slices.Equal(mask(got[at:at+len(w)], v), mask(w, v))) {
			t.Errorf("%s: it gives %x; the test expects %v", where, got, c.Expected)
		}
		at += len(w)
	}
	if a, b := memoryOf(plain.last), memoryOf(metered.last); a != b {
		t.Errorf("%s: the memories differ", where)
	}
}

// memoryOf returns the beginning of a module's exported memories.
func memoryOf(m api.Module) string {
	if m == nil {
		return ""
	}
	all := ""
	for _, name := range slices.Sorted(maps.Keys(m.ExportedMemoryDefinitions())) {
		mem := m.ExportedMemory(name)
		b, _ := mem.Read(0, min(mem.Size(), 1<<16))
		all += string(b)
	}
	return all
}

// mask leaves the bits of a 32-bit value.
func mask(w []uint64, v value) []uint64 {
	if strings.HasSuffix(v.Type, "32") {
		return []uint64{uint64(uint32(w[0]))}
	}
	return w
}
