package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/engine/wasm"
)

// guest writes a plugin's module: over, which gives temp - 4, as the version that is asked for.
func guest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: guest VERSION FILE")
	}
	dir := ts.Getenv("GUESTS")
	code, err := os.ReadFile(filepath.Join(dir, "over.wasm"))
	ts.Check(err)
	manifest, err := os.ReadFile(filepath.Join(dir, "over.json"))
	ts.Check(err)
	module, err := wasm.Attach(code, bytes.Replace(manifest, []byte(`"1.0.0"`), []byte(`"`+args[0]+`"`), 1))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), module, 0o644))
}
