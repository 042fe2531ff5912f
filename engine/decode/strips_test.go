package decode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/journal"
)

// TestDelimiters holds the vectors against the plain loop: texts of any length, of bytes that matter and of
// those that do not, at any address.
func TestDelimiters(t *testing.T) {
	if !haveStrips() {
		t.Skip("this processor has no vectors of 64 bytes")
	}
	random := rand.New(rand.NewPCG(3, 4))
	found, refused := 0, 0
	for range 20_000 {
		rare := 2 + random.IntN(30)
		skip, n := random.IntN(64), random.IntN(400)
		b := make([]byte, skip+n+journal.Slack)
		for i := range b {
			if b[i] = "abc\\ 1:{\xff\x00"[random.IntN(10)]; random.IntN(rare) == 0 {
				b[i] = `,}"`[random.IntN(3)]
			}
		}
		s := b[skip:][:n]
		want := delimitersIn(s, nil)
		most := 0 // in 64 bytes
		for i := range want {
			k := i
			for k < len(want) && want[k]/64 == want[i]/64 {
				k++
			}
			most = max(most, k-i)
		}
		room := max(0, len(want)-random.IntN(2))
		out := make([]uint32, room+17)
		out[room+16] = 77
		got := delimiters(unsafe.SliceData(s), n, 1000, &out[0], room)
		if room < len(want) || most > 16 {
			refused++
			if got != -1 {
				t.Fatalf("%q: %d delimiters in place of a refusal, room %d", s, got, room)
			}
		} else {
			found++
			for i := range want {
				want[i] += 1000
			}
			if got != len(want) || !slices.Equal(out[:got], want) {
				t.Fatalf("%q: %d delimiters at %v, not at %v", s, got, out[:max(0, got)], want)
			}
		}
		if out[room+16] != 77 {
			t.Fatalf("%q: written past the room", s)
		}
	}
	if found < 1000 || refused < 1000 {
		t.Errorf("%d found, %d refused: not a test of both", found, refused)
	}
}

// stripOdds are odd numbers, insides of texts, times, whole numbers and truths.
func stripOdds() [][]string {
	return [][]string{
		{"null", "1e5", `"5"`, "true", "{}", "[1,2]", "x", "", "1 ", "01", "-", "12345678901234567890", "-0", "0.1.2"},
		{"a, b", "{}", `a\"b`, `a\\`, `\u00e9`, "é", "\xff", "a\xc3", "tab\t", `a","n":5,"s":"`, `"`, "", "a\x01", "fourteen byte\x80s"},
		{`"2026-01-05T25:00:00Z"`, `"2026-01-05T10:00:00.12Z"`, `"2026-01-05x10:00:00Z"`, `"2026-01-05 10:00:00.1a3Z"`, `"2026-01-05T10:00:00.123+"`,
			`"2026-01-05T10:00:0zZ"`, `"2026-01-05 10:00:00.123Z"`, "1767607200", `"2026-02-30T10:00:00Z"`, `"2026-01-05T10:00:00.123\\Z"`, `"2026-01-05T10:00:00z"`},
		{"1.5", "01", "-", "-01", "123456789", "-1234567", "12345678", "null", `"3"`, "0", "-0", "1e3", "9007199254740993", "12 ", "1-2", "00"},
		{"tru", "True", "null", "falsey", "0", "fals", `"true"`, "true ", "trues", "truetrue"},
	}
}

// TestStripOdds: one record among many that is odd gives the same as by itself.
func TestStripOdds(t *testing.T) {
	fields := parseFields(t, "n:number s:string t:timestamp i:integer b:bool")
	record := func(of []string) string {
		return fmt.Sprintf(`{"n":%s,"s":"%s","t":%s,"i":%s,"b":%s}`, of[0], of[1], of[2], of[3], of[4])
	}
	usual := []string{"1.25", "text", `"2026-01-05T10:11:12.345Z"`, "17", "true"}
	for column, odds := range stripOdds() {
		for _, odd := range odds {
			one := slices.Clone(usual)
			one[column] = odd
			records := slices.Repeat([]string{record(usual)}, 4*stripRows)
			records[2*stripRows+9] = record(one)
			var want decoded
			for _, way := range []string{"general", "strips"} {
				alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
				d, err := newJSON(Config{Fields: fields, Alloc: alloc})
				if err != nil {
					t.Fatal(err)
				}
				d.noPlans = way == "general"
				got := runAll(t, d, alloc, blockOf(0, records...))
				got.stats.Fast = 0
				if way == "general" {
					want = got
				}
				if got.rows != want.rows || got.rejects != want.rejects || got.stats != want.stats {
					t.Errorf("%s: %s", records[2*stripRows+9], firstDifference(got.rows+got.rejects, want.rows+want.rejects))
				}
			}
		}
	}
}

// stripRecord makes a record of the layout number kind, with values of all lengths.
func stripRecord(random *rand.Rand, kind int, odd bool) string {
	number := func() string {
		switch random.IntN(6) {
		case 0:
			return fmt.Sprint(random.IntN(10))
		case 1:
			return fmt.Sprintf("-%d.%06d", random.IntN(180), random.IntN(1e6))
		case 2:
			return fmt.Sprintf("%d", random.IntN(1e8))
		}
		return fmt.Sprintf("%.2f", float64(random.IntN(4000)-2000)/100)
	}
	text := strings.Repeat("x", random.IntN(20)) + fmt.Sprint(random.IntN(100))
	value := number()
	day, fraction := 5, ""
	if random.IntN(5) == 0 {
		day = 1 + random.IntN(28)
	}
	if random.IntN(2) == 0 {
		fraction = fmt.Sprintf(".%03d", random.IntN(1000))
	}
	when := fmt.Sprintf(`"2026-01-%02dT%02d:%02d:%02d%sZ"`, day, random.IntN(24), random.IntN(60), random.IntN(60), fraction)
	whole, yes := fmt.Sprint(random.IntN(2000)-1000), fmt.Sprint(random.IntN(2) == 0)
	if odd { // one or two of them, so that what is odd does not hide behind another
		values, odds := []*string{&value, &text, &when, &whole, &yes}, stripOdds()
		for range 2 {
			at := random.IntN(len(odds))
			*values[at] = odds[at][random.IntN(len(odds[at]))]
		}
	}
	switch kind {
	case 0:
		return fmt.Sprintf(`{"s":"%s","t":%s,"n":%s,"m":%s,"i":%s,"b":%s,"a_name_that_is_longer_than_sixteen_bytes":%s}`,
			text, when, value, number(), whole, yes, number())
	case 1:
		return fmt.Sprintf(`{"o":{"x":%s,"s":"%s"},"other":%s,"n":%s,"b":%t}`, number(), text, number(), value, random.IntN(2) == 0)
	}
	return fmt.Sprintf(`{"n":%s,"s":"%s","t":%d}`, value, text, 1767225600+random.IntN(1e6))
}

// TestStrips: blocks of records of one layout, of several, with what is odd among them, give the same a column
// at a time, record by record, and the general way.
func TestStrips(t *testing.T) {
	if !haveStrips() {
		t.Skip("this processor has no vectors of 64 bytes")
	}
	fields := parseFields(t, "s:string t:timestamp n:number m:number! i:integer b:bool a_name_that_is_longer_than_sixteen_bytes:number o.x:number o.s:string! gone:number")
	random := rand.New(rand.NewPCG(5, 6))
	for _, test := range []struct {
		name       string
		odd, other int // one in how many is odd, of another layout; 0: none
	}{
		{"one layout", 0, 0}, {"some odd", 200, 0}, {"many odd", 10, 0}, {"layouts", 0, 150}, {"everything", 100, 100},
	} {
		for kind := range 3 {
			var blocks []*journal.Block
			at := 0
			for range 12 {
				var records []string
				for range 1 + random.IntN(300) {
					k := kind
					if test.other > 0 && random.IntN(test.other) == 0 {
						k = random.IntN(3)
					}
					records = append(records, stripRecord(random, k, test.odd > 0 && random.IntN(test.odd) == 0))
				}
				blocks = append(blocks, blockOf(uint64(at), records...))
				at += len(records)
			}
			var want decoded
			for _, way := range []string{"general", "one by one", "strips"} {
				alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
				d, err := newJSON(Config{Fields: fields, Alloc: alloc})
				if err != nil {
					t.Fatal(err)
				}
				d.noPlans, d.stripped = way == "general", way == "strips"
				got := runAll(t, d, alloc, blocks...)
				got.stats.Fast = 0
				if way == "general" {
					want = got
				}
				if got.rows != want.rows || got.rejects != want.rejects || got.stats != want.stats {
					t.Errorf("%s, layout %d, %s: %s", test.name, kind, way, firstDifference(got.rows+got.rejects, want.rows+want.rejects))
				}
				if way == "strips" && test.odd+test.other == 0 && (d.strips.delims == nil || d.strips.failed > 0 || d.rest > 0) {
					t.Errorf("%s, layout %d: strips were tried: %t; %d of the latest failed; a number was none: %t", test.name, kind, d.strips.delims != nil, d.strips.failed, d.rest > 0)
				}
			}
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%s, not\n%s", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(g), len(w))
}
