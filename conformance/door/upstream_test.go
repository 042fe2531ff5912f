package door

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	broker "github.com/tidemill/tidemill/conformance/mosquitto"
	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/mqtt"
)

const upstreamPipeline = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key    = device
  schema = { device = string, id = string }
  dedupe = { key = [device, id], within = "1h" }
}
ingest "mqtt" "up" {
  to        = channel.c
  url       = "mqtt://BROKER"
  topic     = "dt/{device}/telemetry"
  client_id = "tidemill"
}
pipeline "p" {
  from = channel.c
  sink "file" "out" { path = "OUT" }
}
`

// wire is a conversation overheard: what the broker has delivered, and what was acknowledged to it.
type wire struct {
	address, broker string
	mu              sync.Mutex
	delivered       map[string]int
	acked           map[string]bool
}

// newWire lets the binary talk to the broker through an ear that understands MQTT 5.0.
func newWire(t *testing.T, broker string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	w := &wire{address: l.Addr().String(), broker: broker, delivered: map[string]int{}, acked: map[string]bool{}}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(nc)
		}
	}()
	return w
}

func (w *wire) carry(client net.Conn) {
	broker, err := net.Dial("tcp", w.broker)
	if err != nil { // it is down
		client.Close()
		return
	}
	var mu sync.Mutex
	flight := map[uint16]string{} // of this connection
	go overhear(broker, client, func(p *mqtt.Packet) {
		if p.Type == mqtt.Publish {
			id := idOf(p.Payload)
			mu.Lock()
			flight[p.ID] = id
			mu.Unlock()
			w.mu.Lock()
			w.delivered[id]++
			w.mu.Unlock()
		}
	})
	overhear(client, broker, func(p *mqtt.Packet) {
		if p.Type == mqtt.Puback {
			mu.Lock()
			id := flight[p.ID]
			mu.Unlock()
			w.mu.Lock()
			w.acked[id] = true
			w.mu.Unlock()
		}
	})
}

// overhear carries bytes and tells each packet before it goes on.
func overhear(from, to net.Conn, tell func(*mqtt.Packet)) {
	defer from.Close()
	defer to.Close()
	var buf []byte
	var p mqtt.Packet
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		for buf = append(buf, b[:n]...); len(buf) > 0; {
			size, err := mqtt.Decode(buf, mqtt.V5, mqtt.Limits{}, &p)
			if err != nil {
				panic(fmt.Sprintf("a packet that cannot be: %v: %x", err, buf))
			}
			if size == 0 {
				break
			}
			tell(&p)
			buf = buf[size:]
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// counts is how many messages were delivered, deliveries in all, and acknowledged messages.
func (w *wire) counts() (delivered, deliveries, acked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.delivered {
		deliveries += n
	}
	return len(w.delivered), deliveries, len(w.acked)
}

// hasAcked says whether all of these were acknowledged to the broker.
func (w *wire) hasAcked(ids []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id string) bool { return !w.acked[id] })
}

// TestBrokerKilled: publishers hand messages of QoS 1 to a real mosquitto, from which the binary takes them. First the binary is
// killed, again and again: everything that the broker has acknowledged to its publishers counts once. Then the
// broker is killed: it loses what it has not saved, and everything that was ever acknowledged to it counts once.
func TestBrokerKilled(t *testing.T) {
	kills := 10
	if os.Getenv("TIDEMILL_SOAK") != "" {
		kills = 100
	}
	b := broker.Start(t, "allow_anonymous true\nmax_queued_messages 0\nautosave_on_changes true\nautosave_interval 200\n")
	ear := newWire(t, b.Address)
	w := &world{t: t, dir: t.TempDir()}
	w.data, w.out = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "out.ndjson")
	text := strings.NewReplacer("BROKER", ear.address, "OUT", w.out).Replace(upstreamPipeline)
	must(t, os.WriteFile(filepath.Join(w.dir, "a.hcl"), []byte(text), 0o644))
	w.start()
	defer func() {
		if t.Failed() {
			t.Log(w.said)
		}
	}()
	within(t, time.Minute, "the binary has subscribed", func() bool { return subscribed(t, b.Address, ear) })
	rng := rand.New(rand.NewPCG(7, 7))

	first := startPublishers("before", b.Address, 4)
	points := []string{"journal.before-write", "journal.before-sync", "journal.after-sync", "checkpoint.after-rename"}
	for i := range kills {
		_, had, _ := ear.counts()
		waitFor(time.Duration(100+rng.IntN(200))*time.Millisecond, func() bool {
			_, now, _ := ear.counts()
			return now > had
		})
		_ = w.cmd.Process.Kill() // it may have killed itself
		_ = w.cmd.Wait()
		var environ []string
		if i%2 == 0 {
			environ = []string{rig.KillAt(points[rng.IntN(len(points))], 1+rng.IntN(20))}
		}
		w.start(environ...)
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	w.start()
	sent := first.end()
	within(t, time.Minute, "everything that was published is in the output", func() bool { return len(w.rowsSoFar()) >= len(sent)+1 })

	second := startPublishers("after", b.Address, 4)
	for range kills {
		time.Sleep(time.Duration(100+rng.IntN(200)) * time.Millisecond)
		b.Kill()
		b.Restart()
	}
	sent = append(sent, second.end()...)
	last := startPublishers("last", b.Address, 1) // behind everything that the broker still has
	time.Sleep(50 * time.Millisecond)
	final := last.end()
	within(t, time.Minute, "the broker has delivered what it has", func() bool { return ear.hasAcked(final) })
	sent = append(sent, final...)
	w.stop()
	compareUpstream(t, w, ear, sent, kills)
}

// compareUpstream holds what the wire has carried against what is in the output.
func compareUpstream(t *testing.T, w *world, ear *wire, sent []string, kills int) {
	rows, lost := w.rows(), 0
	_, deliveries, acked := ear.counts()
	for id, n := range ear.delivered {
		if rows[id] > 1 || rows[id] == 0 && ear.acked[id] { // what was on the wire when the broker died may be nowhere
			t.Errorf("%s, which was delivered %d times and acknowledged: %v, is in the output %d times", id, n, ear.acked[id], rows[id])
		}
	}
	for _, id := range sent {
		if rows[id] == 1 {
			continue
		}
		if lost++; !strings.HasPrefix(id, "after") || rows[id] > 1 {
			t.Errorf("%s, which the broker has acknowledged, is in the output %d times", id, rows[id])
		}
	}
	for id := range rows {
		if ear.delivered[id] == 0 {
			t.Errorf("%s was never delivered", id)
		}
	}
	if len(sent) < 40*kills || deliveries == len(ear.delivered) {
		t.Errorf("%d messages, %d deliveries of %d: the test proves little", len(sent), deliveries, len(ear.delivered))
	}
	t.Logf("%d messages acknowledged to their publishers, %d deliveries, %d acknowledged to the broker, %d counted; the broker has lost %d over its kills",
		len(sent), deliveries, acked, len(rows), lost)
}

// subscribed publishes until a message comes through.
func subscribed(t *testing.T, broker string, ear *wire) bool {
	d := &device{name: "probe", qos: 1, clean: true, payload: func(int) string { return `{"id":"probe"}` },
		dial: func() (net.Conn, error) { return net.Dial("tcp", broker) }}
	must(t, d.connect())
	defer d.close()
	must(t, d.publish(1))
	_, err := d.answer()
	must(t, err)
	time.Sleep(20 * time.Millisecond)
	n, _, _ := ear.counts()
	return n > 0
}

// rowsSoFar is rows, while the file is being written.
func (w *world) rowsSoFar() map[string]int {
	text, _ := os.ReadFile(w.out) // none yet is nothing so far
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var row struct{ ID string }
		if json.Unmarshal([]byte(line), &row) == nil {
			out[row.ID]++
		}
	}
	return out
}

// publishers are devices that publish to a broker which comes and goes.
type publishers struct {
	devices []*device
	stop    chan struct{}
	work    sync.WaitGroup
}

func startPublishers(round, broker string, n int) *publishers {
	p := &publishers{stop: make(chan struct{})}
	for i := range n {
		name := fmt.Sprintf("%s%d", round, i)
		d := &device{name: name, qos: 1, clean: true, dial: func() (net.Conn, error) { return net.Dial("tcp", broker) },
			payload: func(n int) string { return fmt.Sprintf(`{"id":"%s-%d"}`, name, n) }}
		p.devices = append(p.devices, d)
		p.work.Go(func() { p.live(d, 8) })
	}
	return p
}

// live publishes, some hundred messages a second, until told to stop and everything is answered.
func (p *publishers) live(d *device, window int) {
	stopped := func() bool {
		select {
		case <-p.stop:
			return true
		default:
			return false
		}
	}
	for !stopped() || len(d.flight) > 0 {
		err := d.connect()
		for err == nil && (!stopped() || len(d.flight) > 0) {
			if !stopped() {
				err = d.publish(window)
			}
			for err == nil && len(d.flight) > 0 {
				_, err = d.answer()
			}
			time.Sleep(10 * time.Millisecond)
		}
		d.close()
		time.Sleep(2 * time.Millisecond)
	}
}

// end returns the ids of all that the broker has acknowledged: everything.
func (p *publishers) end() (ids []string) {
	close(p.stop)
	p.work.Wait()
	for _, d := range p.devices {
		for n := range d.n {
			ids = append(ids, fmt.Sprintf("%s-%d", d.name, n))
		}
	}
	return ids
}
