package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/simulate"
)

const simulateHelp = `Writes the records of a fleet of refrigerated trailers that does not exist, a JSON object a line, in
the order in which they would arrive. The same flags give the same bytes, on every machine.

With --to mqtt each device connects to a broker and publishes the same records. Devices that are
offline have no connection; they publish their backlog when they are back. What is not
acknowledged is sent again. An interrupt ends it, and --resume FILE goes on there another time.
With --pace the fleet's time passes faster until it has caught up with the clock, and then like it.

Shares lie from 0 to 1. --demo sets a little of everything; other flags change it.

`

// simulateFlags are the command's flags; lengths of time as in HCL, such as "6h".
type simulateFlags struct {
	to, out                             string
	demo                                bool
	options                             simulate.Options
	every, duration, offlineFor, skewBy string
	start                               string
	pace                                float64
	mqtt                                mqttFlags
}

func (a *app) simulateCommand() *cobra.Command {
	f := &simulateFlags{}
	cmd := &cobra.Command{
		Use:   "simulate --out FILE | --to mqtt",
		Short: "Write or publish the records of a simulated fleet",
		Long:  simulateHelp + exitHelp,
		Example: "  tidemill simulate --demo --out telemetry.ndjson\n" +
			"  tidemill simulate --devices 8000 --records 1000000 --seed 7 --out - | zstd > big.ndjson.zst\n" +
			"  tidemill simulate --to mqtt --devices 8000 --start=-6h --pace 60 --resume fleet.state",
		Args: cobra.NoArgs,
	}
	f.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd, f) }
	return cmd
}

func (f *simulateFlags) flags(cmd *cobra.Command) {
	fs, o := cmd.Flags(), &f.options
	fs.StringVar(&f.to, "to", "file", "where records go: file or mqtt")
	fs.StringVar(&f.out, "out", "", "`FILE` to write; - is standard output")
	fs.BoolVar(&f.demo, "demo", false, "100 devices for 6 hours, with a little of every fault")
	fs.IntVar(&o.Devices, "devices", 0, "number of devices (default 100)")
	fs.StringVar(&f.every, "every", "", "time between two records of a device (default 30s)")
	fs.StringVar(&f.start, "start", "", "time of the first records, such as 2026-11-22T10:00:00Z, or how long ago, such as -6h")
	fs.StringVar(&f.duration, "duration", "", "how long the fleet lives, such as 6h")
	fs.Int64Var(&o.Records, "records", 0, "stop after so many records")
	fs.Uint64Var(&o.Seed, "seed", 0, "another seed is another fleet")
	fs.Float64Var(&o.Offline, "offline", 0, "share of time that devices are offline; their backlog comes afterwards")
	fs.StringVar(&f.offlineFor, "offline-for", "", "how long they are (default 20m)")
	fs.Float64Var(&o.Skewed, "skewed", 0, "share of devices whose clocks are off")
	fs.StringVar(&f.skewBy, "skew-by", "", "by how much (default 15m)")
	fs.Float64Var(&o.Faults.Malformed, "malformed", 0, "share of records that break off")
	fs.Float64Var(&o.Faults.OutOfRange, "out-of-range", 0, "share of records with an impossible temperature")
	fs.Float64Var(&o.Faults.Duplicated, "duplicated", 0, "share of records that are sent twice")
	fs.Float64Var(&o.Faults.Missing, "missing", 0, "share of records without a temperature")
	fs.Float64Var(&o.Faults.Failing, "failing", 0, "share of devices whose compressor fails now and then")
	fs.Float64Var(&o.Faults.DoorMoving, "door-moving", 0, "share of devices that drive with an open door now and then")
	fs.Float64Var(&f.pace, "pace", 0, "send at so many seconds of the fleet's time a second (default: at once)")
	f.mqtt.flags(cmd)
}

// settle makes options of the flags. With --demo, flags that were not given
// take the demonstration's values.
func (f *simulateFlags) settle(cmd *cobra.Command, now time.Time) (simulate.Options, error) {
	o := f.options
	if f.demo {
		o = f.overDemo(cmd)
	}
	for _, d := range []struct {
		flag, text string
		to         *time.Duration
	}{{"every", f.every, &o.Every}, {"duration", f.duration, &o.Duration}, {"offline-for", f.offlineFor, &o.OfflineFor}, {"skew-by", f.skewBy, &o.SkewBy}} {
		if d.text == "" {
			continue
		}
		v, err := config.ParseDuration(d.text)
		if err != nil {
			return o, fmt.Errorf("--%s: %w", d.flag, err)
		}
		*d.to = v
	}
	if f.start != "" {
		t, err := startOf(f.start, now)
		if err != nil {
			return o, err
		}
		o.Start = t
	}
	switch {
	case f.to != "file" && f.to != "mqtt":
		return o, fmt.Errorf("--to is file or mqtt, not %q", f.to)
	case f.pace < 0:
		return o, errors.New("--pace is not negative")
	case f.to == "mqtt" && f.out != "":
		return o, errors.New("--out is for --to file")
	case f.to == "mqtt" && o.Start.After(now):
		return o, errors.New("--start lies in the future")
	case f.to == "mqtt":
		return o, nil
	case f.out == "":
		return o, errors.New("--out says where to: a file, or - for standard output")
	case o.Duration == 0 && o.Records == 0:
		return o, errors.New("--duration or --records says when to stop (or --demo)")
	}
	return o, nil
}

// startOf reads a time, or how long ago it was.
func startOf(text string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		d, err := config.ParseDuration(ago)
		if err != nil {
			return now, fmt.Errorf("--start: %w", err)
		}
		return now.Add(-d).UTC().Truncate(time.Second), nil
	}
	us, ok := flow.ParseTime([]byte(text))
	if !ok {
		return now, fmt.Errorf("--start takes a time such as 2026-11-22T10:00:00Z, or how long ago, such as -6h; not %q", text)
	}
	return time.UnixMicro(us).UTC(), nil
}

// overDemo is the demonstration with the flags that were given.
func (f *simulateFlags) overDemo(cmd *cobra.Command) simulate.Options {
	given, o := f.options, simulate.Demo()
	set := func(flag string, change func()) {
		if cmd.Flags().Changed(flag) {
			change()
		}
	}
	set("devices", func() { o.Devices = given.Devices })
	set("records", func() { o.Records = given.Records })
	set("seed", func() { o.Seed = given.Seed })
	set("offline", func() { o.Offline = given.Offline })
	set("skewed", func() { o.Skewed = given.Skewed })
	set("malformed", func() { o.Faults.Malformed = given.Faults.Malformed })
	set("out-of-range", func() { o.Faults.OutOfRange = given.Faults.OutOfRange })
	set("duplicated", func() { o.Faults.Duplicated = given.Faults.Duplicated })
	set("missing", func() { o.Faults.Missing = given.Faults.Missing })
	set("failing", func() { o.Faults.Failing = given.Faults.Failing })
	set("door-moving", func() { o.Faults.DoorMoving = given.Faults.DoorMoving })
	return o
}

func (a *app) simulate(cmd *cobra.Command, f *simulateFlags) error {
	o, err := f.settle(cmd, a.env.Clock.Now())
	if err != nil {
		return err
	}
	if f.to == "mqtt" {
		return a.publish(f, o)
	}
	fleet, err := simulate.New(o)
	if err != nil {
		return err
	}
	if f.out == "-" {
		_, err := a.writeFleet(fleet, a.out, f.pace)
		return failed(err)
	}
	to, err := os.Create(f.out)
	if err != nil {
		return failed(err)
	}
	n, err := a.writeFleet(fleet, to, f.pace)
	if err := errors.Join(err, to.Close()); err != nil {
		return failed(err)
	}
	if a.errTerminal {
		fmt.Fprintf(a.err, "%s: %s records\n", f.out, thousands(n))
	}
	return nil
}

// writeFleet writes all lines there are, at once or at a pace.
func (a *app) writeFleet(fleet *simulate.Fleet, to io.Writer, pace float64) (int64, error) {
	out := bufio.NewWriterSize(to, 1<<20)
	var line []byte
	var n, first int64
	began := a.env.Clock.Now()
	for {
		var at int64
		var ok bool
		if line, at, ok = fleet.Next(line[:0]); !ok {
			return n, out.Flush()
		}
		if n == 0 {
			first = at
		}
		if pace > 0 {
			due := began.Add(time.Duration(float64(at-first) / pace * 1e3))
			if wait := due.Sub(a.env.Clock.Now()); wait > 0 {
				if err := out.Flush(); err != nil {
					return n, err
				}
				a.sleep(wait)
			}
		}
		if _, err := out.Write(line); err != nil {
			return n, err
		}
		n++
	}
}

func (a *app) sleep(d time.Duration) {
	over := make(chan struct{})
	a.env.Clock.After(d, func() { close(over) })
	<-over
}
