package nab

import (
	"cmp"
	"math"
	"slices"
)

// Series is what a detector said of one series.
type Series struct {
	Name    string
	Scores  []float64 // a row each; higher is odder
	Windows []Window  // sorted, apart from each other
}

// Window is a labelled stretch of rows, both ends in it.
type Window struct{ First, Last int }

// Profile is what hits, false alerts and misses weigh.
type Profile struct {
	Name           string
	Hit, False, No float64
}

// Profiles are the benchmark's three.
func Profiles() [3]Profile {
	return [3]Profile{{"standard", 1, 0.11, 1}, {"low FP", 1, 0.22, 1}, {"low FN", 1, 0.11, 2}}
}

// Result is a score at a threshold.
type Result struct {
	Threshold   float64 // an alert is a score that is not below it
	Score       float64 // 0 to 100, or less than nothing
	Found, Gone int     // windows with an alert and without
	False       int     // rows outside of windows with an alert
}

// Probation is how many rows at the start of a series do not count.
func Probation(rows int) int { return int(min(math.Floor(0.15*float64(rows)), 750)) }

// mark is one row that counts.
type mark struct {
	score  float64
	weight float64 // of an alert here, before the profile
	window int     // which one it is in, over all series; -1: none
	no     int     // among all rows that count: equal scores keep their order
}

// sigmoid is the weight of a place: -1 is a window's first row, 0 its end.
func sigmoid(y float64) float64 {
	if y > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*y)) - 1
}

// marks lists the rows of a series that count, windows numbered from first.
func (s *Series) marks(first int, out []mark) ([]mark, int) {
	next, before, seen := 0, Window{-1, -1}, map[int]bool{}
	for i, score := range s.Scores {
		for next < len(s.Windows) && i > s.Windows[next].Last {
			before = s.Windows[next]
			next++
		}
		m := mark{score: score, window: -1, weight: -1}
		switch {
		case next < len(s.Windows) && i >= s.Windows[next].First:
			w := s.Windows[next]
			m.window = first + next
			m.weight = sigmoid(-float64(w.Last-i+1)/float64(w.Last-w.First+1)) / sigmoid(-1)
		case before.Last >= 0:
			m.weight = sigmoid(float64(i-before.Last) / math.Max(float64(before.Last-before.First), 1))
		}
		if i < Probation(len(s.Scores)) {
			continue
		}
		if m.window >= 0 {
			seen[m.window] = true
		}
		if m.no = len(out); !math.IsNaN(m.score) {
			out = append(out, m)
		}
	}
	return out, len(seen)
}

// Best scores detectors at the threshold that is best for the profile; on a tie the highest.
func Best(series []Series, p Profile) Result {
	all, windows := collect(series)
	slices.SortFunc(all, func(a, b mark) int {
		if a.score != b.score {
			return cmp.Compare(b.score, a.score)
		}
		return a.no - b.no
	})
	best := Result{Threshold: math.Inf(1), Gone: windows}
	sum, bestSum := 0.0, 0.0
	var now Result
	top := map[int]float64{}
	for i, m := range all {
		if i > 0 && m.score != all[i-1].score && sum > bestSum {
			bestSum, best = sum, now
		}
		sum += account(m, p, top, &now)
		now.Threshold = m.score
	}
	if sum > bestSum {
		bestSum, best = sum, now
	}
	best.Gone = windows - best.Found
	best.Score = scale(bestSum, windows, p)
	return best
}

// account adds an alert; the sum starts at that of a detector that never alerts.
func account(m mark, p Profile, top map[int]float64, r *Result) float64 {
	if m.window < 0 {
		r.False++
		return m.weight * p.False
	}
	old, had := top[m.window]
	switch {
	case !had:
		r.Found++
		top[m.window] = m.weight
		return m.weight*p.Hit + p.No
	case m.weight > old:
		top[m.window] = m.weight
		return (m.weight - old) * p.Hit
	}
	return 0
}

func scale(sum float64, windows int, p Profile) float64 {
	if windows == 0 {
		return 100 + sum
	}
	return 100 * sum / (float64(windows) * (p.Hit + p.No))
}

func collect(series []Series) ([]mark, int) {
	var all []mark
	first, windows := 0, 0
	for i := range series {
		var n int
		all, n = series[i].marks(first, all)
		first += len(series[i].Windows)
		windows += n
	}
	return all, windows
}

// At scores detectors at a given threshold.
func At(series []Series, p Profile, threshold float64) Result {
	all, windows := collect(series)
	r := Result{Threshold: threshold}
	sum, top := 0.0, map[int]float64{}
	for _, m := range all {
		if m.score >= threshold {
			sum += account(m, p, top, &r)
		}
	}
	r.Gone = windows - r.Found
	r.Score = scale(sum, windows, p)
	return r
}

// LeaveOneOut scores every series at the threshold that is best for the others.
func LeaveOneOut(series []Series, p Profile) float64 {
	sum, windows := 0.0, 0
	for i := range series {
		others := append(slices.Clone(series[:i]), series[i+1:]...)
		_, n := collect(series[i : i+1])
		one := At(series[i:i+1], p, Best(others, p).Threshold)
		part := one.Score
		if n == 0 {
			sum += part - 100
			continue
		}
		sum += part * float64(n) * (p.Hit + p.No) / 100
		windows += n
	}
	return scale(sum, windows, p)
}
