package rollout

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func example() *Book {
	return &Book{
		Seq: 7, Bases: []Base{{"health", digest("a")}},
		Rollouts: []Rollout{
			{Name: "field", Plugin: "health", Stable: digest("b"), Promoted: 2},
			{Name: "lab", Plugin: "health", Fleet: "lab", Where: `registry.site == "lab"`, Trial: &Trial{N: 3, Place: 1, Canary: digest("c"), Share: 1000}},
		},
		Quarantined: []Quarantine{{digest("d"), "too slow"}},
	}
}

// TestBook: what is written is read, and what is not a book is refused.
func TestBook(t *testing.T) {
	b := example()
	got, err := Parse(b.Encode())
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, spoil := range map[string]func(b *Book){
		"order":  func(b *Book) { b.Rollouts[0].Name = "z" },
		"twice":  func(b *Book) { b.Rollouts[0].Name = "lab" },
		"digest": func(b *Book) { b.Rollouts[0].Stable = "sha256:12" },
		"place":  func(b *Book) { b.Rollouts[1].Trial.Place = Places },
		"share":  func(b *Book) { b.Rollouts[1].Trial.Share = Whole + 1 },
		"number": func(b *Book) { b.Rollouts[1].Trial.N = 0 },
		"base":   func(b *Book) { b.Bases[0].Digest = "" },
		"cause":  func(b *Book) { b.Quarantined[0].Cause = strings.Repeat("x", 2000) },
		"many":   func(b *Book) { b.Rollouts = make([]Rollout, MaxRollouts+1) },
	} {
		b := example()
		spoil(b)
		if _, err := Parse(b.Encode()); err == nil {
			t.Errorf("%s: a book that is not as it should be was read", name)
		}
	}
	if _, err := Parse(append(example().Encode(), '{')); err == nil {
		t.Error("something behind the book was read over")
	}
}

// TestChosen: a share of devices, of about that size, that only grows.
func TestChosen(t *testing.T) {
	before := map[int]bool{}
	for _, share := range []int{0, 100, 1000, 5000, Whole} {
		n := 0
		for i := range 20_000 {
			in := Chosen("lab", fmt.Appendf(nil, "d%d", i), share)
			if before[i] && !in {
				t.Fatalf("d%d left when the share grew to %d", i, share)
			}
			if before[i] = in; in {
				n++
			}
		}
		if want := 20_000 * share / Whole; n < want*8/10 || n > want*12/10 {
			t.Errorf("share %d: %d devices, about %d expected", share, n, want)
		}
	}
}

// TestGuards: each guardrail breaks where it should, and not before there are enough rows.
func TestGuards(t *testing.T) {
	for _, c := range []struct {
		guard  Guard
		rows   int
		failed int
		took   time.Duration
		fuel   int64
		differ int
		want   string
	}{
		{Guard{ErrorRate: 0.01, MinRows: 100}, 1000, 10, 0, 0, 0, ""},
		{Guard{ErrorRate: 0.01, MinRows: 100}, 1000, 11, 0, 0, 0, "11 of 1000 rows failed"},
		{Guard{ErrorRate: 0.01, MinRows: 2000}, 1000, 11, 0, 0, 0, ""},
		{Guard{ErrorRate: -1}, 1000, 1, 0, 0, 0, "0.000 % are allowed"},
		{Guard{P99: time.Microsecond}, 1000, 0, 700 * time.Microsecond, 0, 0, ""},
		{Guard{P99: time.Microsecond}, 1000, 0, 2 * time.Millisecond, 0, 0, "99th percentile"},
		{Guard{Fuel: 100}, 1000, 0, 0, 100_000, 0, ""},
		{Guard{Fuel: 100}, 1000, 0, 0, 101_000, 0, "101 instructions"},
		{Guard{Differ: 0.1}, 1000, 0, 0, 0, 100, ""},
		{Guard{Differ: 0.1}, 1000, 0, 0, 0, 101, "101 of 1000 rows differ"},
	} {
		m := NewMeters().Of(1)
		m.Canary.Add(c.rows, c.failed, 0, c.fuel, c.took)
		m.Compare(c.rows, c.differ)
		r := m.Read(false)
		if got := c.guard.Broken(&r); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
	m := NewMeters().Of(1)
	m.Canary.Add(100, 0, 0, 0, 0)
	m.Saw(5_000_000, 9_000_000)
	r := m.Read(false)
	for want, g := range map[Guard]bool{{Bake: time.Minute, MinRows: 100}: true, {Bake: time.Minute, MinRows: 101}: false, {Bake: 2 * time.Minute}: false, {}: false,
		{Bake: 4 * time.Second, ByEvent: true}: true, {Bake: 5 * time.Second, ByEvent: true}: false} {
		if want.Baked(&r, time.Minute) != g {
			t.Errorf("%+v: baked is not %v", want, g)
		}
	}
}

// TestGuardCheck: a guard that can never break is refused before a trial begins.
func TestGuardCheck(t *testing.T) {
	for want, guards := range map[string][]Guard{
		"": {{}, {ErrorRate: -1}, {ErrorRate: 1, Fuel: 1, P99: 1, Bake: 1, MinRows: 1}},
		"the share of rows that may fail goes from 0 to 1": {{ErrorRate: 7}, {ErrorRate: math.NaN()}},
		"the share of rows that may differ":                {{Differ: 1.1}},
		"rows are compared in shadow only":                 {{Differ: 0.1}, {Differ: -1}},
		"are not negative":                                 {{P99: -1}, {Fuel: -1}, {MinRows: -1}, {Bake: -1}},
	} {
		for _, g := range guards {
			if err := g.Check(false); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", g, err, want)
			}
		}
	}
	if err := (&Guard{Differ: 0.1}).Check(true); err != nil {
		t.Error(err)
	}
}

// FuzzBook: no bytes make Parse panic, and what it takes is written again as the same book.
func FuzzBook(f *testing.F) {
	f.Add(example().Encode())
	f.Add([]byte(`R1{"seq":1,"rollouts":[{"name":"a","plugin":"p","trial":{"n":1,"place":0,"canary":"x","share":1}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := Parse(body)
		if err != nil {
			return
		}
		again, err := Parse(b.Encode())
		if err != nil || string(again.Encode()) != string(b.Encode()) {
			t.Fatalf("%s: %v", body, err)
		}
	})
}
