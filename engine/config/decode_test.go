package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

type decodeArgs struct {
	Need   string            `hcl:"need"`
	Where  hcl.Expression    `hcl:"where"`
	When   hcl.Expression    `hcl:"when,optional"`
	Every  Duration          `hcl:"every,optional"`
	Size   Size              `hcl:"size,optional"`
	Count  int               `hcl:"count,optional"`
	Small  uint8             `hcl:"small,optional"`
	Ratio  *float64          `hcl:"ratio"`
	Names  []string          `hcl:"names,optional"`
	Tags   map[string]string `hcl:"tags,optional"`
	Nested *decodeNested     `hcl:"nested,block"`
	Many   []decodeNested    `hcl:"many,block"`
	At     hcl.Range         `hcl:"every,attr_value_range"`
}

type decodeNested struct {
	Label string `hcl:"label,label"`
	X     int    `hcl:"x,optional"`
}

func decodeText(src string) (decodeArgs, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig([]byte(src), "a.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		panic(diags)
	}
	args := decodeArgs{Every: "1m", Count: 7}
	diags = DecodeBody(file.Body, &args, nil)
	return args, diags
}

func TestDecodeBody(t *testing.T) {
	args, diags := decodeText(`
need  = "x"
where = a > b
size  = "1kB"
every = "5m"
small = 200
names = ["a", "b"]
tags  = { k = "v" }
nested "n" {
  x = 1
}
many "a" {}
many "b" {
  x = 2
}`)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if got := fmt.Sprint(args.Need, args.Every, args.Size, args.Count, args.Small, args.Ratio, args.Names, args.Tags, *args.Nested, args.Many, args.At.Start.Line); got !=
		"x5m1kB7 200 <nil> [a b] map[k:v] {n 1} [{a 0} {b 2}] 5" {
		t.Error(got)
	}
	if Absent(args.Where) || !Absent(args.When) || !Absent(nil) {
		t.Error("Absent is wrong")
	}
}

func TestDecodeBodyErrors(t *testing.T) {
	const good = "need = \"x\"\nwhere = true\n"
	for _, c := range []struct{ src, want string }{
		{"", `1: Missing argument; The argument "need" is required: write need = ...|1: Missing argument; The argument "where" is required: write where = ...`},
		{good + `evry = "5m"`, `3: Unsupported argument; An argument named "evry" is not expected here. Did you mean "every"?`},
		{good + `enabeld = true`, `3: Unsupported argument; An argument named "enabeld" is not expected here. Did you mean "enabled"?`},
		{good + `every = 5`, `3: Not a duration; every takes a duration in double quotes with its unit, such as "5m"; this is a number.`},
		{good + `every = "5 parsecs"`, `3: Not a duration; every: "5 parsecs" has the unknown unit "parsecs"; write a number and a unit (w, d, h, m, s, ms, us), such as "5m", "7d" or "1h30m".`},
		{good + `size = "1 parsec"`, `3: Not a size; size: "1 parsec" has the unknown unit "parsec"; write a number and a unit, such as "64MiB" or "1GB".`},
		{good + `count = "5"`, `3: Wrong type; count takes a number; this is a string. Leave the quotes away.`},
		{good + `count = 1.5`, `3: Wrong value; count takes a whole number; this one does not fit.`},
		{good + `small = 256`, `3: Wrong value; small takes a whole number that is not negative; this one does not fit.`},
		{good + `names = "a"`, `3: Wrong type; names takes a list of string; this is a string. Put it in brackets: [...]`},
		{good + `names = ["a", 1]`, `3: Wrong type; names takes a list of string; this is a list.`},
		{good + `names = null`, `3: Wrong type; names takes a list of string; this is null.`},
		{good + `names = temp`, `3: Not a constant; temp is not known here: this argument is read before any data flows. A text stands in double quotes ("temp"), a variable is var.NAME.`},
		{good + `tags = { a = 1, a = 2 }`, `3: Duplicate name; "a" stands already on line 3. Each name may stand once.`},
		{good + `nested = 3`, `3: Unsupported argument; nested is a block: write nested { ... } without the equals sign.`},
		{good + `count {}`, `3: Unsupported block; count is an argument: write count = ... with an equals sign.`},
		{good + `other {}`, `3: Unsupported block; A block named "other" is not expected here. There is "count", "enabled", "every", "from", "many", "names", "need", "nested", "ratio", "size", "small", "tags" and 2 more.`},
		{good + "nested \"a\" {}\nnested \"b\" {}", `4: Duplicate block; There may be one nested block; the first is on line 3.`},
		{good + "nested {}", `3: Missing label for nested; All nested blocks must have 1 labels (label).`},
		{good + "nested \"a\" {\n  y = 1\n}", `4: Unsupported argument; An argument named "y" is not expected here. There is "x".`},
	} {
		_, diags := decodeText(c.src)
		var got []string
		for _, d := range diags {
			got = append(got, fmt.Sprintf("%d: %s; %s", d.Subject.Start.Line, d.Summary, d.Detail))
		}
		if text := strings.Join(got, "|"); text != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.src, text, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	const src = "channel \"c\" {}\npipeline \"cold_chain\" {\n\tfrom = channel.telemetri\n  sise = \"5m\"\n}\n"
	c, diags := load1(t, src, nil, Options{Vars: map[string]string{"nix": "1"}})
	diags = append(diags, Warnf(hcl.Range{}, "Odd", "Very odd.")...)
	var plainText, colored strings.Builder
	if err := Print(&plainText, diags, c.Files, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good/print.txt", plainText.String())
	if err := Print(&colored, diags, c.Files, true); err != nil {
		t.Fatal(err)
	}
	stripped := strings.NewReplacer(red, "", yellow, "", bold, "", plain0, "").Replace(colored.String())
	if stripped != plainText.String() || stripped == colored.String() {
		t.Error("colour changes more than colour")
	}
	p := Problems(diags)
	if got := fmt.Sprint(p[1]); !strings.Contains(got, "conf/a.hcl 3 9 3 26") {
		t.Error(got)
	}
}

func TestPrintLongLine(t *testing.T) {
	src := "a = \"" + strings.Repeat("é", 500) + "\x1b[31m\" + x"
	at := hcl.Range{Filename: "f", Start: hcl.Pos{Line: 1, Byte: len(src) - 1}, End: hcl.Pos{Line: 1, Byte: len(src)}}
	var b strings.Builder
	if err := Print(&b, Errorf(at, "S", "D"), map[string]*hcl.File{"f": {Bytes: []byte(src)}}, false); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 500 || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", b.String())
	}
}

// TestPrintSecrets: the line that is shown may end in a log of whoever validates; a secret in it does not.
func TestPrintSecrets(t *testing.T) {
	for in, want := range map[string]string{
		`url = "http://u:hünter2@host:80/a" # x`:                              `url = "http://u:*******@host:80/a" # x`,
		`urls = ["a://:p@h", "b://u:q@h"]`:                                    `urls = ["a://:*@h", "b://u:*@h"]`,
		`url = "http://host:80/a@b", to = "c@d"`:                              `url = "http://host:80/a@b", to = "c@d"`,
		`topic = "a/${b}", mail = "x:y@z"`:                                    `topic = "a/${b}", mail = "x:y@z"`,
		`password = "a \" b" # "c"`:                                           `password = "******" # "c"`,
		`password_file = "a"`:                                                 `password_file = "a"`,
		`headers = { Authorization = "Bäarer 1", "X-Token": "two", x = "y" }`: `headers = { Authorization = "********", "X-Token": "***", x = "y" }`,
		`token = "${env("TOKEN")}"`:                                           `token = "${env("TOKEN")}"`,
		`token = env("TOKEN")`:                                                `token = env("TOKEN")`,
		`  password: s3 cret # why`:                                           `  password: *************`,
		`on = token`:                                                          `on = token`,
	} {
		var b strings.Builder
		at := hcl.Range{Filename: "f", Start: hcl.InitialPos, End: hcl.Pos{Line: 1, Column: 4, Byte: 3}}
		if err := Print(&b, Errorf(at, "S", "D"), map[string]*hcl.File{"f": {Bytes: []byte(in)}}, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "   1: "+want+"\n") {
			t.Errorf("%s", b.String())
		}
	}
}

// TestPrintLine: what is shown is the line that is named, also where only that and the column are known.
func TestPrintLine(t *testing.T) {
	const src = "one = <<EOT\n  two: 2\n  three: 3\nEOT\n"
	for _, x := range []struct {
		start hcl.Pos
		want  string
	}{
		{hcl.Pos{Line: 1, Column: 7, Byte: 6}, "   1: one = <<EOT\n            ^\n"},
		{hcl.Pos{Line: 3, Column: 3, Byte: 6}, "   3:   three: 3\n        ^\n"},
		{hcl.Pos{Line: 3, Column: 300, Byte: 6}, "   3:   three: 3\n                ^\n"},
		{hcl.Pos{Line: 300, Column: 3, Byte: 6}, "  300: one = <<EOT\n             ^\n"},
	} {
		var b strings.Builder
		at := hcl.Range{Filename: "f", Start: x.start, End: hcl.Pos{Line: x.start.Line, Column: x.start.Column + 1, Byte: x.start.Byte + 1}}
		if err := Print(&b, Errorf(at, "S", "D"), map[string]*hcl.File{"f": {Bytes: []byte(src)}}, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), x.want) {
			t.Errorf("%+v: %s", x.start, b.String())
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"channel \"c\" {\nkey=device # x\n    partitions   = 4\n}", "channel \"c\" {\n  key        = device # x\n  partitions = 4\n}", ""},
		{"", "", ""},
		{"a = 'x'\n", "a = 'x'\n", "Single quotes"},
		{strings.Repeat("[", 300), strings.Repeat("[", 300), "at most 200 deep"},
		{"x = [for a in b : a]", "x = [for a in b : a]", "no \"for\" expressions"},
	} {
		got, diags := Format([]byte(c.in), "a.hcl")
		if string(got) != c.want || c.err == "" && len(diags) > 0 || c.err != "" && !strings.Contains(diags.Error(), c.err) {
			t.Errorf("%q: %q, %v", c.in, got, diags)
		}
		if again, _ := Format(got, "a.hcl"); string(again) != string(got) {
			t.Errorf("%q: formatting twice gives %q", c.in, again)
		}
	}
}
