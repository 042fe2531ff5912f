package decode

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDecode runs testdata/decode.txt. A case is a line "=== name", lines
// "fields ...", "learn", "explode NAME", "depth N", "names N", "rows N", then
// records, a line each ("\n" within one is written ⏎), then after "---" the
// rows, rejects and counters that are right.
func TestDecode(t *testing.T) {
	for _, c := range cases(t, "testdata/decode.txt") {
		t.Run(c.name, func(t *testing.T) {
			conf, records := c.parse(t)
			got := everyWay(t, conf, records...)
			text := got.rows + got.rejects
			if got.stats.Ignored > 0 {
				text += "ignored " + strconv.Itoa(got.stats.Ignored) + "\n"
			}
			if got.stats.Empty > 0 {
				text += "empty " + strconv.Itoa(got.stats.Empty) + "\n"
			}
			if text != c.want {
				t.Errorf("got\n%swant\n%s", text, c.want)
			}
		})
	}
}

// TestLayouts checks that the records of testdata/layouts.txt are decoded alike
// with plans and without, and that plans take as many of them as they should.
func TestLayouts(t *testing.T) {
	for _, c := range cases(t, "testdata/layouts.txt") {
		t.Run(c.name, func(t *testing.T) {
			conf, records := c.parse(t)
			if got := everyWay(t, conf, records...); strconv.Itoa(got.stats.Fast)+"\n" != c.want {
				t.Errorf("%d records were fast, not %s", got.stats.Fast, c.want)
			}
		})
	}
}

// testCase is a case of a data file: what stands before and after "---".
type testCase struct{ name, in, want string }

func cases(t testing.TB, file string) (list []testCase) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split("\n"+string(data), "\n=== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		in, want, ok := strings.Cut(body, "---\n")
		if !ok {
			t.Fatalf("case %q has no answer", name)
		}
		list = append(list, testCase{name, in, strings.TrimLeft(strings.TrimRight(want, "\n")+"\n", "\n")})
	}
	return list
}

// parse returns the configuration and the records of a case.
func (c testCase) parse(t testing.TB) (conf Config, records []string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(c.in), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "fields":
			conf.Fields = parseFields(t, rest)
		case "learn":
			conf.Learn = true
		case "explode":
			conf.Explode = rest
		case "depth":
			conf.MaxDepth = n
		case "names":
			conf.MaxFields = n
		case "rows":
			conf.MaxRows = n
		default:
			records = append(records, strings.ReplaceAll(line, "⏎", "\n"))
		}
	}
	return conf, records
}
