package nab

import (
	"math"
	"testing"
)

func series(rows int, w []Window, alerts ...int) Series {
	s := Series{Scores: make([]float64, rows), Windows: w}
	for _, a := range alerts {
		s.Scores[a] = 1
	}
	return s
}

// TestByHand scores what can be worked out on paper.
func TestByHand(t *testing.T) {
	w := []Window{{500, 599}}
	tail := 2/(1+math.Exp(5*100.0/99)) - 1
	late := (2/(1+math.Exp(-5*1.0/100)) - 1) / (2/(1+math.Exp(-5)) - 1)
	for _, c := range []struct {
		name    string
		s       Series
		profile int
		want    float64
	}{
		{"first row", series(1000, w, 500), 0, 100},
		{"last row", series(1000, w, 599), 0, 100 * (late + 1) / 2},
		{"the earliest counts", series(1000, w, 500, 550, 599), 1, 100},
		{"none", series(1000, w), 2, 0},
		{"a false one before", series(1000, w, 300, 500), 0, 100 * (2 - 0.11) / 2},
		{"a false one before, low FP", series(1000, w, 300, 500), 1, 100 * (2 - 0.22) / 2},
		{"a false one just behind", series(1000, w, 500, 699), 0, 100 * (2 + 0.11*tail) / 2},
		{"low FN", series(1000, w, 300, 500), 2, 100 * (3 - 0.11) / 3},
		{"probation", series(1000, w, 20, 149, 500), 0, 100},
	} {
		got := At([]Series{c.s}, Profiles()[c.profile], 0.5).Score
		if math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %.6f, want %.6f", c.name, got, c.want)
		}
	}
}

// TestBest: the threshold is the best over all series, and Best agrees with At.
func TestBest(t *testing.T) {
	a, b := series(1000, []Window{{500, 599}}), series(1000, []Window{{700, 799}})
	a.Scores[500], a.Scores[300], b.Scores[700], b.Scores[200] = 5, 4, 3, 1
	p := Profiles()[0]
	got := Best([]Series{a, b}, p)
	if got.Threshold != 3 || got.Found != 2 || got.False != 1 || got.Score != At([]Series{a, b}, p, 3).Score {
		t.Errorf("%+v", got)
	}
	if loo := LeaveOneOut([]Series{a, b}, p); loo >= got.Score {
		t.Errorf("left out %.2f, chosen on all %.2f", loo, got.Score)
	}
	if null := Best([]Series{series(1000, a.Windows, 200)}, p); null.Score != 0 || !math.IsInf(null.Threshold, 1) {
		t.Errorf("a detector with false alerts only: %+v", null)
	}
}
