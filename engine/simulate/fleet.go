package simulate

import (
	"math"
	"time"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// Fleet is a running simulation. Not safe for concurrent use.
type Fleet struct {
	o        Options
	trailers []trailer // in the order in which they send within an interval
	everyMS  int64
	startMS  int64
	endMS    int64 // no interval begins there or later
	sent     int64

	cycle   int64 // interval since the start
	slot    int   // trailer whose turn it is
	pending int32 // records that it still has to send now
	sender  int   // trailer that sent the last line
	onLink  func(device int, online bool)
	repeat  []byte
	again   bool // repeat comes next

	malformed, outOfRange, duplicated, missing uint64 // thresholds of 32 bits, one above the other
	onlineFor, offlineFor                      int    // steps
	day                                        dayText
}

// New starts a fleet.
func New(o Options) (*Fleet, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	f := &Fleet{
		o: o, trailers: make([]trailer, o.Devices),
		everyMS: o.Every.Milliseconds(), startMS: o.Start.UnixMilli(), endMS: math.MaxInt64,
		offlineFor: int(max(1, o.OfflineFor/o.Every)),
	}
	if o.Duration > 0 {
		f.endMS = f.startMS + o.Duration.Milliseconds()
	}
	f.malformed = threshold(o.Faults.Malformed)
	f.outOfRange = f.malformed + threshold(o.Faults.OutOfRange)
	f.missing = f.outOfRange + threshold(o.Faults.Missing)
	f.duplicated = f.missing + threshold(o.Faults.Duplicated)
	if o.Offline > 0 {
		f.onlineFor = max(1, int(float64(f.offlineFor)*(1-o.Offline)/o.Offline))
	}
	f.populate()
	return f, nil
}

// threshold is a share of 2^32. Multiplying by a power of two is exact.
func threshold(share float64) uint64 { return uint64(share * (1 << 32)) }

func (f *Fleet) populate() {
	r := splitmix.Source(f.o.Seed ^ 0x636f6c646861756c)
	for i := range f.trailers {
		f.trailers[i].number = uint32(i + 1)
	}
	for i := len(f.trailers) - 1; i > 0; i-- { // Fisher and Yates
		j := below(&r, i+1)
		f.trailers[i].number, f.trailers[j].number = f.trailers[j].number, f.trailers[i].number
	}
	failing, moving, skewed := threshold(f.o.Faults.Failing), threshold(f.o.Faults.DoorMoving), threshold(f.o.Skewed)
	for i := range f.trailers {
		t := &f.trailers[i]
		if r.Next()>>32 < failing {
			t.flags |= flagFailing
		}
		if r.Next()>>32 < moving {
			t.flags |= flagDoorMoving
		}
		if by := int(f.o.SkewBy.Milliseconds()); r.Next()>>32 < skewed && by > 0 {
			t.skewMS = int32(below(&r, 2*by+1) - by)
		}
		t.start(&r, int32(f.startMS/60000%1440))
		t.linkLeft = math.MaxInt32
		if f.onlineFor > 0 {
			t.linkLeft = int32(1 + below(&r, 2*f.onlineFor))
		}
	}
}

// Next appends the next line, with its line end, to dst, and tells when it
// arrives, in microseconds since 1970. Lines come in order of arrival. ok is
// false, and dst unchanged, when the fleet has come to its end.
func (f *Fleet) Next(dst []byte) (line []byte, arrivalUS int64, ok bool) {
	if f.o.Records > 0 && f.sent >= f.o.Records {
		return dst, 0, false
	}
	if f.again {
		f.again = false
		f.sent++
		return append(dst, f.repeat...), f.arrival() * 1000, true
	}
	for f.pending == 0 {
		if f.arrival() >= f.endMS {
			return dst, 0, false
		}
		f.trailers[f.slot].link(f)
		if f.pending == 0 {
			f.advance()
		}
	}
	arrival := f.arrival()
	start := len(dst)
	t := &f.trailers[f.slot]
	f.sender = f.slot
	f.pending--
	bits := t.rng.Next()
	measured := arrival - int64(f.pending)*f.everyMS - int64(t.lateMS)
	t.step(bits, int32(measured/60000%1440))
	dst = f.faulty(f.appendLine(dst, t, measured+int64(t.skewMS)), start, t)
	f.sent++
	if f.pending == 0 && !f.again {
		f.advance()
	}
	return dst, arrival * 1000, true
}

// Sender is the trailer that the line of the latest Next is from: its number,
// from 1 to Options.Devices, and its site. Also a line that has broken off has one.
func (f *Fleet) Sender() (device int, site string) {
	t := &f.trailers[f.sender]
	return int(t.number), sites[t.site].name
}

// Turn is which trailer the line of the latest Next is from, by the order in which they send: the first is 0.
func (f *Fleet) Turn() int { return f.sender }

// OnLink has told called whenever a trailer loses its connection or has it back, from
// within Next, before the lines that follow from it.
func (f *Fleet) OnLink(told func(device int, online bool)) { f.onLink = told }

// DeviceName is what a trailer calls itself.
func DeviceName(device int) string { return string(appendName(nil, uint64(device))) }

// arrival is when the trailer whose turn it is sends, ms since 1970.
func (f *Fleet) arrival() int64 {
	return f.startMS + f.cycle*f.everyMS + int64(f.slot)*f.everyMS/int64(len(f.trailers))
}

func (f *Fleet) advance() {
	if f.slot++; f.slot == len(f.trailers) {
		f.slot = 0
		f.cycle++
	}
}

// link decides how many records the trailer sends now: none without a
// connection, and all that it has missed once it is back.
func (t *trailer) link(f *Fleet) {
	if t.linkLeft--; t.linkLeft <= 0 && f.onlineFor > 0 {
		t.offline = !t.offline
		if f.onLink != nil {
			f.onLink(int(t.number), !t.offline)
		}
		steps := f.onlineFor
		if t.offline {
			steps = f.offlineFor
		}
		t.linkLeft = int32(max(1, steps/2+below(&t.rng, steps+1)))
	}
	if t.offline {
		t.missed++
		return
	}
	f.pending, t.missed = 1+t.missed, 0
}

// faulty spoils a line that begins at start, now and then.
func (f *Fleet) faulty(dst []byte, start int, t *trailer) []byte {
	if f.duplicated == 0 {
		return dst
	}
	chance := t.rng.Next()
	switch low := chance >> 32; {
	case low < f.malformed:
		n := len(dst) - start
		return append(dst[:start+1+int(chance&0xffff)%(n-2)], '\n')
	case low < f.outOfRange:
		value := "999.99"
		if chance&1 == 0 {
			value = "-273.15"
		}
		return replace(dst, start, `"temp":`, value)
	case low < f.missing:
		return replace(dst, start, `"temp":`, "")
	case low < f.duplicated:
		f.repeat, f.again = append(f.repeat[:0], dst[start:]...), true
	}
	return dst
}

// dayText is the text of the day that was written last.
type dayText struct {
	day  int64 // since 1970
	text [10]byte
}

func (d *dayText) of(day int64) []byte {
	if d.day != day || d.text[0] == 0 {
		time.Unix(day*86400, 0).UTC().AppendFormat(d.text[:0], time.DateOnly)
		d.day = day
	}
	return d.text[:]
}
