package plugindev

import (
	"bytes"
	"fmt"
	"go/format"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidemill/tidemill/engine/wasm"
)

const madeBy = "Made from plugin.hcl by tidemill plugin build. Changes here are lost."

// Generate writes the manifest as constants of the project's language: the name of the file, and what it holds.
func (p *Project) Generate() (name string, text []byte) {
	g := &generator{m: &p.Manifest}
	switch p.Language {
	case "go":
		g.golang()
		text, err := format.Source(g.out.Bytes())
		if err != nil {
			panic("BUG: plugin.go does not parse: " + err.Error())
		}
		return "plugin.go", text
	case "rust":
		g.rust()
		return "plugin.rs", g.out.Bytes()
	case "c":
		g.c()
		return "plugin.h", g.out.Bytes()
	case "assemblyscript":
		g.assemblyScript()
		return "plugin.ts", g.out.Bytes()
	}
	panic("BUG: a project of language " + p.Language)
}

type generator struct {
	m   *wasm.Manifest
	out bytes.Buffer
}

func (g *generator) line(format string, args ...any) { fmt.Fprintf(&g.out, format+"\n", args...) }

// formats are the letters of columns, as the SDKs take them.
func formats(columns []wasm.Column) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteByte(map[string]byte{"number": 'g', "integer": 'l', "timestamp": 'l', "bool": 'b', "string": 'u', "bytes": 'w'}[c.Type])
	}
	return b.String()
}

func (g *generator) state() []wasm.Column {
	if g.m.State == nil {
		return nil
	}
	return g.m.State.Columns
}

// maxima are the most bytes of each column of state.
func (g *generator) maxima(none string) string {
	var list []string
	for _, c := range g.state() {
		list = append(list, strconv.Itoa(c.Max))
	}
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// each calls f for every column, with a name that a language takes. Names that become the same get a number.
func (g *generator) each(f func(prefix, name string, at int)) {
	for _, group := range []struct {
		prefix  string
		columns []wasm.Column
	}{{"read", g.m.Reads}, {"write", g.m.Writes}, {"state", g.state()}} {
		seen := map[string]bool{}
		for i, c := range group.columns {
			name := strings.Map(func(r rune) rune {
				if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
					return r
				}
				return '_'
			}, strings.TrimPrefix(c.Name, "_"))
			if low := strings.ToLower(name); seen[low] {
				name += "_" + strconv.Itoa(i)
			} else {
				seen[low] = true
			}
			f(group.prefix, name, i)
		}
	}
}

func (g *generator) c() {
	g.line("/* %s */", madeBy)
	g.line("#define TM_KIND '%c'", g.m.Kind[0])
	g.line("#define TM_WRITES %q", formats(g.m.Writes))
	g.line("#define TM_STATE %q", formats(g.state()))
	g.line("#define TM_STATE_MAX {%s}", g.maxima("0"))
	g.each(func(prefix, name string, at int) {
		g.line("#define %s_%s %d", strings.ToUpper(prefix), strings.ToUpper(name), at)
	})
	g.line("#include \"tidemill.h\"")
}

func (g *generator) rust() {
	g.line("// %s", madeBy)
	g.line("pub const PLUGIN: tidemill::Spec = tidemill::Spec {\n    kind: b'%c',\n    writes: b%q,\n    state: b%q,\n    state_max: &[%s],\n};",
		g.m.Kind[0], formats(g.m.Writes), formats(g.state()), g.maxima(""))
	g.each(func(prefix, name string, at int) {
		g.line("#[allow(dead_code)]\npub const %s_%s: usize = %d;", strings.ToUpper(prefix), strings.ToUpper(name), at)
	})
}

func (g *generator) assemblyScript() {
	g.line("// %s", madeBy)
	g.line("export const KIND: i32 = 0x%x; // %s", g.m.Kind[0], g.m.Kind)
	g.line("export const WRITES: string = %q;", formats(g.m.Writes))
	g.line("export const STATE: string = %q;", formats(g.state()))
	g.line("export const STATE_MAX: StaticArray<i32> = [%s];", g.maxima("0"))
	g.each(func(prefix, name string, at int) {
		g.line("export const %s_%s: i32 = %d;", strings.ToUpper(prefix), strings.ToUpper(name), at)
	})
}

func (g *generator) golang() {
	g.line("// %s\n\npackage main\n\nimport \"TIDEMILL\"\n", madeBy)
	g.line("var plugin = tidemill.Spec{Kind: '%c', Writes: %q, State: %q, StateMax: []uint32{%s}}\n", g.m.Kind[0], formats(g.m.Writes), formats(g.state()), g.maxima(""))
	g.line("// Columns by number.\nconst (")
	g.each(func(prefix, name string, at int) {
		g.line("\t%s%s = %d", camel(prefix), camel(name), at)
	})
	g.line(")")
}

// camel turns temp_avg into TempAvg.
func camel(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
