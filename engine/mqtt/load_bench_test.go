package mqtt

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// groups is an Inlet that, like the journal, copies what it gets and
// acknowledges it in groups.
type groups struct {
	mu    sync.Mutex
	bytes []byte
	done  []func(error)
	n     int
	bell  chan struct{}
}

func (g *groups) Append(batch []Inbound, done func(error)) error {
	g.mu.Lock()
	if len(g.bytes) > 1<<20 {
		g.bytes = g.bytes[:0]
	}
	for i := range batch {
		g.bytes = append(g.bytes, batch[i].Payload...)
	}
	g.n += len(batch)
	if done != nil {
		g.done = append(g.done, done)
	}
	g.mu.Unlock()
	select {
	case g.bell <- struct{}{}:
	default:
	}
	return nil
}

func (g *groups) flush(linger time.Duration) {
	var done []func(error)
	for range g.bell {
		time.Sleep(linger)
		g.mu.Lock()
		done, g.done = g.done, done[:0]
		g.mu.Unlock()
		for _, f := range done {
			f(nil)
		}
	}
}

// BenchmarkServer is the CPU time of this process a message: QoS 1 of 220
// bytes, from connections of another process that keep so many in flight.
func BenchmarkServer(b *testing.B) {
	for _, load := range []struct{ conns, window int }{{100, 16}, {100, 1}, {2000, 1}} {
		b.Run(fmt.Sprintf("conns=%d/window=%d", load.conns, load.window), func(b *testing.B) {
			g := &groups{bell: make(chan struct{}, 1)}
			go g.flush(time.Millisecond)
			defer close(g.bell)
			s := NewServer(Options{Env: env.Real(), Inlet: g})
			defer s.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s.Listen(Listener{Listener: l})
			each := max(b.N/load.conns, load.window)
			cmd := exec.Command(os.Args[0], "-test.run=^TestLoadClient$")
			cmd.Env = append(os.Environ(), "MQTT_LOAD="+l.Addr().String(), "MQTT_CONNS="+strconv.Itoa(load.conns),
				"MQTT_WINDOW="+strconv.Itoa(load.window), "MQTT_EACH="+strconv.Itoa(each))
			cmd.Stderr = os.Stderr
			b.ResetTimer()
			before := cpuTime()
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			used := cpuTime() - before
			if g.n != each*load.conns {
				b.Fatalf("%d messages of %d", g.n, each*load.conns)
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(g.n), "cpu-ns/msg")
			b.ReportMetric(float64(g.n)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLoadClient is the other process of BenchmarkServer.
func TestLoadClient(t *testing.T) {
	address := os.Getenv("MQTT_LOAD")
	if address == "" {
		t.Skip("runs as a part of BenchmarkServer")
	}
	number := func(name string) int { n, _ := strconv.Atoi(os.Getenv(name)); return n }
	conns, window, each := number("MQTT_CONNS"), number("MQTT_WINDOW"), number("MQTT_EACH")
	var wg sync.WaitGroup
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := loadClient(address, i, window, each); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

func loadClient(address string, number, window, each int) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	p := Packet{Type: Connect, Login: Login{Version: V311, CleanStart: true, ClientID: fmt.Appendf(nil, "c%d", number)}}
	if _, err := nc.Write(Append(nil, &p, V311)); err != nil {
		return err
	}
	r := bufio.NewReader(nc)
	var ack [4]byte
	if _, err := io.ReadFull(r, ack[:]); err != nil {
		return err
	}
	payload := fmt.Appendf(nil, `{"ts":"2026-11-22T01:00:00Z","temp":%d.25,"setpoint":2,"door_open":false,"lat":52.520008,"lon":13.404954,"fuel":81.5,"speed":63.2,"rpm":1450,"ambient":11.75,"battery":12.6,"seq":%d,"note":"steady"}`, number%20, number)
	message := Packet{Type: Publish, QoS: 1, Topic: fmt.Appendf(nil, "dt/berlin/trailer/d%d/telemetry", number), Payload: payload}
	var out []byte
	sent, acked := 0, 0
	for acked < each {
		out = out[:0]
		for sent < each && sent-acked < window {
			sent++
			message.ID = uint16(sent%60_000 + 1)
			out = Append(out, &message, V311)
		}
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return err
			}
		}
		for first := true; first || r.Buffered() >= 4; first = false {
			if _, err := io.ReadFull(r, ack[:]); err != nil {
				return err
			}
			acked++
			if id := binary.BigEndian.Uint16(ack[2:]); ack[0] != 0x40 || id != uint16(acked%60_000+1) {
				return fmt.Errorf("% x came for message %d", ack, acked)
			}
		}
	}
	return nil
}
