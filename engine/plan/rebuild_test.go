package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/plan"
)

const watched = `channel "c" {
  partitions = 2
  key        = device
  time       = ts
  ahead      = "0s"
  schema     = { device = string, ts = timestamp, n = number }
}
pipeline "p" {
  from = channel.c
  window "tumbling" "inner" {
    by    = [device]
    every = "5m"
    grace = "1m"
    keep  = "10m"
    emit  = { hi = max(n) }
  }
  window "tumbling" "w" {
    from  = WINDOW
    by    = [device]
    every = "EVERY"
    keep  = "20m"
    emit  = { n = count() }
  }
  alarm "hot" {
    from = channel.c
    by   = [device]
    when = n > LIMIT
  }
  window "tumbling" "all" {
    from  = channel.c
    every = "EVERY"
    emit  = { n = count() }
  }
  sink "file" "out" {
    from = [window.w, alarm.hot, window.all]
    path = "out.ndjson"
  }
}
`

// TestFateOfState: what is said of state that means something else, by how far back the journal reaches.
func TestFateOfState(t *testing.T) {
	configure := func(window, every, limit string) *plan.Plan {
		return build(t, []byte(strings.NewReplacer("WINDOW", window, "EVERY", every, "LIMIT", limit).Replace(watched)))
	}
	const minute = int64(60e6)
	marks := []int64{100 * minute, 200 * minute, 300 * minute}
	before := configure("channel.c", "10m", "5")
	direct, behind := configure("channel.c", "20m", "6\n with = [n]"), configure("window.inner", "20m", "6")
	for _, c := range []struct {
		p       *plan.Plan
		past    plan.Past
		err     error
		address string
		fate    plan.Fate
		why     string
	}{
		// A minute more than 20 m and 20 m, and of those behind it 16 m.
		{p: direct, past: plan.Past{Whole: true, Marks: marks}, address: "w", fate: plan.Rebuilt, why: "from at most 59 records of the journal"},
		{p: behind, past: plan.Past{Whole: true, Marks: marks}, address: "w", fate: plan.Rebuilt, why: "from at most 43 records of the journal"},
		{p: direct, past: plan.Past{Since: 59 * minute, Marks: marks}, address: "w", fate: plan.Rebuilt, why: "from at most 59 records of the journal"},
		{p: direct, past: plan.Past{Since: 60 * minute, Marks: marks}, address: "w", fate: plan.Rebuilt, why: "of 1 key of 3 a part is lost, since the journal begins at 1970-01-01T01:00:00Z"},
		{p: direct, past: plan.Past{Since: 290 * minute, Marks: marks}, address: "w", fate: plan.Lost, why: "no longer in the journal, which begins at 1970-01-01T04:50:00Z"},
		{p: direct, past: plan.Past{Whole: true}, address: "hot", fate: plan.Rebuilt, why: "from at most 1,000 records of the journal"},
		{p: direct, past: plan.Past{Whole: true}, address: "w", fate: plan.Rebuilt, why: "from at most 0 records of the journal"}, // no key has a watermark
		{p: direct, past: plan.Past{Since: minute, Marks: marks}, address: "hot", fate: plan.Rebuilt, why: "what came before 1970-01-01T00:01:00Z is no longer there"},
		{p: direct, err: errors.New("rust"), address: "w", fate: plan.Lost, why: "the journal cannot be read: rust"},
		{p: direct, past: plan.Past{Whole: true, Marks: marks}, address: "all", fate: plan.Lost, why: "it reads what pipelines feed"},
	} {
		h := hold(before)
		h.Past = func(channel string) (plan.Past, error) {
			if channel != "c" {
				t.Errorf("asked for %s", channel)
			}
			c.past.Records = func(from int64, all bool) uint64 {
				if all || from == 0 {
					return 1000
				}
				return uint64(from / minute)
			}
			return c.past, c.err
		}
		for _, x := range c.p.Diff(h) {
			if x.Address == "pipeline.p.window."+c.address || x.Address == "pipeline.p.alarm."+c.address {
				if x.Fate != c.fate || !strings.Contains(x.Why, c.why) {
					t.Errorf("%s: %s, not %s %s", x.Fate, x.Why, c.fate, c.why)
				}
			}
		}
	}
}

// TestAgain: what With has given is given again when nothing of it runs any more, and not before.
func TestAgain(t *testing.T) {
	p := build(t, []byte(strings.NewReplacer("WINDOW", "channel.c", "EVERY", "10m", "LIMIT", "5").Replace(watched)))
	with := func() *plan.Plan {
		q, diags := p.With("c", nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return q
	}
	kept := with()
	p.Again()
	first, second := with(), with()
	if first == kept || second == kept || first == second {
		t.Error("a plan was given that may run")
	}
	p.Again()
	third, fourth, fifth := with(), with(), with()
	if third == fourth || third != first && third != second || fourth != first && fourth != second {
		t.Error("plans that nothing runs of were bound anew")
	}
	if fifth == first || fifth == second || fifth == kept {
		t.Error("a plan was given twice")
	}
}

// TestMetInOnePartition: rows of one partition that has the join's key meet where they are, as those of several do.
func TestMetInOnePartition(t *testing.T) {
	for _, partitions := range []string{"1", "2"} {
		p := build(t, []byte(strings.Replace(`channel "c" {
  partitions = N
  key        = device
  time       = ts
  schema     = { device = string, ts = timestamp, n = number }
}
pipeline "p" {
  from = channel.c
  rule "low" { where = n < 5 }
  rule "high" { where = n >= 5 }
  join "latest" "both" {
    from = [rule.low, rule.high]
    by   = [device]
    take = { high = n }
  }
  sink "file" "out" {
    from = join.both
    path = "out.ndjson"
  }
}
`, "N", partitions, 1)))
		if len(p.Channels) != 1 {
			t.Errorf("with %s partitions there are %d channels, not the one of the file: its rows meet only at ticks", partitions, len(p.Channels))
		}
	}
}
