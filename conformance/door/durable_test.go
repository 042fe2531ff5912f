package door

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/forget"
	"github.com/tidemill/tidemill/conformance/rig"
)

// crowd is devices that publish whatever happens to the server.
type crowd struct {
	devices []*device
	acked   atomic.Int64
	lost    atomic.Value // error: what must not happen
	work    sync.WaitGroup
	stop    context.CancelFunc
}

// newCrowd starts devices, QoS 1 and 2 by turns, each with so many messages in flight.
func newCrowd(w *world, windows ...int) *crowd {
	ctx, stop := context.WithCancel(context.Background())
	c := &crowd{stop: stop}
	for i, window := range windows {
		name := fmt.Sprintf("dev%d", i)
		d := &device{name: name, qos: byte(1 + i%2), dial: func() (net.Conn, error) { return net.Dial("tcp", w.plain) }}
		d.payload = func(n int) string { return fmt.Sprintf(`{"id":"%s-%d"}`, name, n) }
		c.devices = append(c.devices, d)
		c.work.Go(func() { c.live(ctx, d, window) })
	}
	return c
}

// live publishes until the time is over and everything is answered.
func (c *crowd) live(ctx context.Context, d *device, window int) {
	defer d.close()
	for ctx.Err() == nil || len(d.flight) > 0 {
		err := d.connect()
		for err == nil && (ctx.Err() == nil || len(d.flight) > 0) {
			if ctx.Err() == nil {
				err = d.publish(window)
			}
			if err == nil {
				var m *sent
				if m, err = d.answer(); m != nil {
					c.acked.Add(1)
				}
			}
		}
		d.close()
		if errors.Is(err, errNoSession) {
			c.lost.Store(err)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// waitFor waits for a time, and until something has happened that a slow machine has not come to by then; half a minute
// at most, since what is waited for may have ended by itself.
func waitFor(pause time.Duration, happened func() bool) {
	time.Sleep(pause)
	for end := time.Now().Add(30 * time.Second); !happened() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// finish lets everything be answered, stops the server, and counts the rows.
func (c *crowd) finish(t *testing.T, w *world, disturbed int) {
	t.Helper()
	acked := c.acked.Load()
	w.start()
	c.stop()
	over := make(chan struct{})
	go func() { c.work.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(2 * time.Minute):
		t.Fatalf("devices are not answered:\n%s", w.said)
	}
	if err, ok := c.lost.Load().(error); ok {
		t.Fatal(err)
	}
	w.stop()
	rows, wrong, all, again := w.rows(), 0, 0, 0
	for _, d := range c.devices {
		again += d.again
		all += d.n
		for n := range d.n {
			id := fmt.Sprintf("%s-%d", d.name, n)
			if rows[id] != 1 && wrong < 20 {
				wrong++
				t.Errorf("%s of QoS %d, which is acknowledged, is in the output %d times", id, d.qos, rows[id])
			}
		}
	}
	if len(rows) != all {
		t.Errorf("%d rows for %d records", len(rows), all)
	}
	if acked < int64(disturbed)*5 || again < disturbed {
		t.Errorf("%d messages were acknowledged and %d sent again between %d ends: the test proves little", acked, again, disturbed)
	}
	t.Logf("%d ends, %d messages acknowledged, %d sent again", disturbed, all, again)
}

// TestKill kills the binary under devices with sessions that publish at QoS 1 and 2:
// what was acknowledged counts once, also where a device sent it again.
func TestKill(t *testing.T) {
	kills := 100
	if os.Getenv("TIDEMILL_SOAK") != "" {
		kills = 1000
	}
	w := newWorld(t, "")
	c := newCrowd(w, 1, 2, 3, 4, 5, 6, 7, 8)
	rng := rand.New(rand.NewPCG(5, 5))
	points := []string{"journal.before-write", "journal.before-sync", "journal.after-sync", "checkpoint.after-rename", "sink.before-commit"}
	for killed := range kills {
		var environ []string
		if killed%2 == 0 {
			environ = []string{rig.KillAt(points[rng.IntN(len(points))], 1+rng.IntN(40))}
		}
		w.start(environ...)
		running, had, pause := w.cmd.Process, c.acked.Load(), time.Duration(120+rng.IntN(200))*time.Millisecond
		go func() {
			waitFor(pause, func() bool { return c.acked.Load() >= had+10 })
			_ = running.Kill() // it may have killed itself
		}()
		err := w.cmd.Wait()
		if status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			t.Fatalf("it was not killed but ended: %v\n%s", err, w.said)
		}
	}
	c.finish(t, w, kills)
}

// TestKillWide kills the binary under devices that have hundreds of messages in flight, as clients of 3.1.1 may, which go round identifiers. What
// was taken and not answered comes again all at once, and counts once.
func TestKillWide(t *testing.T) {
	w := newWorld(t, "")
	c := newCrowd(w, 1_000, 1_000, 300)
	rng := rand.New(rand.NewPCG(7, 7))
	const kills = 12
	for range kills {
		w.start()
		had, pause := c.acked.Load(), time.Duration(50+rng.IntN(150))*time.Millisecond
		waitFor(pause, func() bool { return c.acked.Load() >= had+2_000 })
		must(t, w.cmd.Process.Kill())
		_ = w.cmd.Wait()
	}
	c.finish(t, w, kills)
}

// TestPower cuts the power under the binary, on a disk that forgets what was not synced.
func TestPower(t *testing.T) {
	cuts := 20
	if os.Getenv("TIDEMILL_SOAK") != "" {
		cuts = 200
	}
	m, err := forget.Mount(forget.NewDisk(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = m.Unmount() })
	w := newWorld(t, m.Dir)
	c := newCrowd(w, 1, 2, 3, 4, 5, 6, 7, 8)
	rng := rand.New(rand.NewPCG(6, 6))
	for range cuts {
		w.start()
		had := c.acked.Load()
		waitFor(time.Duration(250+rng.IntN(400))*time.Millisecond, func() bool { return c.acked.Load() >= had+10 })
		m.Off()
		_ = w.cmd.Process.Kill() // it may have ended by itself
		_ = w.cmd.Wait()
		must(t, m.Cut(rng.Uint64N(1<<32)))
	}
	c.finish(t, w, cuts)
	if s := m.Disk.Stats(); s.LostBytes == 0 {
		t.Errorf("nothing was ever lost (%+v): the test proves nothing", s)
	}
}
