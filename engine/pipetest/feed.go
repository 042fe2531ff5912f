package pipetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/simulate"
	"github.com/tidemill/tidemill/engine/stage"
)

// arriving is a record on its way in.
type arriving struct {
	at      int64 // us since 1970
	topic   string
	payload []byte // good until the next call
	// from gives members of the payload as text, where these are known without reading it; or nil.
	from   *trailers
	sender int    // from 1: equal ones have the same topic while site is the same; 0: not known
	site   string // of the sender
}

// supply gives records in order of arrival; ok is false at its end.
type supply interface {
	next(r *arriving) (ok bool)
}

// listed is records that are all there.
type listed struct{ list []arriving }

func (l *listed) next(r *arriving) (ok bool) {
	if len(l.list) == 0 {
		return false
	}
	*r, l.list = l.list[0], l.list[1:]
	return true
}

// supply makes records of the rows in the file. A record arrives at its `at`; without
// one, with the row before it.
func (r *rowsBlock) supply(start time.Time) (supply, hcl.Diagnostics) {
	l := &listed{}
	now := start.UnixMicro()
	for _, line := range r.lines {
		l.list = append(l.list, arriving{at: now, topic: r.Topic, payload: []byte(line)})
	}
	if r.table == nil {
		return l, nil
	}
	var diags hcl.Diagnostics
	// A table of at, topic and payload holds records as they came.
	whole := !slices.ContainsFunc(r.table.columns, func(c string) bool { return c != "at" && c != "topic" && c != "payload" }) && slices.Contains(r.table.columns, "payload")
	for i, cells := range r.table.rows {
		rec := arriving{at: now, topic: r.Topic}
		tree := &object{}
		for k, name := range r.table.columns {
			cell := cells[k]
			if name == "at" || name == "topic" {
				d, ok := offset(cell)
				switch {
				case name == "topic" && cell != "-":
					rec.topic = strings.Trim(cell, `"`)
				case name == "topic":
				case !ok:
					diags = append(diags, config.Errorf(r.table.line(r.table.lines[i]), "Not a time", "at takes the time since the start, such as 5m; this is %q.", cell)...)
				default:
					rec.at = start.Add(d).UnixMicro()
				}
				continue
			}
			if name == "payload" && whole {
				payload, err := payloadOf(cell)
				if err != nil {
					diags = append(diags, config.Errorf(r.table.line(r.table.lines[i]), "Not a payload", "%v", err)...)
				}
				rec.payload = payload
				continue
			}
			value, err := member(cell, start)
			if err != nil {
				diags = append(diags, config.Errorf(r.table.line(r.table.lines[i]), "Not a value", "%s: %v", name, err)...)
			}
			tree.set(strings.Split(name, "."), value)
		}
		if now = rec.at; !whole {
			rec.payload = tree.append(nil)
		}
		l.list = append(l.list, rec)
	}
	slices.SortStableFunc(l.list, func(a, b arriving) int { return cmp.Compare(a.at, b.at) })
	return l, diags
}

// object is a JSON object that is being put together, members in order.
type object struct {
	names  []string
	values []string
	inner  []*object
}

func (o *object) set(path []string, value string) {
	at := slices.Index(o.names, path[0])
	if at < 0 {
		at = len(o.names)
		o.names, o.values, o.inner = append(o.names, path[0]), append(o.values, ""), append(o.inner, nil)
	}
	if len(path) == 1 {
		o.values[at] = value
		return
	}
	if o.inner[at] == nil {
		o.inner[at] = &object{}
	}
	o.inner[at].set(path[1:], value)
}

func (o *object) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, name := range o.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, "%q:", name)
		if o.inner[i] != nil {
			dst = o.inner[i].append(dst)
		} else {
			dst = append(dst, o.values[i]...)
		}
	}
	return append(dst, '}')
}

// trailers is the simulated fleet.
type trailers struct {
	fleet *simulate.Fleet
	line  []byte
}

func (f *fleetBlock) supply(start time.Time) (supply, error) {
	fleet, err := simulate.New(simulate.Options{
		Devices: f.Devices, Every: f.Every.Length(), Start: start, Duration: f.For.Length(), Seed: f.Seed,
		Offline: f.Offline, OfflineFor: f.OfflineFor.Length(), Skewed: f.Skewed, SkewBy: f.SkewBy.Length(),
		Faults: simulate.Faults{Malformed: f.Malformed, OutOfRange: f.OutOfRange, Duplicated: f.Duplicated,
			Missing: f.Missing, Failing: f.Failing, DoorMoving: f.DoorMoving},
	})
	return &trailers{fleet: fleet}, err
}

func (t *trailers) next(r *arriving) (ok bool) {
	r.from = t
	t.line, r.at, ok = t.fleet.Next(t.line[:0])
	r.payload, r.topic = bytes.TrimSuffix(t.line, []byte("\n")), ""
	r.sender, r.site = t.fleet.Sender()
	r.sender++
	return ok
}

// member tells of the trailer that sent the latest line.
func (t *trailers) member(name string) string {
	device, site := t.fleet.Sender()
	switch name {
	case "device":
		return simulate.DeviceName(device)
	case "site":
		return site
	}
	return ""
}

// feed is all supplies of a channel, as a source.
type feed struct {
	supplies []supply
	heads    []arriving
	live     []bool
	until    int64 // us since 1970: not at its end before
	seq      uint64
	due      parcel // what a Step appends
	ahead    [mostAhead]parcel
	made     int  // parcels of ahead, which come after what is due
	empty    bool // nothing is due, and nothing comes after it
	to       stage.SourceEnv
	now      func() time.Time
	reached  []uint64
	skip     uint64
	topics   *topics // nil: records have none of their own
}

// parcel is records that are appended together, with their payloads in memory that they share.
type parcel struct {
	journal.Batch
	text []byte
}

// feedName is what the journal knows the test's records by.
const feedName = "pipetest"

// A Step appends so many records, or bytes: a little more than what is written at once.
const (
	mostFed      = 8192
	mostFedBytes = 1<<20 + 1<<16
)

// mostAhead is how many parcels are made before they are due: what arrives in a minute from a large fleet, made
// whenever a processor has nothing else to do.
const mostAhead = 4

func newFeed(supplies []supply, until time.Time) *feed {
	f := &feed{supplies: supplies, heads: make([]arriving, len(supplies)), live: make([]bool, len(supplies)), until: until.UnixMicro()}
	for i := range supplies {
		f.live[i] = supplies[i].next(&f.heads[i])
	}
	return f
}

// open begins a life of the engine: what the journal holds is passed over.
func (f *feed) open(op stage.Opening, to stage.SourceEnv) (stage.Source, error) {
	f.to, f.now = to, op.Env.Clock.Now
	at := to.Journal.Position(feedName)
	f.skip, f.reached = at.Committed, at.Reached
	return f, nil
}

// head returns which supply has the next record, and when it arrives.
func (f *feed) head() (which int, at int64) {
	which = -1
	for i := range f.heads {
		if f.live[i] && (which < 0 || f.heads[i].at < at) {
			which, at = i, f.heads[i].at
		}
	}
	return which, at
}

// more tells whether records are still to come, or time is to pass.
func (f *feed) more() bool {
	which, _ := f.head()
	return len(f.due.Records) > 0 || f.made > 0 || which >= 0 || f.now == nil || f.now().UnixMicro() < f.until
}

// turn begins a round: what was made ahead is due, or what has arrived by now.
func (f *feed) turn(now time.Time) {
	if f.now == nil {
		return
	}
	if len(f.due.Records) == 0 && f.made > 0 {
		used := f.due
		f.due = f.ahead[0]
		f.made--
		copy(f.ahead[:], f.ahead[1:f.made+1])
		f.ahead[f.made] = used
	}
	if len(f.due.Records) == 0 {
		f.fill(&f.due, now.UnixMicro())
	}
	which, _ := f.head()
	f.empty = which < 0 && len(f.due.Records) == 0 && f.made == 0
}

// Step appends what is due, once all of it has arrived. It may run beside prepare.
func (f *feed) Step() (stage.Status, error) {
	now := f.now().UnixMicro()
	n := len(f.due.Records)
	if n == 0 && f.empty && now >= f.until {
		return stage.Ended, nil
	}
	if n == 0 || f.due.Records[n-1].Received > now {
		return stage.Idle, nil
	}
	err := f.to.Journal.Append(f.due.Batch)
	var full *journal.ErrFull
	if errors.Is(err, journal.ErrBusy) || errors.As(err, &full) {
		return stage.Idle, nil
	}
	f.due.Records = f.due.Records[:0]
	return stage.Busy, err
}

// wants tells whether there is something to prepare.
func (f *feed) wants(next time.Time) bool {
	which, at := f.head()
	return f.now != nil && f.made < mostAhead && which >= 0 && at <= next.UnixMicro()
}

// prepare makes one parcel ahead: of what has arrived by now, or else of what
// arrives until next, so that nothing of this tick waits for records of the one that follows. It touches nothing of the engine.
func (f *feed) prepare(now, next time.Time) {
	if !f.wants(next) {
		return
	}
	until := now.UnixMicro()
	if _, at := f.head(); at > until {
		until = next.UnixMicro()
	}
	f.fill(&f.ahead[f.made], until)
	if len(f.ahead[f.made].Records) > 0 {
		f.made++
	}
}

// fill takes what arrives until then. The text of a parcel does not move while it grows: what
// does not fit any more is of the next one.
func (f *feed) fill(p *parcel, until int64) {
	records := p.Records[:0]
	p.text = p.text[:0]
	for len(records) < mostFed && len(p.text) < mostFedBytes {
		which, at := f.head()
		if which < 0 || at > until {
			break
		}
		r := &f.heads[which]
		if room := cap(p.text) - len(p.text); room < len(r.payload) {
			if len(p.text) > 0 {
				break
			}
			p.text = make([]byte, 0, mostFedBytes+len(r.payload))
		}
		f.seq++
		if f.seq > f.skip {
			to := f.place(r)
			if f.seq > f.reached[to] {
				start := len(p.text)
				p.text = append(p.text, r.payload...)
				records = append(records, journal.Record{Partition: to, Topic: r.topic, Payload: p.text[start:len(p.text):len(p.text)], Received: at, Pos: f.seq})
			}
		}
		f.live[which] = f.supplies[which].next(r)
	}
	p.Batch = journal.Batch{Records: records, Source: feedName, Pos: f.seq}
}

// place gives a record its topic, where it has none, and tells its partition.
func (f *feed) place(r *arriving) int {
	keyed := -1
	if r.topic == "" && f.topics != nil {
		r.topic, keyed = f.topics.of(r)
	} else if f.topics != nil {
		keyed = f.topics.partition(r.topic)
	}
	if keyed < 0 {
		keyed = f.to.Partition(r.payload)
	}
	return keyed
}

// Close does nothing: the feed goes on in the next life.
func (f *feed) Close() error { return nil }

var _ stage.Source = (*feed)(nil)

// ended is a source that has nothing: an ingest that a test does not use.
type ended struct{}

func (ended) Step() (stage.Status, error) { return stage.Ended, nil }
func (ended) Close() error                { return nil }
