package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// scenario is a configuration and an input, chosen by a seed.
type scenario struct {
	config    string
	input     []byte
	second    []byte // of another ingest, whose devices are others
	malformed int    // records in input that are cut short
	extras    int    // stages beside those of every seed
}

func newScenario(seed uint64) scenario {
	s, draw := outline(seed)
	draw(&s)
	return s
}

// outline is a scenario without its input, which draw adds: that takes most of the time.
func outline(seed uint64) (s scenario, draw func(*scenario)) {
	rng := rand.New(rand.NewPCG(seed, 1))
	late := []string{"revise", "side", "drop"}[rng.IntN(3)]
	partitions := 1 + rng.IntN(3)
	devices := 1 + rng.IntN(12)
	schema := `schema = { ts = timestamp, device = string, temp = number, door = bool, extra = { a = number } }`
	shape := shapes()[rng.IntN(4)]
	if rng.IntN(3) == 0 {
		schema, shape = "", shapes()[0] // learned
	}
	schema = shape.of(schema)
	config := fmt.Sprintf(`
engine {
  checkpoint = "50ms"
  tick       = "200ms"
  queue_rows = %d
}
channel "telemetry" {
  key        = device
  time       = ts
  partitions = %d
  %s
}
`+ingests+`
pipeline "p" {
  from = channel.telemetry
  rule "plausible" {
    where = temp > -60 && temp < 80
    set   = { over = temp - 20, f = temp * 9 / 5 + 32 }
  }
  window "tumbling" "five_min" {
    from  = rule.plausible
    by    = [device]
    every = "5m"
    keep  = "30m"
    late  = %q
    emit  = { lo = min(temp), hi = max(temp), mean = avg(temp), n = count(), p = percentile(temp, 50), d = distinct(temp), dev = stddev(temp) }
  }
  alarm "warm" {
    from = rule.plausible
    by   = [device]
    when = over > 3
    for  = "1m"
  }
  sink "file" "rows" {
    from = rule.plausible
    path = "/out/rows.ndjson"
  }
  sink "file" "windows" {
    from = window.five_min
    path = "/out/windows.ndjson"
  }
  sink "file" "alarms" {
    from = alarm.warm
    path = "/out/alarms.ndjson"
  }
  sink "far" "server" { from = [window.five_min, alarm.warm] }
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}
`+second+`
`, 1+rng.IntN(200), partitions, schema, late)
	more := rolled(seed, partitions, schema != "")
	config += more
	config += crowded(seed, partitions, schema != "")
	further, extras := furtherStages(seed, more != "")
	config += further
	return scenario{config: config, extras: extras}, func(s *scenario) {
		s.input = shape.into(makeInput(rng, devices, 20+rng.IntN(110), schema == ""))
		if schema != "" && rng.IntN(2) == 0 { // the order of learned columns depends on who comes first
			s.second = renumber.ReplaceAll(shape.into(makeInput(rng, devices, rng.IntN(60), schema == "")), []byte(`"device":${1}10$2`))
		}
		s.malformed = cutShort(s.input) + cutShort(s.second)
	}
}

// makeInput makes records of devices whose clocks run on, with gaps, late
// backlogs, duplicates and rubbish.
func makeInput(rng *rand.Rand, devices, records int, learned bool) []byte {
	var out bytes.Buffer
	clock := make([]int, devices)
	for range records {
		d := rng.IntN(devices)
		clock[d] += 1 + rng.IntN(90)
		at := clock[d]
		switch rng.IntN(25) {
		case 0:
			clock[d] += 1800
		case 1:
			at -= rng.IntN(2400)
		}
		at = max(0, at)
		ts := fmt.Sprintf("2025-06-01T%02d:%02d:%02dZ", at/3600%24, at/60%60, at%60)
		temp := fmt.Sprintf("%.2f", 15+10*rng.Float64())
		switch rng.IntN(40) {
		case 0:
			fmt.Fprintf(&out, "{\"device\":\"d%d\",\"ts\":\n", d)
			continue
		case 1:
			temp = `"warm"`
		case 2:
			temp = "null"
		case 3:
			fmt.Fprintf(&out, `{"device":"d%d","temp":%s}`+"\n", d, temp)
			continue
		case 4:
			temp = "999"
		}
		fmt.Fprintf(&out, `{"device":"d%d","ts":"%s","temp":%s,"door":%t`, d, ts, temp, rng.IntN(2) == 0)
		if rng.IntN(6) == 0 {
			fmt.Fprintf(&out, `,"extra":{"a":%d}`, rng.IntN(9))
		}
		if learned && rng.IntN(30) == 0 {
			fmt.Fprintf(&out, `,"more%d":"x"`, rng.IntN(3))
		}
		out.WriteString("}\n")
	}
	return out.Bytes()
}

// ingests are the two ways in: the files of the second hold other devices.
const ingests = `ingest "file" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}
ingest "file" "more" {
  to   = channel.telemetry
  path = "/in/more.ndjson"
}`

// second is a pipeline beside the other on the same channel. Its rejects go to the default file.
const second = `pipeline "q" {
  from = channel.telemetry
  rule "cold" { where = temp <= 20 }
  window "tumbling" "hour" {
    from  = rule.cold
    by    = [device]
    every = "1h"
    emit  = { lo = min(temp), n = count() }
  }
  alarm "cold" {
    from = rule.cold
    by   = [device]
    when = temp < 16
  }
  sink "file" "hours" {
    from = window.hour
    path = "/out/hours.ndjson"
  }
  sink "file" "colds" {
    from = alarm.cold
    path = "/out/colds.ndjson"
  }
}`

// rolled is what other pipelines make of what a pipeline has made, and of rows that must first be brought
// together. It takes chances of its own, so that those of seeds of before stay as they were.
func rolled(seed uint64, partitions int, declared bool) string {
	rng := rand.New(rand.NewPCG(seed, 9))
	if rng.IntN(2) == 0 {
		return ""
	}
	text := fmt.Sprintf(`
channel "minutes" {
  key        = device
  partitions = %d
}
pipeline "r1" {
  from = channel.telemetry
  window "tumbling" "minute" {
    by    = [device]
    every = "1m"
    late  = "drop"
    emit  = { n = count(), lo = min(temp), hi = max(temp) }
  }
  sink "channel" "roll" {
    from = window.minute
    to   = channel.minutes
  }
}
pipeline "r2" {
  from = channel.minutes
  window "tumbling" "half" {
    by    = [device]
    every = "30m"
    keep  = "1000h"
    emit  = { n = sum(n), hi = max(hi), rows = count() }
  }
  window "tumbling" "all" {
    from  = channel.minutes
    every = "1h"
    keep  = "10000h"
    emit  = { n = sum(n), lo = min(lo), hi = max(hi), rows = count() }
  }
  sink "file" "halves" {
    from = window.half
    path = "/out/halves.ndjson"
  }
  sink "file" "all" {
    from = window.all
    path = "/out/all.ndjson"
  }
}
`, 1+rng.IntN(3))
	if declared && partitions > 1 && rng.IntN(2) == 0 {
		text += `
pipeline "r3" {
  from = channel.telemetry
  rule "warm" { where = temp > 16 }
  window "tumbling" "doors" {
    from  = rule.warm
    by    = [door]
    every = "20m"
    keep  = "10000h"
    emit  = { n = count(), lo = min(temp), hi = max(temp) }
  }
  sink "file" "doors" {
    from = [window.doors]
    path = "/out/doors.ndjson"
  }
  sink "file" "both" {
    from = [rule.warm, window.doors]
    path = "/out/both.ndjson"
  }
}
`
	}
	return text
}

// crowded is sessions of rows of several partitions, in two phases: they go alone, wait in their partitions, or half of them do, as these
// records are from the first hours of 1 June, 5148 hours before the machine's clock. It takes chances of its own, as rolled does.
func crowded(seed uint64, partitions int, declared bool) string {
	rng := rand.New(rand.NewPCG(seed, 13))
	if !declared || partitions == 1 || rng.IntN(3) > 0 {
		return ""
	}
	return fmt.Sprintf(`
pipeline "r4" {
  from = channel.telemetry
  rule "cool" { where = temp < 24 }
  window "session" "crowd" {
    from  = rule.cool
    by    = [door]
    gap   = "%ds"
    grace = %q
    keep  = "10000h"
    emit  = { n = count(), lo = min(temp), hi = max(temp) }
  }
  sink "file" "crowd" {
    from = [window.crowd]
    path = "/out/crowd.ndjson"
  }
}
`, 10+rng.IntN(110), []string{"1s", "5147h40m", "10000h"}[rng.IntN(3)])
}

// renumber finds devices, text or number, to make others of them.
var renumber = regexp.MustCompile(`"device":("d|)(\d)`)

// shape is what records look like.
type shape struct{ numeric, exploded bool }

func shapes() []shape {
	return []shape{{}, {numeric: true}, {exploded: true}, {true, true}}
}

// of changes the schema.
func (s shape) of(schema string) string {
	if s.numeric {
		schema = strings.Replace(schema, "device = string", "device = number", 1)
	}
	if s.exploded {
		schema = "explode = list\n  " + strings.Replace(schema, "schema = {", "schema = { list = list({ v = number }),", 1)
	}
	return schema
}

// into changes records: numbers are written in more than one way, and lists hold none to three elements.
func (s shape) into(records []byte) []byte {
	if !s.numeric && !s.exploded {
		return records
	}
	var out []byte
	n := 0
	for line := range bytes.Lines(records) {
		n++
		if s.numeric {
			line = regexp.MustCompile(`"device":"d(\d+)"`).ReplaceAll(line, []byte(`"device":${1}`+[]string{"", ".0", "e0"}[n%3]))
		}
		if s.exploded && bytes.HasSuffix(line, []byte("}\n")) {
			list := strings.Repeat(`{"v":1},`, n%4)
			line = append(bytes.TrimSuffix(line, []byte("}\n")), (`,"list":[` + strings.TrimSuffix(list, ",") + "]}\n")...)
		}
		out = append(out, line...)
	}
	return out
}
