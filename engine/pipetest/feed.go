package pipetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	_, r.site = t.fleet.Sender()
	r.sender = t.fleet.Turn() + 1 // so that what is known of senders is read from front to back
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

// feed is all supplies of a channel, as a source. Records are made ahead of when they are due, by whoever has nothing else to do.
type feed struct {
	until   int64  // us since 1970: not at its end before
	due     parcel // what a Step appends
	to      stage.SourceEnv
	now     func() time.Time
	reached []uint64
	skip    uint64
	topics  *topics // nil: records have none of their own

	mu     sync.Mutex // not held while records are made, which is what making tells
	making bool       // whoever does has supplies and what follows
	ahead  []parcel   // what comes after what is due
	spare  []parcel

	part     parcel // comes after ahead, and is not full yet
	supplies []supply
	heads    []arriving
	live     []bool
	seq      uint64
}

// parcel is records that are appended together, with their payloads in memory that they share.
type parcel struct {
	journal.Batch
	text  []byte
	until int64 // when it is due, us since 1970
	full  bool
}

// feedName is what the journal knows the test's records by.
const feedName = "pipetest"

// A Step appends so many records, or bytes: a little more than what is written at once.
const (
	mostFed      = 8192
	mostFedBytes = 1<<20 + 1<<16
)

// mostAhead is how many parcels are made before they are due: with more, a parcel would have left the processor's caches by then.
const mostAhead = 6

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
	return len(f.due.Records) > 0 || !f.empty() || f.now == nil || f.now().UnixMicro() < f.until
}

// worthwhile is for how many records it pays to have several at work.
const worthwhile = 256

// much tells whether so much is due that it pays to have several at work. Nobody else is, for now.
func (f *feed) much(now time.Time) bool {
	if f.now == nil {
		return false
	}
	if len(f.due.Records) == 0 {
		f.next(now.UnixMicro())
	}
	n := len(f.due.Records)
	return n >= worthwhile && f.due.Records[n-1].Received <= now.UnixMicro()
}

// Step appends what is due, once all of it has arrived. It may run beside prepare.
func (f *feed) Step() (stage.Status, error) {
	now := f.now().UnixMicro()
	if len(f.due.Records) == 0 && !f.next(now) && now >= f.until && f.empty() {
		return stage.Ended, nil
	}
	if n := len(f.due.Records); n == 0 || f.due.Records[n-1].Received > now {
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

// next makes the next parcel the one that is due: one that was made ahead, or else what has arrived by now; false: there is
// none, or it is being made.
func (f *feed) next(now int64) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	used := f.due
	switch {
	case len(f.ahead) > 0:
		f.due = f.ahead[0]
		f.ahead = slices.Delete(f.ahead, 0, 1)
		f.spare = append(f.spare, used)
	case f.making || len(f.part.Records) > 0 && f.part.until > now:
		return false
	default:
		f.part.until = now
		f.fill(&f.part, mostFed)
		f.due, f.part = f.part, used.again()
	}
	return len(f.due.Records) > 0
}

// again is a parcel in the memory of one that is not used any more.
func (p *parcel) again() parcel {
	return parcel{Batch: journal.Batch{Records: p.Records[:0]}, text: p.text[:0]}
}

// empty tells whether nothing comes any more after what is due.
func (f *feed) empty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.making || len(f.ahead) > 0 || len(f.part.Records) > 0 {
		return false
	}
	which, _ := f.head()
	return which < 0
}

// atOnce is how many records are made ahead at a time: whoever waits for it to be done waits some 50 us.
const atOnce = 256

// prepare makes some records of a parcel ahead, and tells whether it did. All of a parcel is due at the same time, which instant
// tells: nothing waits for records of a later one. It touches nothing of the engine.
func (f *feed) prepare(instant func(at int64) (us int64, ok bool)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.making || f.now == nil || len(f.ahead) >= mostAhead {
		return false
	}
	p := &f.part
	if len(p.Records) == 0 {
		which, at := f.head()
		until, ok := instant(at)
		if which < 0 || !ok {
			return false
		}
		if n := len(f.spare); n > 0 && cap(p.Records) == 0 {
			*p, f.spare = f.spare[n-1].again(), f.spare[:n-1]
		}
		p.until = until
	}
	f.making = true
	f.mu.Unlock()
	f.fill(p, len(p.Records)+atOnce)
	f.mu.Lock()
	f.making = false
	if p.full && len(p.Records) > 0 {
		f.ahead = append(f.ahead, *p)
		f.part = parcel{}
	}
	return true
}

// fill adds to a parcel what arrives until it is due, up to so many records. The text of a parcel does not move while it grows: what
// does not fit any more is of the next one.
func (f *feed) fill(p *parcel, most int) {
	most = min(most, mostFed)
	p.full = false
	for len(p.Records) < most {
		which, at := f.head()
		if which < 0 || at > p.until || len(p.text) >= mostFedBytes {
			p.full = true
			break
		}
		r := &f.heads[which]
		if room := cap(p.text) - len(p.text); room < len(r.payload) {
			if len(p.text) > 0 {
				p.full = true
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
				p.Records = append(p.Records, journal.Record{Partition: to, Topic: r.topic, Payload: p.text[start:len(p.text):len(p.text)], Received: at, Pos: f.seq})
			}
		}
		f.live[which] = f.supplies[which].next(r)
	}
	p.full = p.full || len(p.Records) >= mostFed
	p.Source, p.Pos = feedName, f.seq
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
