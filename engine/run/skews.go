package run

import "github.com/tidemill/tidemill/engine/plan"

// Skew is how many devices of a channel have clocks that are off by more than Over, or records that are that late: by the median of receive
// time less event time as it was sent, also of before a restart.
type Skew struct {
	Channel       string
	Over          string // as text: "1m"
	Behind, Ahead int64
}

// Skews counts devices by how far they are off, channel by channel. It may be called at any time, from any goroutine.
func (e *Engine) Skews() (all []Skew) {
	steps := []Skew{{Over: "10s"}, {Over: "1m"}, {Over: "10m"}, {Over: "1h"}, {Over: "1d"}}
	limits := []int64{10e6, 60e6, 600e6, 3600e6, 86400e6}
	for _, t := range e.view.Load().tasks { // by channel
		d := &t.counters.devices
		d.mu.Lock()
		keyed := d.typ != nil
		d.mu.Unlock()
		if !keyed {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Channel != t.name {
			for _, s := range steps {
				s.Channel = t.name
				all = append(all, s)
			}
		}
		d.countSkews(all[len(all)-len(steps):], limits)
	}
	return all
}

// countSkews adds a task's devices, some at a time, so that the task goes on between.
func (d *devices) countSkews(to []Skew, limits []int64) {
	for from, more := 0, true; more; from += devicesChunk {
		d.mu.Lock()
		n := 0
		if d.figures != nil { // another plan may have come in between
			n = d.figures.Slots()
		}
		for i := from; i < min(from+devicesChunk, n); i++ {
			v := d.of(uint32(i))
			known, skew := v[plan.FigureRecords] > 0, v[plan.FigureSkew]
			for k, limit := range limits {
				if known && skew > limit {
					to[k].Behind++
				} else if known && skew < -limit {
					to[k].Ahead++
				}
			}
		}
		more = from+devicesChunk < n
		d.mu.Unlock()
	}
}
