package modules

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm"
)

// TestGoesOn: which version can take over the state of which.
func TestGoesOn(t *testing.T) {
	code, err := os.ReadFile("../wasm/testdata/migrate.wasm")
	if err != nil {
		t.Fatal(err)
	}
	s := Open(env.Real(), t.TempDir())
	put := func(version int, state string) string {
		module, err := wasm.Attach(code, fmt.Appendf(nil, `{"name": "m", "version": "%d.0.0", "abi": 1, "kind": "enrich",
			"reads": [{"name": "temp", "type": "number"}], "writes": [{"name": "a", "type": "number"}]%s}`, version, state))
		if err != nil {
			t.Fatal(err)
		}
		digest, _, err := s.Put(module)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	const columns = `"columns": [{"name": "n", "type": "integer"}]`
	none := put(1, "")
	one := put(2, `, "state": {"version": 1, `+columns+`}`)
	same := put(3, `, "state": {"version": 1, `+columns+`}`)
	two := put(4, `, "state": {"version": 2, `+columns+`, "from": [{"version": 1, `+columns+`}]}`)
	for _, c := range []struct {
		digest, from string
		refused      bool
	}{{one, same, false}, {same, one, false}, {two, one, false}, {one, two, true}, {none, two, false}, {two, none, false}, {one, "sha256:" + strings.Repeat("0", 64), true}} {
		err := s.GoesOn(c.digest, c.from)
		if (err != nil) != c.refused || c.from == two && err != nil && !strings.Contains(err.Error(), "m 2.0.0 keeps state of version 1, and m 4.0.0 has left version 2") {
			t.Errorf("%s after %s: %v", c.digest[:12], c.from[:12], err)
		}
	}
}
