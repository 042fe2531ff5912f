package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// hostile are files that would take the parser's or the evaluation's stack or
// memory if nothing stood before them.
func hostile() map[string]string {
	long := func(unit string) string { return strings.Repeat(unit, MaxFileBytes/4/len(unit)) }
	value := func(x string) string { return `variable "v" { default = ` + x + " }\n" }
	many := func(unit string) string { return strings.Repeat(unit, 40_000) }
	return map[string]string{
		"parentheses":        long("("),
		"value parentheses":  value(many("(") + "1" + many(")")),
		"brackets":           "a = " + long("["),
		"braces":             long("a {\n"),
		"mismatched":         long("({["),
		"mismatched closers": long("(]"),
		"templates":          "a = " + long(`"${`),
		"directives":         "a = \"" + long("%{if x}"),
		"loops":              "a = \"" + many("%{for x in y}"),
		"not":                value(many("!") + "true"),
		"minus":              value(many("-") + "1"),
		"sum":                value("1" + many("+1")),
		"conditional":        value(many("true ? 1 : ") + "1"),
		"conditional 2":      value(many("true ? ") + "1" + many(" : 1")),
		"members":            value("a" + many(".b")),
		"indexes":            value("a" + many("[0]")),
		"splats":             value("a" + many("[*]")),
		"attribute splats":   value("a" + many(".*")),
		"comparisons":        value("1" + many("==1")),
		"for":                value("[for a in [for b in [1,2,3] : b] : a]"),
		"big number":         value(`"${1e999999999}"`),
		"big from text":      value(`"${"1e999999999" + 0}"`),
		"tiny number":        value(`"${1e-999999999}"`),
		"zero exponent":      value(`"${0e999999999}"`),
		"products":           value(`"${1e300` + strings.Repeat("*1e300", 900) + `}"`),
		"nested products":    value(strings.Repeat("(", 190) + "1" + strings.Repeat(strings.Repeat("+1", 100)+")", 190)),
		"heredocs":           "a = " + many("<<A\n"),
		"strings":            many(`"`),
		"open strings":       strings.Repeat("a = \"b\n", 20_000),
		"bad lines":          strings.Repeat("a b c\n", 20_000),
		"bad values":         strings.Repeat("a = b c\n", 20_000),
		"unknown blocks":     strings.Repeat("chanel {}\n", 20_000),
		"references": "channel \"c\" {}\npipeline \"p\" {\nfrom = channel.c\nrule \"r\" {\nfrom = [" + many("rule.x,") + "]\n}\n" +
			many("\n") + "}\n",
		"unknown references": "channel \"c\" {}\npipeline \"p\" {\nfrom = channel.c\n" + strings.Repeat("rule \"r\" {\nfrom = rule.x\n}\n", 10_000) + "}\n",
		"many texts":         "variable \"x\" { default = \"" + strings.Repeat("y", 500_000) + "\" }\n" + strings.Repeat("variable \"x\" { default = \"${var.x}${var.x}\" }\n", 3_000),
		"nulls":              many("\x00"),
		"invalid UTF-8":      "a = \"" + many("\xff"),
		"byte order mark":    "\ufeffchannel \"c\" {}\n",
		"lone surrogates":    value(`"\ud800"`),
		"carriage returns":   "channel \"c\" {\r\n  key = id\r\n}\r\n",
	}
}

// TestHostile loads them all; each must come back soon with a verdict.
func TestHostile(t *testing.T) {
	good := map[string]bool{"carriage returns": true, "byte order mark": true}
	for name, src := range hostile() {
		t.Run(name, func(t *testing.T) {
			if len(src) > MaxFileBytes {
				src = src[:MaxFileBytes]
			}
			start := time.Now()
			_, diags := load1(t, src, nil, Options{})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if diags.HasErrors() == good[name] {
				t.Errorf("errors: %v", diags)
			}
		})
	}
}

// FuzzLoad loads any bytes: it never panics, and every diagnostic has a place
// within the file.
func FuzzLoad(f *testing.F) {
	for _, src := range hostile() {
		f.Add([]byte(src[:min(len(src), 400)]))
	}
	for _, pattern := range []string{"testdata/good/*.hcl", "testdata/bad/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal("no seeds", err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		defer func(start time.Time) {
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		}(time.Now())
		c, diags := Load(world(folder{"a.hcl": string(src)}, testVars()), "conf", Options{})
		for _, d := range diags {
			checkDiag(t, d, src)
		}
		for _, p := range c.Pipelines {
			for _, s := range p.Stages {
				var args decodeArgs
				for _, d := range DecodeBody(s.Body, &args, c.Eval) {
					checkDiag(t, d, src)
				}
			}
		}
		if err := Print(&strings.Builder{}, diags, c.Files, true); err != nil {
			t.Error(err)
		}
		formatted, fdiags := Format(src, "a.hcl")
		if again, _ := Format(formatted, "a.hcl"); !fdiags.HasErrors() && string(again) != string(formatted) {
			t.Errorf("formatting twice: %q, %q", formatted, again)
		}
	})
}

func checkDiag(t *testing.T, d *hcl.Diagnostic, src []byte) {
	if d.Summary == "" || strings.Contains(d.Detail, "hunter2") || strings.Contains(d.Detail, "%!") {
		t.Errorf("a bad message: %+v", d)
	}
	if at := d.Subject; at != nil && (at.Start.Byte > at.End.Byte || at.End.Byte > len(src) || at.Start.Line < 1) {
		t.Errorf("%s: outside of the file: %v", d.Summary, at)
	}
}
