package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/run"
)

const devices = 200

// load publishes rows of all devices in turn until stop is closed; one in a thousand has 555.
func load(t *testing.T, address string, stop chan struct{}) (sent int) {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetClientID("drill").SetCleanSession(true))
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		token := c.Connect()
		if token.Wait(); token.Error() == nil {
			break
		}
		if time.Now().After(end) {
			t.Error(token.Error())
			return 0
		}
	}
	defer c.Disconnect(1000)
	var tokens []mqtt.Token
	for {
		select {
		case <-stop:
			for _, token := range tokens {
				if token.Wait(); token.Error() != nil {
					t.Error(token.Error())
				}
			}
			return sent
		default:
		}
		temp := 4.0
		if sent%997 == 5 {
			temp = 555
		}
		d := sent % devices
		tokens = append(tokens, c.Publish(fmt.Sprintf("dt/d%d", d), 1, false, fmt.Sprintf(`{"device": "d%d", "seq": %d, "temp": %v}`, d, sent, temp)))
		if sent++; len(tokens) == 64 {
			for _, token := range tokens {
				if token.Wait(); token.Error() != nil {
					t.Error(token.Error())
				}
			}
			tokens = tokens[:0]
		}
	}
}

// wait waits for a condition.
func wait(t *testing.T, e *run.Engine, what string, done func(v run.RolloutView) bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		for _, v := range e.Rollouts(true) {
			if v.Name == "lab" && done(v) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s has not come in two minutes: %+v", what, e.RolloutHistory())
		}
	}
}

// TestDrill is the life of a bad version and of a good one, while devices publish.
func TestDrill(t *testing.T) {
	address := "tcp://" + ports.Free(t)
	w := newWorld(t, t.TempDir(), fmt.Sprintf("ingest \"mqtt\" \"in\" {\n  to     = channel.c\n  listen = %q\n  topic  = \"dt/+\"\n}\n", address))
	e := w.open(false)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var list []device.Device
	for i := range devices {
		site := "lab"
		if i%2 == 1 {
			site = "field"
		}
		list = append(list, device.Device{ID: fmt.Sprintf("d%d", i), Attributes: map[string]string{"site": site}})
	}
	w.must(e.SetDevices(list))
	stop, sent := make(chan struct{}), 0
	var publishing sync.WaitGroup
	publishing.Add(1)
	go func() {
		defer publishing.Done()
		sent = load(t, address, stop)
	}()
	w.must(e.Rollout(run.RolloutCommand{Action: "start", Name: "field", Plugin: "probe", Fleet: "field", Digest: w.digests[3], Share: rollout.Whole}))
	w.must(e.Rollout(run.RolloutCommand{Action: "promote", Name: "field"}))

	start := run.RolloutCommand{Action: "start", Name: "lab", Plugin: "probe", Fleet: "lab", Digest: w.digests[2], Shadow: true}
	w.must(e.Rollout(start))
	wait(t, e, "a difference in shadow", func(v run.RolloutView) bool {
		return v.Reading != nil && v.Reading.Canary.Failed > 0 && v.Reading.Compared > 1000 && len(v.Reading.Samples) > 0
	})
	start.Shadow, start.Share, start.Guard = false, 1000, rollout.Guard{ErrorRate: 0.0005, MinRows: 200}
	w.must(e.Rollout(start))
	var broke time.Time
	wait(t, e, "the rollback", func(v run.RolloutView) bool {
		if broke.IsZero() && v.Reading != nil && v.Reading.Canary.Failed > 0 && v.Reading.Canary.Rows >= 200 {
			broke = time.Now()
		}
		return v.Trial == nil
	})
	if !broke.IsZero() {
		t.Logf("rolled back within %v", time.Since(broke))
		if took := time.Since(broke); took > 30*time.Second {
			t.Errorf("the rollback took %v", took)
		}
	}
	start.Digest, start.Guard.Bake = w.digests[3], time.Second
	w.must(e.Rollout(start))
	wait(t, e, "the promotion", func(v run.RolloutView) bool { return v.Stable == w.digests[3] })
	time.Sleep(200 * time.Millisecond) // so that rows of the promoted version follow
	close(stop)
	publishing.Wait()
	wait(t, e, "the end of the lag", func(run.RolloutView) bool { s := e.Status(); return s.Totals().Lag == 0 })
	checkHistory(t, e)
	cancel()
	w.must(<-ended)
	w.must(e.Close())
	swaps := w.compare()
	want, _ := w.expected()
	if len(want) != sent {
		t.Fatalf("%d rows were acknowledged, the journal holds %d", sent, len(want))
	}
	t.Logf("%d rows, %d swaps of partitions", sent, swaps)
	again(t, w, newWorld(t, t.TempDir(), ""))
}

func checkHistory(t *testing.T, e *run.Engine) {
	var actions []string
	for _, h := range e.RolloutHistory() {
		if h.Rollout == "lab" {
			actions = append(actions, h.Action+" by "+h.By)
		}
		list := h.Offsets["c"]
		if len(list) != partitions || slices.Contains(list, nil) {
			t.Errorf("%s of %s: offsets %v", h.Action, h.Rollout, list)
		}
	}
	if got := fmt.Sprint(actions); got != "[shadow by command canary by command rollback by guardrail canary by command promote by bake]" {
		t.Errorf("history: %s", got)
	}
}

// again reads the same journal with a new engine, and expects the same bytes from each partition. The one file of a
// sink holds the rows of all partitions, in whatever order these came to it.
func again(t *testing.T, first, w *world) {
	t.Helper()
	for _, name := range []string{"journal", "plugins", "devices"} {
		from := filepath.Join(first.data(), name)
		if _, err := os.Stat(from); err == nil { // without devices there is no registry
			w.must(os.CopyFS(filepath.Join(w.data(), name), os.DirFS(from)))
		}
	}
	e := w.open(true)
	w.must(e.Run(context.Background()))
	w.must(e.Close())
	for _, name := range []string{"out.ndjson", "rejects.ndjson"} {
		a, b := first.bytesOf(name), w.bytesOf(name)
		for p := range partitions {
			if len(a[p]) == 0 && name == "out.ndjson" {
				t.Errorf("%s: nothing came from partition %d", name, p)
			}
			if !bytes.Equal(a[p], b[p]) {
				t.Errorf("%s, partition %d differs when the journal is read again: %d bytes and %d", name, p, len(a[p]), len(b[p]))
			}
		}
	}
}

// bytesOf is what a file holds of each partition.
func (w *world) bytesOf(name string) (out [partitions][]byte) {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, name))
	w.must(err)
	for line := range bytes.Lines(content) {
		var r struct {
			Device    string
			Partition *int // of a reject
		}
		w.must(json.Unmarshal(line, &r))
		p := flow.PartitionOf(flow.Hash([]byte(r.Device)), partitions)
		if r.Partition != nil {
			p = *r.Partition
		}
		out[p] = append(out[p], line...)
	}
	return out
}
