package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// further is a stage that some seeds have, keyed by device: what comes out of it follows from the order of a device's
// own records, whatever is done to the machine.
type further struct {
	name  string // address of what goes to the sink
	text  string
	needs string // address of another one, that it reads
}

// furtherList is drawn from. %q is what becomes of late rows.
func furtherList() []further {
	return []further{
		{name: "window.slide", text: `
  window "sliding" "slide" {
    from  = rule.mild
    by    = [device]
    size  = "20m"
    every = "5m"
    keep  = "40m"
    late  = LATE
    emit  = { n = count(), hi = max(temp), mean = avg(temp) }
  }`},
		{name: "window.hours", needs: "window.slide", text: `
  window "tumbling" "hours" {
    from      = window.slide
    by        = [device]
    every     = "1h"
    keep      = "40m"
    revisions = "latest"
    emit      = { n = sum(n), hi = max(hi), lo = min(mean), rows = count() }
  }`},
		{name: "window.visit", text: `
  window "session" "visit" {
    from = rule.mild
    by   = [device]
    gap  = "2m"
    keep = "20m"
    late = LATE
    emit = { n = count(), lo = min(temp), d = distinct(temp) }
  }`},
		{name: "window.four", text: `
  window "count" "four" {
    from = rule.mild
    by   = [device]
    size = 4
    emit = { n = count(), last = last(temp), first = first(temp) }
  }`},
		{name: "window.shut", text: `
  window "state" "shut" {
    from  = rule.mild
    by    = [device]
    while = !door
    keep  = "20m"
    late  = LATE
    max_rows = 24
    emit  = { n = count(), hi = max(temp) }
  }`},
		{name: "dedupe.once", text: `
  dedupe "once" {
    from   = rule.mild
    by     = [device, ts]
    within = "1000h"
  }`},
		{name: "order.sorted", text: `
  order "sorted" {
    from  = rule.mild
    bound = "10m"
    keep  = [device, ts, temp]
    wait  = "100h"
  }`},
		{name: "window.pairs", needs: "order.sorted", text: `
  window "count" "pairs" {
    from = order.sorted
    by   = [device]
    size = 2
    emit = { rise = last(temp) - first(temp) }
  }`},
		{name: "anomaly.odd", text: `
  anomaly "seasonal" "odd" {
    from    = rule.mild
    by      = [device]
    on      = [temp]
    warm_up = 3
  }`},
		{name: "alarm.busy", needs: "window.slide", text: `
  alarm "busy" {
    from  = window.slide
    by    = [device]
    when  = n > 3
    for   = "5m"
    clear = n < 3
  }`},
		{name: "alarm.hot", needs: "window.four", text: `
  alarm "hot" {
    from = window.four
    by   = [device]
    when = last > 20
  }`},
		{name: "join.near", text: `
  join "interval" "near" {
    from   = [rule.mild, rule.open]
    by     = [device]
    before = "3m"
    after  = "2m"
    grace  = "5m"
    wait   = "100h"
    rows   = ROWS
    keep   = [device, ts, temp]
    take   = { other = temp, half = temp / 2 }
  }`},
		{name: "join.known", text: `
  join "latest" "known" {
    from    = [rule.mild, rule.open]
    by      = [device]
    take    = { then = temp }
    missing = MISSING
  }`},
		{name: "join.rolled", needs: "channel.minutes", text: `
  join "interval" "rolled" {
    from   = [rule.mild, channel.minutes]
    by     = [device]
    before = "90s"
    grace  = "1h"
    wait   = "100h"
    keep   = [device, ts, temp]
    take   = { n = n, hi = hi }
  }`},
	}
}

// furtherStages draws some stages of a pipeline for half of all seeds, and tells how many. rolled says that there is
// a channel of minutes. It takes chances of its own, so that those of seeds of before stay as they were.
func furtherStages(seed uint64, rolled bool) (string, int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	if rng.IntN(2) == 0 {
		return "", 0
	}
	list, has := furtherList(), map[string]bool{}
	for range 1 + rng.IntN(3) {
		f := list[rng.IntN(len(list))]
		if f.needs == "channel.minutes" && !rolled {
			continue
		}
		has[f.name] = true
		if strings.Contains(f.needs, ".") {
			has[f.needs] = true
		}
	}
	var text strings.Builder
	var names []string
	for _, f := range list {
		if has[f.name] {
			names = append(names, f.name)
			text.WriteString(f.text)
		}
	}
	if names == nil {
		return "", 0
	}
	late := []string{"revise", "side", "drop"}[rng.IntN(3)]
	rows := []string{"inner", "left"}[rng.IntN(2)]
	missing := []string{"null", "drop", "reject"}[rng.IntN(3)]
	return strings.NewReplacer("LATE", fmt.Sprintf("%q", late), "ROWS", fmt.Sprintf("%q", rows), "MISSING", fmt.Sprintf("%q", missing)).Replace(fmt.Sprintf(`
pipeline "x" {
  from = channel.telemetry
  rule "mild" { where = temp > -60 && temp < 80 }
  rule "open" { where = door && temp > 17 }%s
  sink "file" "further" {
    from = [%s]
    path = "/out/further.ndjson"
  }
  sink "file" "refused" { path = "/out/refused.ndjson" }
  rejects = sink.refused
}
`, text.String(), strings.Join(names, ", "))), len(names)
}
