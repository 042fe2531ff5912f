package simulate

import "github.com/tidemill/tidemill/engine/splitmix"

// Steps here are the intervals between two records. Temperatures are in
// hundredths of a degree, positions in hundred-thousandths.
const (
	driveLeast, driveMore = 120, 256 // steps of a drive
	stopLeast, stopMore   = 16, 32   // steps of a stop
	doorLeast, doorMore   = 8, 16    // steps of an open door in it
	leakShift             = 8        // 1/256 of the difference to ambient comes through the walls in a step
	doorShift             = 6        // 1/64 through an open door
	pullDown              = 25       // what the compressor takes away in a step
	band                  = 60       // it starts this far above the setpoint and stops this far below
)

// A site is where trailers of a haulier start and stay about.
type site struct {
	name     string
	lat, lon int32 // 1e-5 degrees
}

// sites is read only.
var sites = [...]site{
	{"rotterdam", 5192442, 447775}, {"hamburg", 5355108, 999368}, {"antwerp", 5121989, 440346}, {"lyon", 4576404, 483566},
	{"munich", 4813743, 1157549}, {"milan", 4546427, 918951}, {"warsaw", 5222977, 2101178}, {"gothenburg", 5770887, 1197456},
	{"barcelona", 4138506, 217340}, {"prague", 5007554, 1443780}, {"vienna", 4820849, 1637208}, {"toulouse", 4360465, 144421},
}

// trailer is one device. It is small because a fleet is large.
type trailer struct {
	rng      splitmix.Source
	number   uint32
	seq      uint32
	site     uint8
	flags    uint8
	driving  bool
	door     bool
	cooling  bool
	cruise   int16 // 0.1 km/h
	speed    int16 // 0.1 km/h
	lat, lon int32
	east     int16 // movement in a step at full speed, 1e-5 degrees
	north    int16
	temp     int32 // 0.01 degrees
	setpoint int16 // 0.1 degrees
	climate  int16 // 0.1 degrees: what the ambient is here on average
	fuel     int16 // 0.01 per cent
	battery  int16 // 0.01 V
	left     int16 // steps until it stops or drives on
	doorLeft int16 // steps until the door closes
	failIn   int16 // steps until the compressor fails; below 0: steps since, negated
	failFor  int16
	lateMS   int32 // between measuring and sending
	skewMS   int32
	linkLeft int32 // steps until the connection is lost, or is back
	missed   int32 // steps of which nothing has been sent
	offline  bool
}

const (
	flagFailing    = 1 << iota // its compressor fails now and then
	flagDoorMoving             // it drives with an open door now and then
)

// below draws a number below n, which is at most 2^32.
func below(r *splitmix.Source, n int) int { return int(r.Next() >> 32 * uint64(n) >> 32) }

// start puts a new trailer on the road, in the middle of its life.
func (t *trailer) start(r *splitmix.Source, clock int32) {
	t.rng = splitmix.Source(r.Next())
	t.site = uint8(below(r, len(sites)))
	t.lat = sites[t.site].lat + int32(below(r, 20000)-10000)
	t.lon = sites[t.site].lon + int32(below(r, 30000)-15000)
	t.setpoint = []int16{-180, -180, -200, 20, 40}[below(r, 5)]
	t.climate = int16(80 + below(r, 90))
	t.temp = int32(t.setpoint)*10 + int32(below(r, 2*band)-band)
	t.cruise = int16(720 + below(r, 160))
	t.fuel = int16(3000 + below(r, 6500))
	t.battery = 1260
	t.seq = uint32(100000 + below(r, 100000))
	t.lateMS = int32(50 + below(r, 1950))
	t.failIn = int16(1 + below(r, 2000))
	t.driving = true
	t.turn(r.Next())
	t.left = int16(1 + below(r, int(t.left)))
	for range 256 + below(r, 256) {
		t.step(t.rng.Next(), clock)
	}
}

// turn chooses where to drive.
func (t *trailer) turn(bits uint64) {
	home := sites[t.site]
	t.east = int16(bits&1023) - 512
	t.north = int16(bits>>10&511) - 256
	// The further away, the rather back home.
	if t.lon > home.lon == (t.east > 0) && (t.lon-home.lon > 100000 || home.lon-t.lon > 100000) {
		t.east = -t.east
	}
	if t.lat > home.lat == (t.north > 0) && (t.lat-home.lat > 60000 || home.lat-t.lat > 60000) {
		t.north = -t.north
	}
	t.left = int16(driveLeast + bits>>20%driveMore)
}

// step lives one interval. clock is the minute of the day.
func (t *trailer) step(bits uint64, clock int32) {
	t.seq++
	t.left--
	if t.left <= 0 {
		t.change(bits)
	}
	if t.driving {
		t.drive(bits)
	} else {
		t.speed = 0
		t.battery = 1235 + int16(bits>>8&15)
	}
	if t.doorLeft > 0 {
		t.doorLeft--
		t.door = t.doorLeft > 0
	}
	t.warm(clock, int32(bits>>24&7)-3)
}

// change goes from driving to a stop, or back.
func (t *trailer) change(bits uint64) {
	t.driving = !t.driving
	if t.driving {
		t.turn(bits)
		t.doorLeft, t.door = 0, false
		return
	}
	t.left = int16(stopLeast + bits>>4%stopMore)
	t.doorLeft = int16(doorLeast + bits>>12%doorMore)
	t.door = true
	if t.fuel < 2500 {
		t.fuel = 9000 + int16(bits>>20&511)
	}
}

func (t *trailer) drive(bits uint64) {
	t.speed = t.cruise + int16(bits&127) - 64
	t.lat += int32(t.north) * int32(t.speed) >> 10
	t.lon += int32(t.east) * int32(t.speed) >> 10
	t.battery = 1340 + int16(bits>>8&31)
	if bits>>16&3 == 0 && t.fuel > 500 {
		t.fuel--
	}
	if t.flags&flagDoorMoving != 0 && t.doorLeft == 0 && bits>>40&511 == 0 {
		t.doorLeft, t.door = int16(4+bits>>50&15), true
	}
}

// ambient is the air outside, 0.1 degrees: a triangle over the day, coldest at
// three in the night.
func (t *trailer) ambient(clock int32) int16 {
	far := clock - 180
	if far < 0 {
		far += 1440
	}
	if far > 720 {
		far = 1440 - far
	}
	return t.climate + int16(far/20) - 18
}

// warm moves the cargo's temperature.
func (t *trailer) warm(clock, noise int32) {
	set := int32(t.setpoint) * 10
	shift := leakShift
	if t.door {
		shift = doorShift
	}
	t.temp += (int32(t.ambient(clock))*10 - t.temp) >> shift
	works := true
	if t.flags&flagFailing != 0 {
		works = t.failing()
	}
	switch {
	case !works || t.door:
		t.cooling = false // the unit is switched off while the door is open
	case t.temp > set+band:
		t.cooling = true
	case t.temp < set-band:
		t.cooling = false
	}
	if t.cooling {
		t.temp -= pullDown
	}
	t.temp += noise
}

// failing counts on to the compressor's next failure, or through it; it
// reports whether the compressor works.
func (t *trailer) failing() bool {
	t.failIn--
	if t.failIn > 0 {
		return true
	}
	if t.failIn == 0 {
		t.failFor = int16(60 + t.rng>>40&127)
	}
	if -t.failIn >= t.failFor {
		t.failIn = int16(500 + t.rng>>20&2047)
	}
	return false
}
