package simulate

import (
	"fmt"
	"time"
)

// Options describe a fleet. Zero values take the defaults.
type Options struct {
	Devices int           // default 100; at most 10,000,000
	Every   time.Duration // between two records of a device; default 30s
	Start   time.Time     // of the first records; default 2025-11-22 10:00 UTC, in the past, as no clock runs ahead of those that read it
	// Duration and Records limit the fleet's life: it ends at whichever is
	// reached first; 0 is no limit.
	Duration time.Duration
	Records  int64
	Seed     uint64

	// Offline is the share of time that a device spends without a connection, in
	// stretches of about OfflineFor (default 20m). What it measured then comes in
	// one go when it is back, oldest first.
	Offline    float64
	OfflineFor time.Duration
	// Skewed is the share of devices whose clock is off, by up to SkewBy
	// (default 15m) in either direction.
	Skewed float64
	SkewBy time.Duration
	Faults Faults
}

// Faults are shares, from 0 to 1.
type Faults struct {
	Malformed  float64 // of records: the line breaks off
	OutOfRange float64 // of records: the temperature is what a broken probe says, 999.99 or -273.15
	Duplicated float64 // of records: sent twice
	Missing    float64 // of records: without temp
	Failing    float64 // of devices: the compressor stands still for half an hour to two hours now and then
	DoorMoving float64 // of devices: now and then they drive with an open door
}

// Demo returns options with a little of everything, for a look at the engine.
func Demo() Options {
	return Options{
		Devices: 100, Duration: 6 * time.Hour, Seed: 1, Offline: 0.05, Skewed: 0.02,
		Faults: Faults{Malformed: 0.0005, OutOfRange: 0.001, Duplicated: 0.001, Missing: 0.001, Failing: 0.05, DoorMoving: 0.05},
	}
}

var defaultStart = time.Date(2025, 11, 22, 10, 0, 0, 0, time.UTC)

func (o *Options) check() error {
	if o.Devices == 0 {
		o.Devices = 100
	}
	if o.Every == 0 {
		o.Every = 30 * time.Second
	}
	if o.OfflineFor == 0 {
		o.OfflineFor = 20 * time.Minute
	}
	if o.SkewBy == 0 {
		o.SkewBy = 15 * time.Minute
	}
	if o.Start.IsZero() {
		o.Start = defaultStart
	}
	if o.Devices < 1 || o.Devices > 10_000_000 {
		return fmt.Errorf("a fleet has 1 to 10,000,000 devices, not %d", o.Devices)
	}
	if o.Every < time.Millisecond || o.Every > 24*time.Hour {
		return fmt.Errorf("devices send every 1ms to 24h, not every %s", o.Every)
	}
	if y := o.Start.UTC().Year(); y < 1970 || y > 9000 {
		return fmt.Errorf("the start lies in the years 1970 to 9000, not in %d", y)
	}
	if o.Duration < 0 || o.Records < 0 || o.OfflineFor < o.Every || o.SkewBy < 0 || o.SkewBy > 30*24*time.Hour {
		return fmt.Errorf("durations and the number of records are not negative, a time offline is no shorter than the time between records (%s), and a clock is at most 30 days off", o.Every)
	}
	for _, s := range []struct {
		name  string
		share float64
	}{
		{"offline", o.Offline}, {"skewed", o.Skewed}, {"malformed", o.Faults.Malformed}, {"out of range", o.Faults.OutOfRange},
		{"duplicated", o.Faults.Duplicated}, {"missing", o.Faults.Missing}, {"failing", o.Faults.Failing}, {"door moving", o.Faults.DoorMoving},
	} {
		if !(s.share >= 0 && s.share <= 1) {
			return fmt.Errorf("the share %s lies from 0 to 1; %v does not", s.name, s.share)
		}
	}
	if o.Offline > 0.95 {
		return fmt.Errorf("devices are offline for at most 0.95 of the time, not %v", o.Offline)
	}
	return nil
}

// mostSteps keeps products of steps and milliseconds within 63 bits.
const mostSteps = 1 << 40
