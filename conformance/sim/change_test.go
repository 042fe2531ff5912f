package sim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestChanged changes what a window computes in the middle of everything that a seed has in store: each window comes
// once, as it would under the old configuration or under the new one from the start, and all else is as ever.
func TestChanged(t *testing.T) {
	alone(t)
	const seeds = 60
	of := [2]int{}
	for seed := uint64(1); seed <= seeds; seed++ {
		n, err := tryChange(seed)
		of[0], of[1] = of[0]+n[0], of[1]+n[1]
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if least := 5 * seeds / 3; of[0] < least || of[1] < least {
		t.Errorf("%d windows are of the old configuration and %d of the new: this is half a check", of[0], of[1])
	}
}

// tryChange tells how many windows are of the old configuration, and how many of the new.
func tryChange(seed uint64) (of [2]int, err error) {
	s := newScenario(seed)
	changed := s
	changed.config = strings.Replace(s.config, "emit  = { lo = min(temp), hi", "emit  = { spread = max(temp) - min(temp), lo = min(temp), hi", 1)
	before, _, err := runScenario(s, seed, true, newBinder())
	if err != nil {
		return of, fmt.Errorf("undisturbed: %w", err)
	}
	after, _, err := runScenario(changed, seed, true, newBinder())
	if err != nil {
		return of, fmt.Errorf("undisturbed and changed: %w", err)
	}
	w := newWorld(seed, false)
	w.next = changed.config
	w.config = s.config
	w.write("/in/data.ndjson", s.input)
	w.write("/in/more.ndjson", s.second)
	if err := w.drive(); err != nil {
		return of, err
	}
	got := w.outcome()
	for name, rows := range after {
		if name == "windows.ndjson" || name == "far" { // the server has both forms of a window, where it was told twice
			continue
		}
		if diff := difference(settled(name, rows), settled(name, got[name])); diff != "" {
			err = errors.Join(err, fmt.Errorf("%s: %s", name, diff))
		}
	}
	const name = "windows.ndjson"
	if diff := difference(places(after[name]), places(got[name])); diff != "" {
		err = errors.Join(err, fmt.Errorf("%s: %s", name, diff))
	}
	for _, row := range got[name] {
		switch {
		case slices.Contains(after[name], row):
			of[1]++
		case slices.Contains(before[name], row):
			of[0]++
		default:
			err = errors.Join(err, fmt.Errorf("%s: %s is of neither configuration", name, row))
		}
	}
	return of, err
}

// place finds which window a row is of, and which of its revisions.
var place = regexp.MustCompile(`"device":[^,]*|"window_start":"[^"]*"|"revision":\d+`)

func places(rows []string) []string {
	var out []string
	for _, row := range rows {
		out = append(out, strings.Join(place.FindAllString(row, -1), " "))
	}
	slices.Sort(out)
	return out
}
