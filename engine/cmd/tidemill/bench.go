package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const benchHelp = `Measures the CPU time that a record takes, from reading the input to the output synced, with the
journal, checkpoints and metrics on. Each run is a process of its own over a simulated fleet's
records of 13 fields; what it writes is checked against a plain recount of the input, so that a
fast wrong engine has no figure. The numbers are the middle ones of the runs.

  W1      file -> temp > setpoint + 3 && !door_open (5 % pass) -> one computed field -> file
  W2      file -> five-minute window by device -> file
  W2M     W2 with 200,000 devices, for its memory
  decode  JSON to columns alone, and encoding/json into a struct, in this process
  W3      MQTT, QoS 1, 100 connections with 16 messages in flight -> W1's rule -> file
  W3S     W3 with 5,000 connections and one message in flight
  W3L     20,000 messages a second over 100 connections -> alarm -> file: how long until a message
          is acknowledged, and until its alarm can be read
  W4      four numbers into a plugin and one out, in batches: guests in each language beside the engine's own
          kernel and a call for each message in JSON; and what metering costs every plugin of this repository
  SWAP    another version of a plugin, one that was not compiled before, twenty times while 200,000 rows a second
          flow: how long batches wait for it
  W5      file -> every record as Parquet, a folder a day
  parquet columns to Parquet alone, and arrow-go's encoder as it comes, in this process
  W6      file -> every record as line protocol -> HTTP, a server that forgets it
  W7      W5 and W6 at once
  lines   columns to line protocol alone, and influxdb-client-go's encoder, in this process
  RCF     score and update of a random cut forest, 300 models, points of a device by sixteens, and the
          same algorithm over pointers, in this process
  RCFC    RCF with another device at each point
  WINDOWS each kind of window alone, in this process, and the memory of its tables: tumbling is five minutes,
          sliding an hour by a minute, and rows of a device are 30 s apart; most again with a million devices,
          sliding with a third of a million, one of three partitions. What comes in lies in the caches, as it does behind
          another stage; beside it stands what copying the result rows alone costs, of columns that are ready
  JOINS   each join alone, in this process, in the same way: every row finds one partner, or two values in a view

Beside W5 to W7 runs the same without their sinks, with all columns decoded: the difference is what the way
to them costs, through spool, encoder and file or connection. Its ratio is to the libraries' encoders
alone, pqarrow as it comes and influxdb-client-go's, in this process.
W1 and W2 are compared with the same work done by Benthos, for which tidemill-peer has to stand
beside this binary or in the PATH (make build, or: go build -o bin/tidemill-peer ./conformance/peer).
In W3 and W3S the peer stands behind a mosquitto, which has to be installed; its CPU time counts, and
is told apart in the JSON. The publishers are a process of their own, and connecting is not measured with the records.
Beside them stands what a bare server takes for the same messages: one thread that reads them, writes them to a
file, syncs it and answers, and does nothing else (Linux only). So one can see what the machine asks, and what the engine.
Where --procs is all that the machine has, the engine decides itself how many it uses, as it does for
everybody (in W3 one, most of the time); fewer are set by GOMAXPROCS.
The peer gets fewer records: its cost is a record's. W1 and W2 want about four bytes of disk for
each of the input's (--dir).

`

// benchFlags are what a bench is told.
type benchFlags struct {
	json, noPeer   bool
	records, peers int64
	doors          int64
	devices, runs  int
	procs          []int
	partitions     int // of the channel in W1 to W3L; 0: as many as one has that does not say
	dir            string
	profiles       string // folder, or "": a CPU profile of each run
	profiled       int
}

// workloads in the order in which they run.
const (
	filterWork = "W1"
	windowWork = "W2"
	memoryWork = "W2M"
	decodeWork = "decode"

	doorWork    = "W3"
	sparseWork  = "W3S"
	latencyWork = "W3L"
)

func (a *app) benchCommand() *cobra.Command {
	f := &benchFlags{}
	all := []string{filterWork, windowWork, memoryWork, decodeWork, doorWork, sparseWork, latencyWork, pluginWork, swapWork, lakeWork, parquetWork, influxWork, linesWork, bothWork, forestWork, forestCold, windowsWork, joinsWork}
	cmd := &cobra.Command{
		Use: "bench [W1 W2 W2M decode W3 W3S W3L W4 SWAP W5 parquet W6 lines W7 RCF RCFC WINDOWS JOINS]", Short: "Measure what a record costs, beside a peer",
		Long: benchHelp + exitHelp, Example: "  tidemill bench\n  tidemill bench W1 --records 1000000 --procs 1 --json",
		ValidArgs: all, Args: cobra.OnlyValidArgs,
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print one JSON object a line")
	flags.BoolVar(&f.noPeer, "no-peer", false, "leave the peer out")
	flags.Int64Var(&f.records, "records", 10_000_000, "records of a run")
	flags.Int64Var(&f.peers, "peer-records", 480_000, "records of a run of the peer, rounded to whole windows")
	flags.Int64Var(&f.doors, "door-records", 2_000_000, "records of a run over MQTT; W3S and W3L send a fourth of them")
	flags.IntVar(&f.devices, "devices", 8000, "devices that send them")
	flags.IntVar(&f.runs, "runs", 3, "runs of each kind; the peer gets one")
	flags.IntVar(&f.partitions, "partitions", 0, "partitions of the channel in W1, W2, W2M, W3, W3S and W3L (default: those of a channel that does not say)")
	flags.IntSliceVar(&f.procs, "procs", []int{1, 2}, "processors to run on, one after the other")
	flags.StringVar(&f.profiles, "profiles", "", "`FOLDER` for a CPU profile of each run of the engine (make pgo)")
	flags.StringVar(&f.dir, "dir", filepath.Join(os.TempDir(), "tidemill-bench"), "`FOLDER` for inputs, which are kept, and results, which are not")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		if len(args) == 0 {
			args = all
		}
		return a.bench(f, all, args)
	}
	return cmd
}

func (f *benchFlags) check() error {
	switch {
	case f.records < 1 || f.doors < 1 || f.devices < 1 || f.runs < 1 || f.peers < 1:
		return errors.New("--records, --peer-records, --door-records, --devices and --runs are at least 1")
	case f.partitions < 0:
		return fmt.Errorf("--partitions is %d; a channel has at least 1", f.partitions)
	case f.devices > 10_000_000:
		return errors.New("--devices is at most 10000000")
	case len(f.procs) == 0 || slices.Min(f.procs) < 1:
		return errors.New("--procs is a list of numbers from 1, such as 1,2")
	}
	return nil
}

// benchResult is a line of the outcome. CPU times are of whole processes.
type benchResult struct {
	Workload string  `json:"workload"`
	Procs    int     `json:"procs"`
	Records  int64   `json:"records"`
	Devices  int     `json:"devices"`
	CPU      float64 `json:"cpu_ns_per_record"`
	Wall     float64 `json:"wall_ns_per_record"`
	RSS      float64 `json:"max_rss_mb"`
	Peer     string  `json:"peer,omitempty"`
	PeerCPU  float64 `json:"peer_cpu_ns_per_record,omitempty"`
	PeerRSS  float64 `json:"peer_max_rss_mb,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	// PerKey is the memory of a stage's tables a key, bytes.
	PerKey float64 `json:"bytes_per_key,omitempty"`
	// RowsAlone is the part of CPU that goes into nothing but the result rows' columns, at the least.
	RowsAlone float64 `json:"rows_alone_cpu_ns_per_record,omitempty"`
	// Without is what the same work takes without the sinks.
	Without float64 `json:"without_sinks_cpu_ns_per_record,omitempty"`
	*doorResult
	*pluginResult
	*swapResult
}

func (a *app) bench(f *benchFlags, order, args []string) error {
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return failed(err)
	}
	if f.profiles != "" {
		if err := os.MkdirAll(f.profiles, 0o755); err != nil {
			return failed(err)
		}
	}
	b := &bencher{app: a, benchFlags: f, dir: dir, peer: findPeer(), broker: findBroker()}
	if b.peer == "" && !f.noPeer {
		fmt.Fprintln(a.err, "There is no tidemill-peer beside this binary or in the PATH, so nothing is compared; go build -o bin/tidemill-peer ./conformance/peer")
	}
	if f.noPeer {
		b.peer = ""
	}
	if !f.json {
		fmt.Fprintf(a.out, "%-11s %5s %12s %9s %14s %9s  %-18s %14s %9s %7s\n",
			"workload", "procs", "records", "devices", "CPU ns/record", "RSS MB", "peer", "CPU ns/record", "RSS MB", "ratio")
	}
	for _, w := range order {
		if !slices.Contains(args, w) {
			continue
		}
		procs := f.procs
		if w == pluginWork || w == swapWork || w == windowsWork || w == joinsWork || w == memoryWork || w == decodeWork || w == forestWork || w == forestCold || w == linesWork || w == parquetWork {
			procs = procs[:1]
		}
		if w == latencyWork {
			procs = procs[len(procs)-1:]
		}
		for _, p := range procs {
			r, err := b.measure(w, p)
			if err == nil {
				err = b.print(r)
			}
			if err != nil {
				return failed(fmt.Errorf("%s on %s: %w", w, count(p, "processor"), err))
			}
		}
	}
	return nil
}

func (b *bencher) print(r *benchResult) error {
	for _, x := range []*float64{&r.CPU, &r.Wall, &r.Without, &r.RSS, &r.PeerCPU, &r.PeerRSS, &r.Ratio, &r.PerKey, &r.RowsAlone} {
		*x = math.Round(*x*10) / 10
	}
	if b.json {
		return printLine(b.app.out, r)
	}
	line := fmt.Sprintf("%-11s %5d %12d %9d %14.1f %9.1f", r.Workload, r.Procs, r.Records, r.Devices, r.CPU, r.RSS)
	if r.PerKey > 0 {
		line += fmt.Sprintf("  %.0f bytes a key; of the CPU at least %.1f ns to write result rows", r.PerKey, r.RowsAlone)
	}
	if r.Peer != "" {
		line += fmt.Sprintf("  %-18s %14.1f %9.1f %6.1fx", r.Peer, r.PeerCPU, r.PeerRSS, r.Ratio)
	}
	if r.Without > 0 {
		line += fmt.Sprintf("\n%14sthe sinks take %.1f ns of it, the rest %.1f ns", "", r.CPU-r.Without, r.Without)
	}
	if d := r.doorResult; d != nil {
		line += fmt.Sprintf("\n%14s%d connections (%.0f us of CPU each to connect), %.0f records/s, acknowledged after %.1f ms (p50), %.1f ms (p99)",
			"", d.Connections, d.ConnectCPU, d.Rate, d.AckP50, d.AckP99)
		if d.Bare > 0 {
			line += fmt.Sprintf("\n%14sa bare server, which only reads, writes to a file, syncs and answers, takes %.0f ns here, and answers after %.1f ms (p99)", "", d.Bare, d.BareAck)
		}
		if d.Alarms > 0 {
			line += fmt.Sprintf(", alarm readable after %.1f ms (p50), %.1f ms (p99)", d.AlarmP50, d.AlarmP99)
		}
	}
	if _, err := fmt.Fprintln(b.app.out, strings.TrimRight(line, " ")); err != nil {
		return err
	}
	if r.pluginResult != nil {
		r.pluginResult.print(b)
	}
	if r.swapResult != nil {
		r.swapResult.print(b)
	}
	return nil
}

// bencher measures.
type bencher struct {
	app *app
	*benchFlags
	dir  string
	peer string // path of tidemill-peer, or ""

	broker string // path of mosquitto, or ""
}

// measure does a workload's runs.
func (b *bencher) measure(workload string, procs int) (*benchResult, error) {
	if _, ok := doorLoads()[workload]; ok {
		return b.door(workload, procs)
	}
	r := &benchResult{Workload: workload, Procs: procs, Records: b.records, Devices: b.devices}
	if workload == memoryWork {
		r.Devices = 25 * b.devices
	}
	if workload == windowsWork {
		return b.windows(r)
	}
	if workload == joinsWork {
		return b.joins(r)
	}
	if workload == pluginWork {
		return r, b.plugins(r)
	}
	if workload == swapWork {
		return r, b.swap(r)
	}
	if workload == forestWork || workload == forestCold {
		return r, b.forest(r)
	}
	in, err := b.input(r.Records, r.Devices)
	if err != nil {
		return nil, err
	}
	if workload == decodeWork {
		return r, b.decode(r, in)
	}
	if load, ok := sinkLoads()[workload]; ok {
		return r, b.sinks(r, in, load)
	}
	if workload == parquetWork {
		return r, b.parquet(r, in)
	}
	if workload == linesWork {
		return r, b.lines(r, in)
	}
	runs := make([]usage, b.runs)
	for i := range runs {
		if runs[i], err = b.run(workload, procs, in); err != nil {
			return nil, err
		}
	}
	u := median(runs)
	per := float64(r.Records)
	r.CPU, r.Wall, r.RSS = float64(u.cpu)/per, float64(u.wall)/per, u.rss
	if b.peer == "" || workload == memoryWork {
		return r, nil
	}
	// Whole windows of all devices: the peer's are batches of that many records.
	group := int64(b.devices) * 10
	small, err := b.input(max(1, b.peers/group)*group, r.Devices)
	if err != nil {
		return nil, err
	}
	if u, err = b.runPeer(workload, procs, small, group); err != nil {
		return nil, err
	}
	r.Peer, r.PeerCPU, r.PeerRSS = "benthos", float64(u.cpu)/float64(small.Records), u.rss
	r.Ratio = r.PeerCPU / r.CPU
	return r, nil
}

// usage is what a run took.
type usage struct {
	cpu, wall time.Duration
	rss       float64 // MB (10^6 bytes), the most there was
}

// median returns the run in the middle by CPU time, with the greatest memory of all.
func median(runs []usage) usage {
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(x, y usage) int { return int(x.cpu - y.cpu) })
	out := runs[len(runs)/2]
	for _, r := range runs {
		out.rss = max(out.rss, r.rss)
	}
	return out
}
