package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// load is what a load generator is told: a process of its own, so that its CPU
// time is not the server's. It connects, says so, waits for a line on its input,
// publishes, and says how that went; each time one JSON object on a line.
type load struct {
	address, input, tail string
	conns, window        int
	records              int64
	rate                 float64 // messages a second of all connections; 0: as fast as acknowledgements come
}

// loadReport is what a load generator says: after connecting only the first two, then all.
type loadReport struct {
	Connected  int     `json:"connected"`
	ConnectSec float64 `json:"connect_s"`
	Sent       int64   `json:"sent,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`
	AckP50     float64 `json:"ack_p50_ms,omitempty"`
	AckP99     float64 `json:"ack_p99_ms,omitempty"`
	AckMax     float64 `json:"ack_max_ms,omitempty"`
	// Alarms are the probes whose alarm was seen, of those that were sent.
	Alarms   int     `json:"alarms,omitempty"`
	AlarmP50 float64 `json:"alarm_p50_ms,omitempty"`
	AlarmP99 float64 `json:"alarm_p99_ms,omitempty"`
}

func (a *app) loadCommand() *cobra.Command {
	l := &load{}
	cmd := &cobra.Command{
		Use: "bench-load", Short: "Publish a file's records over MQTT, for bench", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return failed(a.generate(l)) },
	}
	f := cmd.Flags()
	f.StringVar(&l.address, "address", "127.0.0.1:1883", "host and port of the server")
	f.StringVar(&l.input, "input", "", "`FILE` of records, a line each")
	f.IntVar(&l.conns, "connections", 100, "connections")
	f.IntVar(&l.window, "window", 16, "messages of a connection that are not acknowledged yet, at most")
	f.Int64Var(&l.records, "records", 0, "records to send; default: all")
	f.Float64Var(&l.rate, "rate", 0, "messages a second; default: as fast as they are acknowledged")
	f.StringVar(&l.tail, "tail", "", "`FILE` in which alarms of probes will appear")
	return cmd
}

func (a *app) generate(l *load) error {
	lines, err := readLines(l.input, int(min(l.records, 1<<40)))
	if err != nil {
		return err
	}
	if len(lines) < l.conns {
		return fmt.Errorf("%d records for %d connections", len(lines), l.conns)
	}
	began := time.Now()
	publishers, err := l.connect(lines)
	if err != nil {
		return err
	}
	r := loadReport{Connected: len(publishers), ConnectSec: time.Since(began).Seconds()}
	if err := printLine(a.out, r); err != nil {
		return err
	}
	if _, err := bufio.NewReader(a.in).ReadString('\n'); err != nil {
		return err
	}
	return errors.Join(l.publish(publishers, &r), printLine(a.out, r))
}

// connect opens all connections, a few at a time.
func (l *load) connect(lines [][]byte) ([]*publisher, error) {
	out := make([]*publisher, l.conns)
	errs := make([]error, l.conns)
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	for i := range out {
		places <- struct{}{}
		wg.Go(func() {
			out[i], errs[i] = newPublisher(l, i, lines)
			<-places
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// publish lets all connections publish and gathers what they have seen.
func (l *load) publish(publishers []*publisher, r *loadReport) error {
	var wg sync.WaitGroup
	watch := &alarmWatch{name: l.tail, stop: make(chan struct{})}
	if l.tail != "" {
		wg.Go(watch.run)
	}
	errs := make([]error, len(publishers))
	began := time.Now()
	var work sync.WaitGroup
	for i, p := range publishers {
		work.Go(func() {
			if l.rate > 0 {
				errs[i] = p.paced(began)
			} else {
				errs[i] = p.flatOut()
			}
		})
	}
	work.Wait()
	r.Seconds = time.Since(began).Seconds()
	var waits []float64
	for _, p := range publishers {
		r.Sent += p.acked
		for _, w := range p.waits {
			waits = append(waits, float64(w)/1e6)
		}
	}
	r.AckP50, r.AckP99, r.AckMax = quantile(waits, 0.5), quantile(waits, 0.99), quantile(waits, 1)
	if l.tail != "" {
		time.AfterFunc(3*time.Second, func() { close(watch.stop) })
		wg.Wait()
		r.Alarms, r.AlarmP50, r.AlarmP99 = len(watch.waits), quantile(watch.waits, 0.5), quantile(watch.waits, 0.99)
		errs = append(errs, watch.err)
	}
	return errors.Join(errs...)
}

// quantile sorts values; 0 when there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

// loadTopic is where a connection publishes.
func loadTopic(number int) []byte { return fmt.Appendf(nil, "bench/gw%05d/telemetry", number) }

// alarmWatch reads the alarms of probes as they appear in a file. A probe's
// event time is when it was sent, and so the alarm's.
type alarmWatch struct {
	name  string
	stop  chan struct{}
	waits []float64 // ms
	err   error
}

func (w *alarmWatch) run() {
	var f *os.File
	var rest []byte
	buf := make([]byte, 64<<10)
	for {
		select {
		case <-w.stop:
			return
		case <-time.After(500 * time.Microsecond):
		}
		if f == nil {
			var err error
			if f, err = os.Open(w.name); err != nil {
				continue // the sink has not made it yet
			}
			defer f.Close()
		}
		n, _ := f.Read(buf) // at the end there will be more
		now := time.Now()
		rest = append(rest, buf[:n]...)
		for {
			i := slices.Index(rest, '\n')
			if i < 0 {
				break
			}
			if w.err = w.line(rest[:i], now); w.err != nil {
				return
			}
			rest = rest[i+1:]
		}
	}
}

func (w *alarmWatch) line(line []byte, now time.Time) error {
	var row struct {
		Device string    `json:"device"`
		At     time.Time `json:"at"`
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return err
	}
	if strings.HasPrefix(row.Device, "probe") {
		w.waits = append(w.waits, float64(now.Sub(row.At))/1e6)
	}
	return nil
}
