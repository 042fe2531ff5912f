package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// TestBad loads every file of testdata/bad as a folder of its own. A mistake is
// announced on its line by "# ERROR: text", a part of "summary; detail"; two on
// a line by two such comments; one without a position by "# ERROR ANYWHERE: text". Found and
// announced mistakes must match one to one.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, diags := Load(world(folder{"a.hcl": string(src)}, testVars()), "conf", Options{})
			for _, problem := range compare(announced(string(src)), diags) {
				t.Error(problem)
			}
		})
	}
}

func testVars() map[string]string {
	return map[string]string{"SECRET": "hunter2", "TIDEMILL_VAR_given": "seven"}
}

// expectation is a mistake that a file announces; line 0 is anywhere.
type expectation struct {
	line int
	text string
}

func announced(src string) []expectation {
	comment := regexp.MustCompile(`# ERROR( ANYWHERE)?: (.*?)(?:$| # ERROR)`)
	var all []expectation
	for i, line := range strings.Split(src, "\n") {
		for rest := line; ; {
			m := comment.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			want := expectation{i + 1, strings.TrimSpace(rest[m[4]:m[5]])}
			if m[2] >= 0 {
				want.line = 0
			}
			all = append(all, want)
			rest = rest[m[5]:]
		}
	}
	return all
}

// compare matches announced and found mistakes one to one.
func compare(want []expectation, diags hcl.Diagnostics) []string {
	var problems []string
	used := make([]bool, len(want))
next:
	for _, d := range diags {
		line := 0
		if d.Subject != nil {
			line = d.Subject.Start.Line
		}
		for i, w := range want {
			if !used[i] && w.line == line && strings.Contains(d.Summary+"; "+d.Detail, w.text) {
				used[i] = true
				continue next
			}
		}
		problems = append(problems, fmt.Sprintf("line %d: not announced: %s; %s", line, d.Summary, d.Detail))
	}
	for i, w := range want {
		if !used[i] {
			problems = append(problems, fmt.Sprintf("line %d: announced, not found: %s", w.line, w.text))
		}
	}
	sort.Strings(problems)
	return problems
}

// TestCompare shows that the comparison above can fail, each way.
func TestCompare(t *testing.T) {
	at := hcl.Range{Filename: "a", Start: hcl.Pos{Line: 2}}
	found := Errorf(at, "Wrong", "very")
	for _, c := range []struct {
		src      string
		problems int
	}{
		{"x\ny # ERROR: Wrong; very", 0},
		{"x\ny # ERROR: rong", 0},
		{"x\ny", 1},
		{"x # ERROR: Wrong\ny", 2},
		{"x\ny # ERROR: Right", 2},
		{"x\ny # ERROR: Wrong # ERROR: very", 1},
	} {
		if got := compare(announced(c.src), found); len(got) != c.problems {
			t.Errorf("%q: %d problems, want %d: %v", c.src, len(got), c.problems, got)
		}
	}
}

func load1(t *testing.T, src string, vars map[string]string, o Options) (*Config, hcl.Diagnostics) {
	t.Helper()
	return Load(world(folder{"a.hcl": src}, vars), "conf", o)
}

func mustLoad(t *testing.T, src string) *Config {
	t.Helper()
	c, diags := load1(t, src, testVars(), Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return c
}

func TestLoadWhole(t *testing.T) {
	src, err := os.ReadFile("testdata/good/cold_chain.hcl")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	c := mustLoad(t, string(src))
	fmt.Fprintf(&b, "engine %+v\n", c.Engine)
	for _, v := range c.Variables {
		fmt.Fprintf(&b, "variable %s %q sensitive %v\n", v.Name, v.Value.AsString(), v.Sensitive)
	}
	for _, ch := range c.Channels {
		fmt.Fprintf(&b, "channel %s key %s partitions %d retention %s bytes %d learn %v explode %q ahead %s keys %d time %v\n", ch.Name, ch.Key, ch.Partitions,
			ch.Retention, ch.RetainBytes, ch.Learn, ch.Explode, ch.Ahead, ch.MaxKeys, ch.Time != nil)
		for _, f := range ch.Schema {
			fmt.Fprintf(&b, "  %s %s %q line %d\n", f.Name, f.Type, f.Unit, f.Range.Start.Line)
		}
	}
	for _, i := range c.Ingests {
		fmt.Fprintf(&b, "%s %s to %s enabled %v line %d\n", i.Address(), i.Type, i.To, i.Enabled, i.Range.Start.Line)
	}
	for _, p := range c.Pipelines {
		fmt.Fprintf(&b, "pipeline %s from %s rejects %v\n", p.Name, p.From, p.Rejects)
		for _, s := range p.Stages {
			fmt.Fprintf(&b, "  %s %q from %v enabled %v\n", s.Address(), s.Type, s.From, s.Enabled)
		}
	}
	golden(t, "testdata/good/cold_chain.txt", b.String())
}

// golden compares with a file; TIDEMILL_REWRITE=1 in the environment writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("TIDEMILL_REWRITE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestFolder(t *testing.T) {
	two := folder{
		"a.hcl":      "channel \"c\" {\n  key = id\n}\n",
		"b.hcl":      "pipeline \"p\" {\n  from = channel.c\n  rule \"r\" {\n    where = true\n  }\n}\n",
		"p.test.hcl": "this is none of ours",
		".#a.hcl":    "an editor's file",
		"notes.txt":  "{{{",
	}
	c, diags := Load(world(two, nil), "conf", Options{})
	if diags.HasErrors() || len(c.Channels) != 1 || len(c.Pipelines) != 1 || len(c.Files) != 2 {
		t.Fatalf("%v, %+v", diags, c)
	}
	d1 := c.Digest
	two["b.hcl"] += "\n"
	if c, _ = Load(world(two, nil), "conf", Options{}); c.Digest == d1 || len(c.Digest) != 64 {
		t.Errorf("the digest is %q for both", d1)
	}
	two["a.hcl"] = strings.Repeat("(", 300)
	c, diags = Load(world(two, nil), "conf", Options{})
	text := diags.Error()
	if !strings.Contains(text, "Nested too deep") || len(c.Pipelines) != 1 || c.Files["conf/a.hcl"] == nil {
		t.Errorf("a file that breaks a limit: %s; %d pipelines", text, len(c.Pipelines))
	}
	two["a.hcl"] = strings.Repeat("#\n", MaxFileBytes/2+1)
	if _, diags = Load(world(two, nil), "conf", Options{}); !strings.Contains(diags.Error(), "File too long") {
		t.Error(diags)
	}
	wide := folder{"a.hcl": "\xff\xfec\x00h\x00\n\x00a\x00"}
	if _, diags = Load(world(wide, nil), "conf", Options{}); len(diags) != 1 || diags[0].Summary != "Not UTF-8" {
		t.Errorf("UTF-16: %v", diags)
	}
	open := folder{"a.hcl": "channel \"c\" {\n}\ningest \"benthos\" \"b\" {\n  config = <<-EOT\n  x\n  EOT and more\n}\n"}
	_, diags = Load(world(open, nil), "conf", Options{})
	if len(diags) != 1 || diags[0].Summary != "Unclosed heredoc" || diags[0].Subject.Start.Line != 4 || !strings.Contains(diags[0].Detail, "with EOT and") {
		t.Errorf("a heredoc without an end: %v at %v", diags, diags[0].Subject)
	}
	for _, empty := range []folder{{}, {"a.hcl": "# nothing\n"}} {
		if _, diags = Load(world(empty, nil), "conf", Options{}); len(diags) != 1 || !strings.Contains(diags[0].Detail, `pipeline "first"`) {
			t.Errorf("an empty folder: %v", diags)
		}
	}
	if _, diags = Load(world(folder{}, nil), "nowhere", Options{}); len(diags) != 1 || diags[0].Summary != "Folder cannot be read" {
		t.Errorf("a missing folder: %v", diags)
	}
}

// TestExample loads what an empty folder is told to begin with.
func TestExample(t *testing.T) {
	if c := mustLoad(t, example); len(c.Pipelines) != 1 || len(c.Ingests) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestVariables(t *testing.T) {
	const all = `
variable "text" { default = "d" }
variable "count" { default = 3 }
variable "flag" { default = false }
variable "list" { default = ["a"] }
variable "typed" {
  type    = number
  default = null
}
variable "secret" {
  default   = env("SECRET")
  sensitive = true
}
`
	for _, c := range []struct {
		name string
		env  map[string]string
		vars map[string]string
		want string // name = Go text of the value, or part of an error
	}{
		{"defaults", nil, nil, `text = cty.StringVal("d")`},
		{"environment", map[string]string{"TIDEMILL_VAR_text": "e"}, nil, `text = cty.StringVal("e")`},
		{"command line first", map[string]string{"TIDEMILL_VAR_text": "e"}, map[string]string{"text": "v"}, `text = cty.StringVal("v")`},
		{"number", nil, map[string]string{"count": "4.5"}, `count = cty.NumberFloatVal(4.5)`},
		{"bool", nil, map[string]string{"flag": "true"}, `flag = cty.True`},
		{"list", nil, map[string]string{"list": `["x", "y"]`}, `list = cty.TupleVal([]cty.Value{cty.StringVal("x"), cty.StringVal("y")})`},
		{"null default", nil, nil, `typed = cty.NullVal(cty.DynamicPseudoType)`},
		{"secret", nil, nil, `secret = cty.StringVal("hunter2")`},
		{"no number", nil, map[string]string{"count": "four"}, "Wrong value; --var count: a number is wanted"},
		{"a number of a gigabyte", nil, map[string]string{"count": "1e999999999"}, "a number is wanted"},
		{"no list", nil, map[string]string{"list": "hunter2"}, "written as in a file"},
		{"unknown", nil, map[string]string{"txt": "x"}, `there is no variable "txt". Did you mean text?`},
		{"deep", nil, map[string]string{"list": strings.Repeat("[", 1000)}, "too long or too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vars := map[string]string{"SECRET": "hunter2"}
			for k, v := range c.env {
				vars[k] = v
			}
			cfg, diags := load1(t, all, vars, Options{Vars: c.vars})
			var b strings.Builder
			for _, d := range diags {
				fmt.Fprintf(&b, "%s; %s\n", d.Summary, d.Detail)
			}
			if strings.Contains(b.String(), "hunter2") {
				t.Errorf("a value was printed: %s", b.String())
			}
			for _, v := range cfg.Variables {
				fmt.Fprintf(&b, "%s = %#v\n", v.Name, v.Value)
			}
			if !strings.Contains(b.String(), c.want) {
				t.Errorf("%s\nlacks %s", b.String(), c.want)
			}
		})
	}
}

func TestSorted(t *testing.T) {
	const src = "pipeline \"p\" {\n  from = channel.x\n  rule \"r\" {\n    from = rule.a\n  }\n  bad1 = 1\n  bad2 = 2\n  bad3 = 3\n}\nchannel \"c\" {\n  zz = 1\n  yy = 1\n}\n"
	first := ""
	for range 50 {
		_, diags := load1(t, src, nil, Options{})
		text := fmt.Sprint(Problems(diags))
		if first == "" {
			first = text
		}
		if text != first {
			t.Fatalf("the order changes:\n%s\n%s", first, text)
		}
		for i := 1; i < len(diags); i++ {
			if diags[i].Subject.Start.Byte < diags[i-1].Subject.Start.Byte {
				t.Fatalf("not in order of position: %v", diags)
			}
		}
	}
}
