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

// DeviceStatus tells of one key of a channel. Counts are since the process started.
type DeviceStatus struct {
	Channel   string    `json:"channel"`
	Partition int       `json:"partition"`
	Device    string    `json:"device"`
	LastSeen  time.Time `json:"last_seen,omitzero"` // when its latest record was received; not since the process started: left out
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

// devices is what is known of the keys of a partition beside their table. The task
// holds mu while it changes that or the table, which is once a block.
type devices struct {
	mu     sync.Mutex
	keys   *state.Table
	clocks *clocks        // nil: event times are not corrected
	typ    arrow.DataType // of the key; nil: there is none
	width  int            // marks of a key: a channel of several sides has several
	slots  []device
	// rejected are the offsets of records, in the rows that come next, of which a value was
	// rejected. Of the task.
	rejected []int64
}

// device is a key's figures.
type device struct {
	last    int64 // us
	records int64
	skew    int64 // us
	step    int64 // us, by which skew moves
	rejects int64
}

// bind takes the table that slots are of.
func (d *devices) bind(keys *state.Table, clocks *clocks, ch *plan.Channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.typ = nil
	if at := ch.Schema.FieldIndices(ch.Config.Key); ch.Config.Key != "" && len(at) > 0 {
		d.typ = ch.Schema.Field(at[0]).Type
	}
	if d.keys == nil || !d.keys.Decl().Same(keys.Decl()) {
		d.slots = nil
	}
	d.clocks = clocks
	d.keys, d.width = keys, max(keys.Decl().Columns[0].Width, 1)
}

// note takes rows. mu is held. The median is tracked by FAME (Feldman and Shavitt, An Economical Mobile Median
// Estimator, 2007): it moves a step towards each value, and the step shrinks where values are close.
func (d *devices) note(rows arrow.RecordBatch) {
	rejected := d.rejected
	d.rejected = d.rejected[:0]
	if d.typ == nil {
		return
	}
	slots, times, received := flow.Slots(rows), flow.Times(rows), flow.Received(rows)
	if n := d.keys.Slots(); len(d.slots) < n {
		d.slots = append(d.slots, make([]device, n-len(d.slots))...)
	}
	for i, slot := range slots {
		v := &d.slots[slot]
		v.last = int64(received[i])
		x := int64(received[i]) - int64(times[i])
		if v.records++; v.records == 1 {
			v.skew, v.step = x, max(x/2, -x/2, 1)
			continue
		}
		far := x - v.skew
		if far > 0 {
			v.skew += v.step
		} else if far < 0 {
			v.skew, far = v.skew-v.step, -far
		}
		if far < v.step {
			v.step = max(v.step/2, 1)
		}
	}
	offsets := flow.Offsets(rows)
	for _, offset := range rejected {
		if i, found := slices.BinarySearch(offsets, offset); found {
			d.slots[slots[i]].rejects++
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
	if slot := flow.Slots(r.Rows)[r.Row]; int(slot) < len(d.slots) && d.typ != nil {
		d.slots[slot].rejects++
	}
}

// rejectSlot counts a row of a key that was rejected. mu is held; d may be nil.
func (d *devices) rejectSlot(slot uint32) {
	if d != nil && d.typ != nil && int(slot) < len(d.slots) {
		d.slots[slot].rejects++
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
	if int(slot) < len(d.slots) {
		v := &d.slots[slot]
		s.Records, s.Rejects, s.Skew = v.records, v.rejects, float64(v.skew)/1e6
		if v.last != 0 {
			s.LastSeen = time.UnixMicro(v.last).UTC()
		}
	}
	return s
}
