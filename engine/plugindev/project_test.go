package plugindev

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

const good = "name = \"p\"\nversion = \"1.0.0\"\nkind = enrich\nlanguage = c\nwrites = { out = number }\n"

// TestMistakes reads files with mistakes and looks for what is said of them, and where.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ add, line, want string }{
		{"", "", ""},
		{"reads = { temp = numbr }", ":6,", `Did you mean "number"?`},
		{"reeds = {}", ":6,", `Did you mean "reads"?`},
		{"reads = { temp = { type = number, requird = true } }", ":6,", `Did you mean "required"?`},
		{"reads = [1]", ":6,", "braces"},
		{"state {\n  version = 0\n  columns = { a = string }\n}", "", "state has version 0"},
		{"state {\n  version = 1\n  columns = { a = string }\n}", "", "state takes number, integer and bytes"},
		{"config = { limit = { type = number, default = \"x\" } }", "", "the default of limit"},
		{"source = \"../x.c\"", ":6,", "own folder"},
		{"max_rows = 2.5", ":6,", "whole number"},
		{"state \"x\" {\n}", ":6,", "without a name"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(good+c.add+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, diags := ReadProject(env.Real(), dir)
		var said strings.Builder
		for _, d := range diags {
			said.WriteString(d.Error() + "\n")
		}
		if text := said.String(); c.want == "" && text != "" || !strings.Contains(text, c.want) || !strings.Contains(text, c.line) {
			t.Errorf("%s: %q; want %q at %q", c.add, text, c.want, c.line)
		}
	}
}

// TestCells writes and reads values as cells of a table.
func TestCells(t *testing.T) {
	for typ, values := range map[string][]any{
		"number":  {1.5, -0.25, nil},
		"integer": {int64(-7), nil},
		"bool":    {true, false, nil},
		"string":  {"plain", "two words", "", "-", "# x", `a"b`, "hex:00", nil},
		"bytes":   {[]byte{0, 255}, []byte{}, nil},
	} {
		for _, v := range values {
			words, err := splitCells("x " + cell(v))
			if err != nil || len(words) != 2 {
				t.Fatalf("%v: %q %v", v, words, err)
			}
			back, err := parseCell(words[1], typ)
			if err != nil || !same(back, v) || (back == nil) != (v == nil) {
				t.Errorf("%v became %s and %v (%v)", v, words[1], back, err)
			}
		}
	}
}
