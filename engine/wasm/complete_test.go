package wasm

import (
	"os"
	"strings"
	"testing"
)

// TestComplete: a module is held to its manifest's exports without being compiled, so that who builds it hears of it.
func TestComplete(t *testing.T) {
	code, err := os.ReadFile("testdata/over.wasm")
	if err != nil {
		t.Fatal(err)
	}
	const manifest = `{"name":"over","version":"1.0.0","abi":1,"kind":"enrich","writes":[{"name":"x","type":"number"}],"state":{"version":2,"columns":[{"name":"n","type":"number"}],"from":[FROM]}}`
	for from, want := range map[string]string{
		"": "",
		`{"version":1,"columns":[{"name":"n","type":"number"}]}`: "does not export the function tidemill_migrate",
	} {
		module, err := Attach(code, []byte(strings.Replace(manifest, "FROM", from, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := Complete(module); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("from %q: %v, want %q", from, err, want)
		}
	}
}
