package window

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// What a person would compute, written apart from the stage: rows are kept, and each window is
// looked at when all rows have come.

// event is a row of the oracle's streams, or, when hidden, one that a filter dropped.
type event struct {
	device   int
	t, mark  int64 // us; mark is the key's watermark with the row
	temp     float64
	hasTemp  bool
	code     string
	on       int // -1 null, 0 false, 1 true
	hidden   bool
	tick     bool // no row: a clock tick at t
	received int64
}

// found is a window that should come out.
type found struct {
	start, end, number int64
	rows               []event // in the order in which they came
	duration           float64
}

// spec is a window's arguments, us.
type spec struct {
	kind                       kind
	every, size, gap, grace, n int64
	keep                       int64 // 0: longer than any stream (but of states)
	most                       int64 // max_rows of a state window that revises
	drop                       bool
	idle, early                bool
	offset                     int64
}

func floor(a, b int64) int64 { return a - mod(a, b) }

// bruteForce returns the windows of one device.
func (s spec) bruteForce(rows []event) []found {
	switch s.kind {
	case counting:
		return s.bruteCount(rows)
	case holding:
		return s.bruteState(rows)
	case session:
		return s.bruteSessions(rows)
	}
	size, every := s.size, s.every
	if s.kind == tumbling {
		size = every
	}
	by := map[int64]*found{}
	for _, r := range rows {
		for start := floor(r.t-s.offset, every) + s.offset; start > r.t-size; start -= every {
			if s.drop && r.mark >= start+size+s.grace || s.keep > 0 && r.mark >= start+size+s.grace+s.keep {
				continue
			}
			if by[start] == nil {
				by[start] = &found{start: start, end: start + size}
			}
			by[start].rows = append(by[start].rows, r)
		}
	}
	var out []found
	for _, f := range by {
		out = append(out, *f)
	}
	return out
}

func (s spec) bruteCount(rows []event) []found {
	var out []found
	for i := 0; i < len(rows); i += int(s.n) {
		f := found{number: int64(len(out)), rows: rows[i:min(len(rows), i+int(s.n))], start: math.MaxInt64, end: math.MinInt64}
		for _, r := range f.rows {
			f.start, f.end = min(f.start, r.t), max(f.end, r.t)
		}
		out = append(out, f)
	}
	return out
}

func (s spec) bruteState(rows []event) []found {
	var out []found
	open := false
	for _, r := range s.inTime(rows) {
		if last := len(out) - 1; r.on == 1 && !open && last >= 0 && out[last].start == r.t {
			out = out[:last] // it began and ended at one moment, and the next one takes its place
		}
		if r.on == 1 && !open {
			out = append(out, found{start: r.t})
		}
		if open || r.on == 1 {
			f := &out[len(out)-1]
			if f.end = r.t; r.on == 1 {
				f.rows = append(f.rows, r)
			}
			f.duration = float64(f.end-f.start) / 1e6
		}
		open = r.on == 1
	}
	return out
}

// inTime is the rows that a state window takes, in order of time: those that are no older than the latest before them, or
// that are less than keep older and no older than what had to go because there were too many.
func (s spec) inTime(rows []event) []event {
	var out []event
	var kept []int64
	latest, horizon, look := int64(math.MinInt64), int64(math.MinInt64), int64(0)
	for _, r := range rows {
		if r.on < 0 || r.t < latest && (s.drop || r.t <= latest-s.keep || r.t < horizon) {
			continue
		}
		out, latest = append(out, r), max(latest, r.t)
		kept = append(kept, r.t)
		slices.Sort(kept)
		n, over := int64(len(kept)), int64(0)
		if s.drop || n < min(look, s.most) {
			continue
		}
		if n >= s.most {
			over = n - s.most*7/8
		}
		for len(kept) > 0 && (over > 0 || kept[0] <= latest-s.keep) {
			horizon, kept, over = kept[0], kept[1:], over-1
		}
		look = int64(len(kept)) + lookEvery
	}
	slices.SortStableFunc(out, func(a, b event) int { return cmp.Compare(a.t, b.t) })
	return out
}

// bruteSessions keeps every session as its rows, and joins what is near with every row.
func (s spec) bruteSessions(rows []event) []found {
	var open, out []found
	for _, r := range rows {
		if s.drop || s.keep > 0 { // what is closed, and has been kept, is out of reach
			open = slices.DeleteFunc(open, func(f found) bool {
				if r.mark >= f.end+s.grace+s.keep {
					out = append(out, f)
					return true
				}
				return false
			})
		}
		now := found{start: r.t, end: r.t + s.gap}
		var rest []found
		for _, f := range open {
			if r.t < f.end && f.start < r.t+s.gap {
				now.rows = append(now.rows, f.rows...)
				now.start, now.end = min(now.start, f.start), max(now.end, f.end)
			} else {
				rest = append(rest, f)
			}
		}
		if (s.drop || s.keep > 0) && r.mark >= now.end+s.grace+s.keep {
			continue
		}
		now.rows = append(now.rows, r)
		open = append(rest, now)
	}
	out = append(out, open...)
	for i := range out {
		out[i].duration = float64(out[i].end-s.gap-out[i].start) / 1e6
	}
	return out
}

// values are the aggregates of a window as the oracle has them, by the names that the test gives them.
func (f found) values() map[string]any {
	rows := slices.Clone(f.rows)
	slices.SortStableFunc(rows, func(a, b event) int { return cmp.Compare(a.t, b.t) })
	var known []event
	codes, distinct := map[string]int{}, map[float64]bool{}
	hist := make([]int64, 4)
	var order []string
	sum, lo, hi := 0.0, math.Inf(1), math.Inf(-1)
	for _, r := range rows {
		codes[r.code]++
		if order = append(order, r.code); !r.hasTemp {
			continue
		}
		known = append(known, r)
		sum, lo, hi, distinct[r.temp] = sum+r.temp, min(lo, r.temp), max(hi, r.temp), true
		hist[sort.SearchFloat64s([]float64{-50, 0, 50}, math.Nextafter(r.temp, math.Inf(1)))]++
	}
	v := map[string]any{"n": int64(len(rows)), "known": int64(len(known)), "d": int64(len(distinct)), "h": fmt.Sprint(hist),
		"c": fmt.Sprint(order[:min(5, len(order))]), "k": fmt.Sprint(mostOf(codes)), "total": nil, "a": nil, "lo": nil, "hi": nil, "f": nil, "l": nil,
		"dt": nil, "r": nil, "ta": nil, "tl": nil, "in": nil, "sd": nil, "am": nil, "ax": nil, "p": nil}
	if len(known) == 0 {
		return v
	}
	n := float64(len(known))
	first, last := known[0], known[len(known)-1]
	v["total"], v["a"], v["lo"], v["hi"], v["f"], v["l"], v["dt"] = sum, sum/n, lo, hi, first.temp, last.temp, last.temp-first.temp
	least, most, spread := known[0], known[0], 0.0
	for _, r := range known {
		spread += (r.temp - sum/n) * (r.temp - sum/n)
		if r.temp < least.temp {
			least = r
		}
		if r.temp > most.temp {
			most = r
		}
	}
	v["am"], v["ax"], v["ta"], v["tl"] = least.code, float64(most.t)/1e6, sum/n, sum/n
	rose := 0.0
	for i, r := range known[1:] {
		switch before := known[i].temp; {
		case r.temp >= before:
			rose += r.temp - before
		case r.temp > 0: // it began again at 0
			rose += r.temp
		}
	}
	v["in"] = rose
	if len(known) > 1 {
		v["sd"] = math.Sqrt(spread / (n - 1))
	}
	if span := float64(last.t - first.t); span > 0 {
		hold, line := 0.0, 0.0
		for i, r := range known[1:] {
			w := float64(r.t - known[i].t)
			hold, line = hold+w*known[i].temp, line+w*(known[i].temp+r.temp)/2
		}
		v["ta"], v["tl"], v["r"] = hold/span, line/span, (last.temp-first.temp)/(span/1e6)
	}
	temps := make([]float64, len(known))
	for i, r := range known {
		temps[i] = r.temp
	}
	slices.Sort(temps)
	v["p"] = temps
	return v
}

func mostOf(codes map[string]int) []string {
	var names []string
	for c := range codes {
		names = append(names, c)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(codes[b], codes[a]), cmp.Compare(a, b)) })
	return names[:min(2, len(names))]
}
