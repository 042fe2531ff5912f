package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const doorChannel = `
engine {
  checkpoint = "CHECKPOINT"
}

channel "telemetry" {
  key  = device
  time = ts
  schema = {
    device = string, ts = timestamp, site = string, lat = number, lon = number, speed = number, temp = number,
    setpoint = number, ambient = number, door_open = bool, fuel = number, battery = number, seq = integer
  }
}

ingest "mqtt" "input" {
  to     = channel.telemetry
  listen = "tcp://ADDRESS"
  topic  = "bench/{gateway}/telemetry"
}

pipeline "bench" {
  from = channel.telemetry
`

const doorFilter = doorChannel + `
  rule "warm" {
    where = temp > setpoint + 3 && !door_open
    set   = { over = temp - setpoint }
  }

  sink "file" "out" {
    from = rule.warm
    path = "OUTPUT"
  }
}
`

const doorAlarm = doorChannel + `
  alarm "warm" {
    by   = [device]
    when = temp > setpoint + 3
  }

  sink "file" "out" {
    from = alarm.warm
    path = "OUTPUT"
  }
}
`

// doorLoad is how a workload comes in.
type doorLoad struct {
	connections, window int
	rate                float64
	pipeline            string
	checkpoint          string
	share               int64 // of --door-records: one in so many
}

// doorLoads are the workloads over MQTT, by name.
func doorLoads() map[string]doorLoad {
	return map[string]doorLoad{
		doorWork:    {connections: 100, window: 16, pipeline: doorFilter, checkpoint: "1s", share: 1},
		sparseWork:  {connections: 5000, window: 1, pipeline: doorFilter, checkpoint: "1s", share: 4},
		latencyWork: {connections: 100, rate: 20_000, pipeline: doorAlarm, checkpoint: "20ms", share: 4},
	}
}

// doorResult is what the workloads over MQTT add to a line of the outcome.
type doorResult struct {
	Connections int     `json:"connections"`
	Window      int     `json:"in_flight,omitempty"`
	Rate        float64 `json:"records_per_s"`
	// ConnectCPU is what a connection cost before the measured part, us; ConnectSec how long all took.
	ConnectCPU float64 `json:"connect_cpu_us_each"`
	ConnectSec float64 `json:"connect_s"`
	// IdleRSS is the engine's memory with all connected and nothing sent, MB.
	IdleRSS  float64 `json:"idle_rss_mb"`
	AckP50   float64 `json:"ack_p50_ms"`
	AckP99   float64 `json:"ack_p99_ms"`
	Alarms   int     `json:"alarms,omitempty"`
	AlarmP50 float64 `json:"alarm_p50_ms,omitempty"`
	AlarmP99 float64 `json:"alarm_p99_ms,omitempty"`
	// BrokerCPU is the part of PeerCPU that the broker in front of the peer took.
	BrokerCPU float64 `json:"broker_cpu_ns_per_record,omitempty"`
	PeerRate  float64 `json:"peer_records_per_s,omitempty"`
	PeerAck   float64 `json:"peer_ack_p99_ms,omitempty"`
	// Bare is what a bare server takes, on one processor, and when it acknowledges.
	Bare    float64 `json:"bare_cpu_ns_per_record,omitempty"`
	BareAck float64 `json:"bare_ack_p99_ms,omitempty"`
}

// door measures a workload over MQTT.
func (b *bencher) door(workload string, procs int) (*benchResult, error) {
	l := doorLoads()[workload]
	in, err := b.input(max(b.doors/l.share, int64(l.connections)), b.devices)
	if err != nil {
		return nil, err
	}
	r := &benchResult{Workload: workload, Procs: procs, Records: in.Records, Devices: b.devices}
	var runs []usage
	seen := map[usage]*doorResult{}
	for range b.runs {
		u, d, err := b.runDoor(l, procs, in)
		if err != nil {
			return nil, err
		}
		runs, seen[u] = append(runs, u), d
	}
	u := median(runs)
	for was, d := range seen {
		if was.cpu == u.cpu && was.wall == u.wall {
			r.doorResult = d
		}
	}
	per := float64(in.Records)
	r.CPU, r.Wall, r.RSS = float64(u.cpu)/per, float64(u.wall)/per, u.rss
	if workload != latencyWork && runtime.GOOS == "linux" {
		if err := b.bare(r, l, in); err != nil {
			return nil, err
		}
	}
	if b.peer == "" || b.broker == "" || workload == latencyWork {
		return r, nil
	}
	return r, b.peerDoor(r, l, procs)
}

// site is what a server to be measured needs: this binary, a folder, which the caller removes, and an address on which nobody listens.
func (b *bencher) site() (self, dir, address string, err error) {
	if self, err = os.Executable(); err != nil {
		return "", "", "", err
	}
	if address, err = freeAddress(); err != nil {
		return "", "", "", err
	}
	dir, err = os.MkdirTemp(b.dir, "run")
	return self, dir, address, err
}

// runDoor measures the engine once under a load.
func (b *bencher) runDoor(l doorLoad, procs int, in *benchInput) (usage, *doorResult, error) {
	none := usage{}
	self, dir, address, err := b.site()
	if err != nil {
		return none, nil, err
	}
	defer os.RemoveAll(dir)
	output := filepath.Join(dir, "out.ndjson")
	text := b.partitioned(strings.NewReplacer("ADDRESS", address, "OUTPUT", output, "CHECKPOINT", l.checkpoint).Replace(l.pipeline))
	if err := os.WriteFile(filepath.Join(dir, "bench.hcl"), []byte(text), 0o644); err != nil {
		return none, nil, err
	}
	engine, err := b.background(procs, self, append([]string{"run", dir, "--quiet"}, b.profile()...)...)
	if err != nil {
		return none, nil, err
	}
	defer engine.kill()
	if err := awaitListener(address, engine); err != nil {
		return none, nil, err
	}
	u, d, err := b.under(l, address, in, output, engine)
	if err != nil {
		return none, nil, errors.Join(err, engine.says())
	}
	if err := engine.end(); err != nil {
		return none, nil, err
	}
	if l.rate == 0 {
		err = in.verify(filterWork, output, true)
	} else if want := int(in.Records) / 100; d.Alarms < want*9/10 {
		err = fmt.Errorf("%d of about %d probes raised or cleared an alarm", d.Alarms, want)
	}
	return u, d, err
}

// under puts servers under load and measures them from when all are connected until the
// output is complete. The first server's memory is what counts.
func (b *bencher) under(l doorLoad, address string, in *benchInput, output string, servers ...*process) (usage, *doorResult, error) {
	none := usage{}
	before, err := cpuOf(servers)
	if err != nil {
		return none, nil, err
	}
	args := []string{"bench-load", "--address", address, "--input", in.Name, "--records", strconv.FormatInt(in.Records, 10),
		"--connections", strconv.Itoa(l.connections), "--window", strconv.Itoa(l.window)}
	if l.rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(l.rate, 'f', -1, 64), "--tail", output)
	}
	g, err := startLoad(b, args)
	if err != nil {
		return none, nil, err
	}
	defer g.kill()
	connected, err := g.report()
	if err != nil {
		return none, nil, err
	}
	time.Sleep(300 * time.Millisecond) // garbage of connecting is not the records'
	d := &doorResult{Connections: l.connections, Window: l.window, ConnectSec: connected.ConnectSec, IdleRSS: rssOf(servers[0])}
	start, err := cpuOf(servers)
	if err != nil {
		return none, nil, err
	}
	d.ConnectCPU = float64(sum(start)-sum(before)) / float64(l.connections) / 1e3
	began := time.Now()
	if _, err := io.WriteString(g.in, "go\n"); err != nil {
		return none, nil, err
	}
	sent, err := g.report()
	if err != nil {
		return none, nil, err
	}
	if l.rate == 0 && output != "" {
		err = awaitRows(output, in.Passes, servers[0])
	}
	wall := time.Since(began)
	end, err2 := cpuOf(servers)
	if err = errors.Join(err, err2); err != nil {
		return none, nil, err
	}
	if sent.Sent != in.Records {
		return none, nil, fmt.Errorf("%d messages of %d were acknowledged", sent.Sent, in.Records)
	}
	d.Rate, d.AckP50, d.AckP99 = float64(sent.Sent)/sent.Seconds, sent.AckP50, sent.AckP99
	d.Alarms, d.AlarmP50, d.AlarmP99 = sent.Alarms, sent.AlarmP50, sent.AlarmP99
	if len(servers) > 1 {
		d.BrokerCPU = float64(end[1]-start[1]) / float64(in.Records)
	}
	return usage{sum(end) - sum(start), wall, peakOf(servers[0])}, d, nil
}

// awaitRows waits until a file has as many lines.
func awaitRows(name string, rows int64, of *process) error {
	var have int64
	var f *os.File
	buf := make([]byte, 256<<10)
	for last := time.Now(); time.Since(last) < time.Minute; {
		if f == nil {
			f, _ = os.Open(name) // until the sink has made it
		} else if n, _ := f.Read(buf); n > 0 {
			have += int64(bytes.Count(buf[:n], []byte{'\n'}))
			last = time.Now()
			continue
		}
		if have >= rows {
			return f.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("%d rows of %d have come out, and nothing more for a minute", have, rows), of.says())
}

// generator is a running load generator.
type generator struct {
	*process
	in  io.WriteCloser
	out *json.Decoder
}

func startLoad(b *bencher, args []string) (*generator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, args...)}
	p.cmd.Stderr = &p.said
	g := &generator{process: p}
	if g.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = json.NewDecoder(bufio.NewReader(out))
	return g, p.cmd.Start()
}

func (g *generator) report() (loadReport, error) {
	var r loadReport
	if err := g.out.Decode(&r); err != nil {
		return r, fmt.Errorf("the load generator: %w\n%s", g.cmd.Wait(), g.said.String())
	}
	return r, nil
}

// freeAddress finds an address of this machine on which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// awaitListener waits until a process listens.
func awaitListener(address string, p *process) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		if p.cmd.Process.Signal(syscall.Signal(0)) != nil {
			break
		}
	}
	return errors.Join(errors.New("nobody listens on "+address), p.says())
}
