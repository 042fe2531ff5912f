package meter_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/engine/wasm/meter"
)

// seeds are small modules: of the official tests and of the guests in testdata.
func seeds(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(specDir(f), "v2/testdata/*.0.wasm"))
	if err != nil || len(files) == 0 {
		f.Fatal("no modules", err)
	}
	more, err := filepath.Glob("../testdata/*.wasm")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, more...) {
		if b, err := os.ReadFile(name); err == nil && len(b) < 20_000 {
			f.Add(b)
		}
	}
}

// FuzzRewrite rewrites any bytes. What the runtime takes rewritten it must take as it was.
func FuzzRewrite(f *testing.F) {
	seeds(f)
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Fuzz(func(t *testing.T, module []byte) {
		if len(module) > 30_000 {
			return
		}
		rewritten, _, err := meter.Rewrite(module, meter.Limits{Tables: 1000})
		if err != nil {
			return
		}
		after, err := runtime.CompileModule(ctx, rewritten)
		before, wasErr := runtime.CompileModule(ctx, module)
		if wasErr != nil && err == nil && strings.Contains(wasErr.Error(), "custom section") {
			return // written anew, a section of names is what the runtime takes
		}
		if (err == nil) != (wasErr == nil) {
			t.Errorf("the original compiles with %v, rewritten with %v", wasErr, err)
		}
		if err == nil {
			_ = after.Close(ctx)
		}
		if wasErr == nil {
			_ = before.Close(ctx)
		}
	})
}

// FuzzSame makes programs of random bytes and runs them both ways: results, globals and
// memory must be the same, and the rewritten one ends whatever it does.
func FuzzSame(f *testing.F) {
	for seed := range uint64(64) {
		b := binary.LittleEndian.AppendUint64(nil, seed*0x9e3779b97f4a7c15)
		for len(b) < 256 {
			b = append(b, byte(len(b))*byte(seed)+b[len(b)-8])
		}
		f.Add(b, uint64(seed), int64(seed*7))
	}
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, source []byte, a uint64, b int64) {
		if len(source) > 4096 {
			return
		}
		module := generate(source)
		fuel := &budget{left: 3_000_000}
		got, err := execute(ctx, t, module, true, fuel, a, b)
		if errors.Is(err, errFuel) {
			return // the original may run for ever
		}
		want, wantErr := execute(ctx, t, module, false, fuel, a, b)
		if firstLine(err) != firstLine(wantErr) || got != want {
			t.Errorf("the original ends with %v and %x, rewritten with %v and %x", wantErr, want, err, got)
		}
	})
}

var errFuel = errors.New("no fuel")

type budget struct{ left int64 }

// execute returns the results, the globals and the memory after a call as one string.
func execute(ctx context.Context, t *testing.T, module []byte, metered bool, fuel *budget, a uint64, b int64) (string, error) {
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	if metered {
		rewritten, _, err := meter.Rewrite(module, meter.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		module = rewritten
	}
	more := api.GoFunc(func(_ context.Context, stack []uint64) {
		if fuel.left -= 100_000; fuel.left < 0 {
			panic(errFuel)
		}
		stack[0] += 100_000
	})
	i64 := []api.ValueType{api.ValueTypeI64}
	if _, err := runtime.NewHostModuleBuilder(meter.MoreModule).NewFunctionBuilder().WithGoFunction(more, i64, i64).Export(meter.MoreName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Instantiate(ctx, module)
	if err != nil {
		t.Fatalf("a generated module does not start: %v", err)
	}
	results, err := m.ExportedFunction("f0").Call(ctx, a, uint64(b))
	out := ""
	for _, r := range results {
		out += string(binary.LittleEndian.AppendUint64(nil, r))
	}
	out += string(binary.LittleEndian.AppendUint64(nil, m.ExportedGlobal("g").Get()))
	mem, _ := m.Memory().Read(0, m.Memory().Size())
	return out + string(mem), err
}
