// Command refrigerant_health is a plugin that scores refrigeration units from temperature, ambient and setpoint.
//
// Heat comes in in proportion to the difference between outside and inside, so a sound unit's compressor
// runs a share of the time that rises with that difference, to 1 at full_load (the degree-hour method of refrigeration
// loads; ASHRAE Handbook, Refrigeration, chapter 24). A unit that has lost refrigerant runs longer for the same load, and cools
// more slowly when it has to. Both are smoothed over time, not over rows (exponential decay with memory
// as its time constant), so that it does not matter how often a device reports.
package main

import (
	"math"

	"github.com/tidemill/tidemill/sdk/go"
)

func init() { tidemill.EachRow(plugin, row) }

func main() {}

const usPerHour = 3600e6

// settings are read with the first row.
type settings struct {
	read                            bool
	fullLoad, pullDown, memory, gap float64
}

var set settings

func configure() {
	set = settings{
		true,
		math.Max(tidemill.ConfigNumber("full_load", 55), 1),
		math.Max(tidemill.ConfigNumber("pull_down", 6), 0.1),
		math.Max(tidemill.ConfigNumber("memory", 6), 0.01),
		math.Max(tidemill.ConfigNumber("gap", 0.5), 0.001),
	}
}

func sensible(v float64) bool { return v > -100 && v < 100 }

func row(r *tidemill.Row) {
	if !set.read {
		configure()
	}
	temp, ambient, setpoint := r.Number(ReadTemp), r.Number(ReadAmbient), r.Number(ReadSetpoint)
	switch {
	case r.IsNull(ReadTemp) || r.IsNull(ReadAmbient) || r.IsNull(ReadSetpoint):
		r.Reject("temp, ambient and setpoint are needed")
		return
	case !sensible(temp) || !sensible(ambient) || !sensible(setpoint):
		r.Reject("a temperature is not between -100 and 100 degrees Celsius")
		return
	case r.IsNull(ReadTime):
		r.Reject("there is no time")
		return
	}
	open := !r.IsNull(ReadDoorOpen) && r.Bool(ReadDoorOpen)
	if !open {
		observe(r, r.Integer(ReadTime), temp, ambient, setpoint)
	}
	answer(r)
}

// observe adds the time since the last row to what is known of the unit.
func observe(r *tidemill.Row, now int64, temp, ambient, setpoint float64) {
	last, lastTemp := r.StateInteger(StateLast), r.StateNumber(StateTemp)
	hours := float64(now-*last) / usPerHour
	known := *last != 0
	running := runs(r, known, hours, temp, *lastTemp, setpoint)
	wasRunning := *r.StateInteger(StateRunning) == 1
	if known && hours <= 0 {
		return // late, or twice: it has been judged
	}
	if known && hours <= set.gap {
		learn(r, hours, wasRunning, temp, *lastTemp, ambient, setpoint)
	}
	*last, *lastTemp = now, temp
	*r.StateInteger(StateRunning) = 0
	if running {
		*r.StateInteger(StateRunning) = 1
	}
}

// runs says whether the compressor runs. Without a word about it, it runs when the space is warm or cools.
func runs(r *tidemill.Row, known bool, hours, temp, lastTemp, setpoint float64) bool {
	if !r.IsNull(ReadCompressor) {
		return r.Bool(ReadCompressor)
	}
	if temp > setpoint+1 {
		return true
	}
	return known && hours > 0 && (temp-lastTemp)/hours < -0.2
}

func learn(r *tidemill.Row, hours float64, wasRunning bool, temp, lastTemp, ambient, setpoint float64) {
	part := 1 - math.Exp(-hours/set.memory)
	on := 0.0
	if wasRunning {
		on = 1
	}
	duty, weight := r.StateNumber(StateDuty), r.StateNumber(StateWeight)
	expected := r.StateNumber(StateExpected)
	// What is smoothed starts from nothing, so it is divided by its weight (bias correction, as in Kingma and Ba 2015, section 3).
	*duty += part * (on - *duty)
	*expected += part * (math.Min(math.Max((ambient-temp)/set.fullLoad, 0.02), 1) - *expected)
	*weight += part * (1 - *weight)
	*r.StateNumber(StateHours) += hours
	if wasRunning && lastTemp > setpoint+3 {
		pull, pulled := r.StateNumber(StatePull), r.StateNumber(StatePulled)
		*pull += part * ((lastTemp-temp)/hours - *pull)
		*pulled += part * (1 - *pulled)
	}
}

// answer writes what is known. A score needs an hour, or as much of pull-down as a quarter of one.
func answer(r *tidemill.Row) {
	weight, pulled := *r.StateNumber(StateWeight), *r.StateNumber(StatePulled)
	if weight == 0 {
		return
	}
	duty, expected := *r.StateNumber(StateDuty)/weight, *r.StateNumber(StateExpected)/weight
	r.SetNumber(WriteDuty, duty)
	r.SetNumber(WriteExpected, expected)
	score := 100 * math.Min(1, math.Max(0, 1-1.5*math.Max(0, duty-expected-0.1)))
	if pulled > 0 {
		r.SetNumber(WritePullDown, *r.StateNumber(StatePull)/pulled)
	}
	enough := *r.StateNumber(StateHours) >= 1
	if pulled >= 1-math.Exp(-0.25/set.memory) {
		enough = true
		pull := *r.StateNumber(StatePull) / pulled
		// A unit that must pull down runs all the time; then its speed judges it, not its duty.
		score = 100 * math.Min(1, math.Max(0, pull/set.pullDown))
	}
	if enough {
		r.SetNumber(WriteScore, score)
	}
}
