package decode

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// fuzzConfigs are the ways in which FuzzJSON decodes its input.
func fuzzConfigs(t testing.TB) []Config {
	return []Config{
		{Learn: true, MaxDepth: 20, MaxFields: 6},
		{Fields: parseFields(t, "a:number b:integer c:string d:bool t:timestamp o.x:number l:[]string s:string! n:number! u:timestamp:ms")},
		{Learn: true, Explode: "l", MaxRows: 5},
	}
}

// FuzzJSON decodes the lines of its input, then each once more with its
// digits changed, so that plans learned from a line are tried on one like it.
func FuzzJSON(f *testing.F) {
	for _, file := range []string{"testdata/decode.txt", "testdata/layouts.txt"} {
		for _, c := range cases(f, file) {
			f.Add(c.in)
		}
	}
	swap := strings.NewReplacer("1", "-7.25", "2", "1.5e3", "3", "12345678901", "true", "false", "x", "ü", "0", "null", "5", `"`)
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 4096 {
			t.Skip("too long to be tried in every way")
		}
		lines := strings.Split(in, "\n")
		lines = append(lines, strings.Split(swap.Replace(in), "\n")...)
		lines = append(lines, lines[:len(lines)/2]...)
		for _, c := range fuzzConfigs(t) {
			got := everyWay(t, c, lines...)
			if c.Explode == "" {
				checkValid(t, c, lines, got)
			}
		}
	})
}

// checkValid checks which lines were records against encoding/json. That
// takes invalid UTF-8 and half surrogate pairs, and any depth; we do not.
func checkValid(t *testing.T, c Config, lines []string, got decoded) {
	t.Helper()
	rejected := map[string]bool{}
	for _, r := range strings.Split(got.rejects, "\n") {
		if where, _, ok := strings.Cut(r, ".0 whole: byte"); ok {
			rejected[where] = !strings.Contains(r, "UTF-8") && !strings.Contains(r, "surrogate") &&
				!strings.Contains(r, "nested deeper")
			if !rejected[where] {
				rejected["? "+where] = true
			}
		}
	}
	for i, line := range lines {
		var o map[string]json.RawMessage
		valid := json.Unmarshal([]byte(line), &o) == nil && o != nil
		where := strconv.Itoa(i)
		if !rejected["? "+where] && rejected[where] == valid {
			t.Errorf("encoding/json says valid = %t of %q; we say %t", valid, line, !rejected[where])
		}
	}
}
