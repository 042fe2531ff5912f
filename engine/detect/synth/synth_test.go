package synth

import (
	"math"
	"reflect"
	"testing"
)

// TestCorpus holds a corpus against what doc.go says of it.
func TestCorpus(t *testing.T) {
	all := Corpus(1)
	first := func(seed uint64) Series { return one(cycles()[0], 0, newChance(seed, 0)) }
	if !reflect.DeepEqual(all[0], first(1)) {
		t.Error("the same seed gives another corpus")
	}
	if reflect.DeepEqual(all[0].Values, first(2).Values) {
		t.Error("another seed gives the same corpus")
	}
	kinds, none := map[string]int{}, 0
	for _, s := range all {
		n := len(s.Values)
		if n < 1500 || n > 20000 || len(s.Times) != n || len(s.Windows) != len(s.Faults) {
			t.Errorf("%s: %d rows, %d times, %d windows, %d faults", s.Name, n, len(s.Times), len(s.Windows), len(s.Faults))
		}
		if len(s.Faults) == 0 {
			none++
		}
		last := learning(n)
		for i, w := range s.Windows {
			f := s.Faults[i]
			kinds[f.Kind]++
			if w.First <= last || w.Last < w.First || w.Last >= n || f.At < w.First || f.At > w.Last || f.First > f.At || f.Last >= n {
				t.Errorf("%s: window %v of %+v, %d rows", s.Name, w, f, n)
			}
			last = w.Last
		}
		for _, f := range s.Faults {
			for i := f.First + 1; i <= f.Last && f.Kind == "stuck"; i++ {
				if s.Values[i] != s.Values[i-1] && !f.Shock {
					t.Errorf("%s: a stuck sensor changes at row %d", s.Name, i)
				}
			}
		}
		for i, x := range s.Values {
			if math.IsNaN(x) || math.IsInf(x, 0) || i > 0 && s.Times[i] <= s.Times[i-1] {
				t.Fatalf("%s: row %d is %g at %d", s.Name, i, x, s.Times[i])
			}
		}
	}
	if len(all) < 60 || none < len(all)/20 || none > len(all)/4 || len(kinds) < 12 {
		t.Errorf("%d series, %d without a fault, faults %v", len(all), none, kinds)
	}
}
