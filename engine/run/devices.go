package run

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// DeviceStatus tells of one key of a channel. All of it is in the task's tables, and so in checkpoints: after a restart it is
// what it was there, and records that are read again count once.
type DeviceStatus struct {
	Channel   string    `json:"channel"`
	Partition int       `json:"partition"`
	Device    string    `json:"device"`
	LastSeen  time.Time `json:"last_seen,omitzero"` // when its latest record was received; left out of a key that has not been heard since there are figures
	Watermark time.Time `json:"watermark,omitzero"` // its latest event time
	Records   int64     `json:"records"`            // rows, where records are exploded
	// Rejects are values and rows of the device that were rejected. What is no record at all belongs to nobody.
	Rejects int64 `json:"rejects"`
	// Skew is how far its clock is behind, or its records are late: about the median of
	// receive time less event time as it was sent, s. Less than 0: its clock is ahead.
	Skew float64 `json:"skew_seconds"`
	// Corrected is what event times are corrected by at present, s; a channel's clock block asks for that.
	Corrected float64 `json:"corrected_seconds,omitempty"`
}

// DevicePage is some devices, in an order that stays. Next, where there are more, is the After of the next page.
type DevicePage struct {
	Devices []DeviceStatus `json:"devices"`
	Next    string         `json:"next,omitempty"`
}

// DeviceQuery chooses devices.
type DeviceQuery struct {
	Channel string // "" for all
	Prefix  string // of the device
	After   string // DevicePage.Next of the page before
	Limit   int
}

// MaxDevices is the largest DeviceQuery.Limit.
const MaxDevices = 10_000

// devices shows onlookers what is known of the keys of a partition. The task
// holds mu while it changes those tables, which is once a block.
//
// Figures are written where they are kept: to copy them into a table at a barrier would take their memory twice, and a task
// that stands still meanwhile, and which keys were heard since the barrier before would have to be noted row by row as well.
type devices struct {
	mu   sync.Mutex
	keys *state.Table
	// figures have the slots of keys, as far as rows came (plan.FiguresDecl); nil: there is no key, or nobody looks.
	figures *state.Table
	clocks  *clocks        // nil: event times are not corrected
	typ     arrow.DataType // of the key; nil: there is none
	width   int            // marks of a key: a channel of several sides has several
	// rejected are the offsets of records, in the rows that come next, of which a value was
	// rejected. Of the task.
	rejected []int64
}

// bind takes the table that slots are of, and that of their figures.
func (d *devices) bind(keys, figures *state.Table, clocks *clocks, ch *plan.Channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.typ = nil
	if at := ch.Schema.FieldIndices(ch.Config.Key); ch.Config.Key != "" && len(at) > 0 {
		d.typ = ch.Schema.Field(at[0]).Type
	}
	if figures != nil && figures.Slots() > keys.Slots() {
		panic("BUG: there are figures of keys that there are not")
	}
	d.clocks, d.figures = clocks, figures
	d.keys, d.width = keys, max(keys.Decl().Columns[0].Width, 1)
}

// of are the figures of a slot; nil where there are none yet.
func (d *devices) of(slot uint32) []int64 {
	if d.figures == nil || int(slot) >= d.figures.Slots() {
		return nil
	}
	return d.figures.I64(0)[int(slot)*plan.Figures:][:plan.Figures]
}

// note takes rows. mu is held. The median is tracked by FAME (Feldman and Shavitt, An Economical Mobile Median
// Estimator, 2007): it moves a step towards each value, and the step shrinks where values are close.
//
// A key's figures may be anywhere in memory. The less else is done for a row, the more of the next ones a processor asks
// for meanwhile: so touching is a loop of its own.
func (d *devices) note(rows arrow.RecordBatch) {
	rejected := d.rejected
	d.rejected = d.rejected[:0]
	if d.figures == nil {
		return
	}
	for d.figures.Slots() < d.keys.Slots() {
		if _, err := d.figures.Anonymous(); err != nil {
			panic("BUG: there is no room for the figures of a key: " + err.Error())
		}
	}
	slots, times, received := flow.Slots(rows), flow.Times(rows), flow.Received(rows)
	d.figures.TouchEach(slots)
	all := d.figures.I64(0)
	for i, slot := range slots {
		v := (*[plan.Figures]int64)(all[int(slot)*plan.Figures:])
		v[plan.FigureLast] = int64(received[i])
		x := int64(received[i]) - int64(times[i])
		if v[plan.FigureRecords]++; v[plan.FigureRecords] == 1 {
			v[plan.FigureSkew], v[plan.FigureStep] = x, max(x/2, -x/2, 1)
			continue
		}
		step := v[plan.FigureStep]
		far := x - v[plan.FigureSkew]
		if far > 0 {
			v[plan.FigureSkew] += step
		} else if far < 0 {
			v[plan.FigureSkew], far = v[plan.FigureSkew]-step, -far
		}
		if far < step {
			v[plan.FigureStep] = max(step/2, 1)
		}
	}
	offsets := flow.Offsets(rows)
	for _, offset := range rejected {
		if i, found := slices.BinarySearch(offsets, offset); found {
			d.rejectSlot(slots[i])
		}
	}
}

// reject counts a row that a stage has rejected.
func (d *devices) reject(r *stage.Reject) {
	if r.Rows == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rejectSlot(flow.Slots(r.Rows)[r.Row])
}

// rejectSlot counts a row of a key that was rejected. mu is held; d may be nil.
func (d *devices) rejectSlot(slot uint32) {
	if d == nil {
		return
	}
	if v := d.of(slot); v != nil {
		v[plan.FigureRejects]++
		d.figures.Touch(slot)
	}
}

// ErrDevices refuses a DeviceQuery; the text is for its author.
var ErrDevices = errors.New("")

// devicesChunk is how many slots are looked at before a task may go on.
const devicesChunk = 2_048

// Devices lists devices. It may be called at any time, from any goroutine.
func (e *Engine) Devices(q DeviceQuery) (DevicePage, error) {
	page := DevicePage{Devices: []DeviceStatus{}}
	if q.Limit < 1 || q.Limit > MaxDevices {
		return page, fmt.Errorf("limit goes from 1 to %d%w", MaxDevices, ErrDevices)
	}
	channel, part, slot, err := q.after()
	if err != nil {
		return page, err
	}
	v, found := e.view.Load(), q.Channel == ""
	for _, t := range v.tasks { // by channel, then partition
		found = found || t.name == q.Channel
		if (q.Channel == "" || t.name == q.Channel) && (t.name > channel || t.name == channel && t.part >= part) {
			from := uint32(0)
			if t.name == channel && t.part == part {
				from = slot
			}
			if page.take(t, from, &q) {
				return page, nil
			}
		}
	}
	if !found {
		return page, fmt.Errorf("there is no channel %q that a pipeline reads%w", q.Channel, ErrDevices)
	}
	return page, nil
}

// after reads the place where the page begins.
func (q *DeviceQuery) after() (channel string, part int, slot uint32, err error) {
	if q.After == "" {
		return "", 0, 0, nil
	}
	parts := strings.Split(q.After, "/")
	if len(parts) == 3 {
		n, err1 := strconv.Atoi(parts[1])
		s, err2 := strconv.ParseUint(parts[2], 10, 32)
		if err1 == nil && err2 == nil {
			return parts[0], n, uint32(s), nil
		}
	}
	return "", 0, 0, fmt.Errorf("after takes the next of the page before, such as c/0/1000; this is %.100q%w", q.After, ErrDevices)
}

// take adds a task's devices from a slot on; full: the page has no room for more.
func (p *DevicePage) take(t *task, from uint32, q *DeviceQuery) (full bool) {
	d := &t.counters.devices
	for {
		d.mu.Lock()
		if d.typ == nil || int(from) >= d.keys.Slots() {
			d.mu.Unlock()
			return false
		}
		for end := min(from+devicesChunk, uint32(d.keys.Slots())); from < end; from++ {
			name, ok := deviceName(d.keys, from, d.typ)
			if !ok || !strings.HasPrefix(name, q.Prefix) {
				continue
			}
			if len(p.Devices) == q.Limit {
				d.mu.Unlock()
				p.Next = fmt.Sprintf("%s/%d/%d", t.name, t.part, from)
				return true
			}
			p.Devices = append(p.Devices, d.status(t, from, name))
		}
		d.mu.Unlock()
	}
}

// deviceName is the key of a slot as a text; false where there is none.
func deviceName(keys *state.Table, slot uint32, typ arrow.DataType) (string, bool) {
	if !keys.Live(slot) {
		return "", false
	}
	key := keys.Key(slot)
	if key == nil || typ.ID() == arrow.STRING {
		return string(key), key != nil
	}
	cols, err := flow.KeyColumns([][]byte{key}, []arrow.DataType{typ}, func(t arrow.DataType) array.Builder { return array.NewBuilder(memory.DefaultAllocator, t) })
	if err != nil {
		panic("BUG: a table holds a key that is none: " + err.Error())
	}
	defer cols[0].Release()
	return cols[0].ValueStr(0), true
}

func (d *devices) status(t *task, slot uint32, name string) DeviceStatus {
	s := DeviceStatus{Channel: t.name, Partition: t.part, Device: name}
	if mark := slices.Max(d.keys.I64(0)[int(slot)*d.width:][:d.width]); mark != 0 {
		s.Watermark = time.UnixMicro(mark).UTC()
	}
	s.Corrected = float64(d.clocks.shift(d.keys, slot)) / 1e6
	if v := d.of(slot); v != nil {
		s.Records, s.Rejects, s.Skew = v[plan.FigureRecords], v[plan.FigureRejects], float64(v[plan.FigureSkew])/1e6
		if last := v[plan.FigureLast]; last != 0 {
			s.LastSeen = time.UnixMicro(last).UTC()
		}
	}
	return s
}
