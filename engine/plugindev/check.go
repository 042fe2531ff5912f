package plugindev

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/splitmix"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Guarantee is something that holds for every plugin, whatever it computes.
type Guarantee struct {
	Name  string
	Why   string // what goes wrong where it does not hold
	check func(c *checker) (string, error)
}

// Verdict is how a guarantee came out.
type Verdict struct {
	Guarantee
	Failure string // "": it holds
}

// Guarantees are all of them, in the order in which Check tries them.
func Guarantees() []Guarantee {
	return []Guarantee{
		{"no row makes it fail", "A trap throws the instance away and costs a hundred times a refusal; 64 of them quarantine the plugin.", noFailures},
		{"same input twice gives the same output", "A replay must give what the first run gave.", sameTwice},
		{"same rows however batches are cut", "The engine cuts batches as it likes.", sameCuts},
		{"earlier batches do not show", "The engine replaces instances whenever it likes; only state lasts.", freshInstances},
		{"state survives restart", "After a crash, tables come from a checkpoint.", restarts},
		{"a key's rows depend on that key alone", "Keys move to other partitions, and to other machines.", keysApart},
		{"never writes outside what it was given", "A row writes the state of its own key and no other; pointers are easily one off.", writesInside},
		{"rejects name a row and say why", "A person has to find out what is wrong with the row.", rejectsSayWhy},
		{"every row is accounted for", "Rows come out, are dropped or are refused; none does two of these.", accounted},
		{"a full batch fits", "65,536 rows fit into the memory and fuel that a plugin has by default.", fullBatch},
	}
}

// checker runs one module.
type checker struct {
	rig      *Rig
	settings map[string]wasm.Setting
	samples  []*Rows // kinds of rows
	first    []*outcome
}

// Sample are rows for Check, with the settings that they are for.
type Sample struct {
	Settings map[string]wasm.Setting
	Rows     *Rows // nil: rows are made up only
}

// Check holds a module to the guarantees. seed decides which rows are made up.
func (r *Rig) Check(seed uint64, s Sample) ([]Verdict, error) {
	c := &checker{rig: r, settings: s.Settings}
	m, rand := r.Plugin.Manifest, chance{splitmix.Source(seed)}
	c.samples = []*Rows{plain(m, &rand, 300), edges(m, &rand, 300)}
	if s.Rows != nil && s.Rows.Len() > 0 {
		c.samples = append(c.samples, s.Rows, mutated(m, &rand, s.Rows, 400))
	}
	for _, rows := range c.samples {
		o, err := r.run(rows, trial{settings: c.settings})
		if err != nil {
			return nil, err
		}
		c.first = append(c.first, o)
	}
	var list []Verdict
	for _, g := range Guarantees() {
		failure, err := g.check(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Name, err)
		}
		list = append(list, Verdict{g, failure})
	}
	return list, nil
}

// differ says where two outcomes differ; "" when they do not.
func differ(a, b *outcome) string {
	x, y := a.text(), b.text()
	for i := range max(len(x), len(y)) {
		one, other := "nothing", "nothing"
		if i < len(x) {
			one = x[i]
		}
		if i < len(y) {
			other = y[i]
		}
		if one != other {
			return fmt.Sprintf("first %s; then %s", clip(one), clip(other))
		}
	}
	return ""
}

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "..."
	}
	return s
}

// again runs every sample in another way and compares with the first run.
func (c *checker) again(t trial) (string, error) {
	t.settings = c.settings
	for i, rows := range c.samples {
		o, err := c.rig.run(rows, t)
		if err != nil {
			return "", err
		}
		if d := differ(c.first[i], o); d != "" {
			return d, nil
		}
	}
	return "", nil
}

func noFailures(c *checker) (string, error) {
	for _, o := range c.first {
		for _, r := range o.rejects {
			if r.Failed {
				return fmt.Sprintf("row %d: %s (%d rows in all)", r.Row, clip(r.Reason), o.failed), nil
			}
		}
	}
	return "", nil
}

func sameTwice(c *checker) (string, error) { return c.again(trial{twice: true}) }

func sameCuts(c *checker) (string, error) {
	rand := chance{splitmix.Source(1)}
	for _, cut := range []func(int, int) int{
		func(int, int) int { return 1 },
		func(int, int) int { return 1 + rand.below(9) },
		func(int, int) int { return 64 },
	} {
		if d, err := c.again(trial{cut: cut}); d != "" || err != nil {
			return d, err
		}
	}
	return "", nil
}

func freshInstances(c *checker) (string, error) {
	return c.again(trial{cut: func(at, _ int) int { return 3 + at%5*20 }, fresh: true})
}

func restarts(c *checker) (string, error) {
	return c.again(trial{cut: func(at, _ int) int { return 5 + at%3*30 }, restart: true})
}

// perKey are the rows of each key, in order.
func perKey(rows *Rows) map[string][]int {
	keys := map[string][]int{}
	for row, key := range rows.Keys {
		keys[key] = append(keys[key], row)
	}
	return keys
}

func keysApart(c *checker) (string, error) {
	for i, rows := range c.samples {
		for key, numbers := range perKey(rows) {
			alone, err := c.rig.run(rows.take(numbers), trial{settings: c.settings})
			if err != nil {
				return "", err
			}
			together := &outcome{}
			for _, row := range c.first[i].out {
				if at := slices.Index(numbers, row.from); at >= 0 {
					together.out = append(together.out, outRow{at, row.values})
				}
			}
			for _, r := range c.first[i].rejects {
				if at := slices.Index(numbers, r.Row); at >= 0 {
					r.Row = at
					together.rejects = append(together.rejects, r)
				}
			}
			alone.state = nil
			if d := differ(together, alone); d != "" {
				return fmt.Sprintf("rows of key %s, with others and alone: %s", cell(key), d), nil
			}
		}
	}
	return "", nil
}

// writesInside compares the state that a key has when its rows came among those of others with the state that it has alone.
func writesInside(c *checker) (string, error) {
	if c.rig.Plugin.Manifest.State == nil {
		return "", nil
	}
	for i, rows := range c.samples {
		for key, numbers := range perKey(rows) {
			o, err := c.rig.run(rows.take(numbers), trial{settings: c.settings})
			if err != nil {
				return "", err
			}
			if is, was := c.first[i].state[key], o.state[key]; is != was {
				return fmt.Sprintf("rows of other keys changed the state of %s from %x to %x", cell(key), clip(was), clip(is)), nil
			}
		}
	}
	return "", nil
}

func rejectsSayWhy(c *checker) (string, error) {
	for i, o := range c.first {
		for _, r := range o.rejects {
			switch {
			case r.Row < 0 || r.Row >= c.samples[i].Len():
				return fmt.Sprintf("a reject names row %d of %d", r.Row, c.samples[i].Len()), nil
			case strings.TrimSpace(r.Reason) == "":
				return fmt.Sprintf("row %d was refused without a reason", r.Row), nil
			case !strings.ContainsFunc(r.Reason, func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > 127 }):
				return fmt.Sprintf("row %d was refused with %q, which tells a person nothing", r.Row, r.Reason), nil
			}
		}
	}
	return "", nil
}

func accounted(c *checker) (string, error) {
	m := c.rig.Plugin.Manifest
	one := m.Kind == wasm.Enrich || m.Kind == wasm.Score
	for i, o := range c.first {
		times := make([]int, c.samples[i].Len())
		for _, row := range o.out {
			times[row.from]++
		}
		for _, r := range o.rejects {
			if times[r.Row] > 0 {
				return fmt.Sprintf("row %d was refused and came out, too", r.Row), nil
			}
			times[r.Row] = -1
		}
		for row, n := range times {
			if one && n == 0 || n > m.MaxRows {
				return fmt.Sprintf("row %d came out %d times", row, n), nil
			}
		}
	}
	return "", nil
}

func fullBatch(c *checker) (string, error) {
	const full = 65_536
	source := c.samples[0]
	if len(c.samples) > 2 {
		source = c.samples[2]
	}
	numbers := make([]int, full)
	for i := range numbers {
		numbers[i] = i % source.Len()
	}
	o, err := c.rig.run(source.take(numbers), trial{settings: c.settings})
	if err != nil {
		return "", err
	}
	for _, r := range o.rejects {
		if r.Failed {
			return fmt.Sprintf("row %d: %s", r.Row, clip(r.Reason)), nil
		}
	}
	if o.splits > 0 {
		return fmt.Sprintf("the guest failed at whole batches, which had to be halved %d times", o.splits), nil
	}
	return "", nil
}
