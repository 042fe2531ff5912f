package rollout

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/run"
)

const decodeManifest = `{"name": "pieces", "version": "%d.0.0", "abi": 1, "kind": "decode", "max_rows": 64,
 "reads": [{"name": "payload", "type": "bytes", "required": true}, {"name": "topic", "type": "string"}],
 "writes": [{"name": "seq", "type": "number"}, {"name": "ver", "type": "number"}]}`

const decodeText = `engine { checkpoint = "200ms" }
plugin "pieces" { source = "v1.wasm" }
channel "c" {
  key        = device
  partitions = 4
  decode     = plugin.pieces
}
fleet "lab" { where = site == "lab" }
pipeline "p" {
  from = channel.c
  sink "file" "out" {
    from = channel.c
    path = "out.ndjson"
  }
  sink "file" "rejects" { path = "rejects.ndjson" }
  rejects = sink.rejects
}
ingest "%s" "in" {
  to    = channel.c
  topic = "dt/{site}/{device}"
%s
}
`

func decodeWorld(t *testing.T, ingest, args string) *world {
	w := worldOf(t, t.TempDir(), fmt.Sprintf(decodeText, ingest, args), "d", decodeManifest)
	w.record = func(r *reader, b *journal.Block, i int) {
		topic := b.Topics[0]
		if b.TopicOf != nil {
			topic = b.Topics[b.TopicOf[i]]
		}
		r.pieces(strings.Split(topic, "/"), b.First+uint64(i), b.Record(i))
	}
	return w
}

// pieces says what the version of its time made of a payload.
func (r *reader) pieces(topic []string, offset uint64, payload []byte) {
	site, device := topic[1], topic[2]
	version, _ := r.assigned(device, site)
	if len(payload)%2 == 1 {
		r.out = append(r.out, fmt.Sprintf("rejected: half %x", payload))
		return
	}
	var rows []string
	for i := 0; i < len(payload); i += 2 {
		v := binary.LittleEndian.Uint16(payload[i:])
		if version == 2 && v == 555 {
			r.out = append(r.out, fmt.Sprintf("rejected: it trapped: unreachable %x", payload))
			return
		}
		rows = append(rows, fmt.Sprintf("%s %s %d %d", site, device, v, version))
	}
	r.out = append(r.out, rows...)
}

// decoded are the rows of both files as pieces writes them.
func (w *world) decoded() (out []string) {
	w.t.Helper()
	for _, name := range []string{"out.ndjson", "rejects.ndjson"} {
		content, err := os.ReadFile(filepath.Join(w.dir, name))
		w.must(err)
		for line := range strings.Lines(string(content)) {
			var r struct {
				Site, Device, Row, Reason string
				Seq, Ver                  float64
			}
			w.must(json.Unmarshal([]byte(line), &r))
			if r.Reason == "" {
				out = append(out, fmt.Sprintf("%s %s %v %v", r.Site, r.Device, r.Seq, r.Ver))
				continue
			}
			payload, isHex := strings.CutPrefix(r.Row, "hex:")
			if !isHex {
				payload = fmt.Sprintf("%x", r.Row)
			}
			out = append(out, fmt.Sprintf("rejected: %s %s", r.Reason[strings.LastIndex(r.Reason, "): ")+len("): "):], payload))
		}
	}
	return out
}

// payloads publishes payloads of all devices in turn until stop is closed; some are odd, and some have 555.
func payloads(t *testing.T, address string, stop chan struct{}) (sent int) {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetClientID("decode").SetCleanSession(true))
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
	for {
		select {
		case <-stop:
			return sent
		default:
		}
		var tokens []mqtt.Token
		for range 64 {
			d := sent % devices
			var payload []byte
			for k := range sent % 5 {
				v := uint16(sent + k)
				if sent%311 == 9 {
					v = 555
				}
				payload = binary.LittleEndian.AppendUint16(payload, v)
			}
			if sent%499 == 3 {
				payload = append(payload, 0xff)
			}
			tokens = append(tokens, c.Publish(fmt.Sprintf("dt/%s/d%d", []string{"lab", "field"}[d%2], d), 1, false, payload))
			sent++
		}
		for _, token := range tokens {
			if token.Wait(); token.Error() != nil {
				t.Error(token.Error())
			}
		}
	}
}

// TestDecoders is the drill of a plugin that decodes payloads: three versions while devices publish, one of which is
// rolled back by itself; then the journal once more, byte by byte.
func TestDecoders(t *testing.T) {
	address := "tcp://" + ports.Free(t)
	w := decodeWorld(t, "mqtt", fmt.Sprintf("  listen = %q", address))
	e := w.open(false)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop, sent := make(chan struct{}), 0
	var publishing sync.WaitGroup
	publishing.Go(func() { sent = payloads(t, address, stop) })

	start := run.RolloutCommand{Action: "start", Name: "lab", Plugin: "pieces", Fleet: "lab", Digest: w.digests[2], Shadow: true}
	w.must(e.Rollout(start))
	wait(t, e, "a difference in shadow", func(v run.RolloutView) bool {
		return v.Reading != nil && v.Reading.Canary.Failed > 0 && v.Reading.Compared > 200 && len(v.Reading.Samples) > 0
	})
	start.Shadow, start.Share, start.Guard = false, 5000, rollout.Guard{ErrorRate: 0.0005, MinRows: 100}
	w.must(e.Rollout(start))
	wait(t, e, "the rollback", func(v run.RolloutView) bool { return v.Trial == nil })
	start.Digest, start.Guard.Bake = w.digests[3], time.Second
	start.Guard.ErrorRate = 0 // what is odd is refused by every version, and is no failure
	w.must(e.Rollout(start))
	wait(t, e, "the promotion", func(v run.RolloutView) bool { return v.Stable == w.digests[3] })
	wait(t, e, "rows of what was promoted", func(run.RolloutView) bool { return promotedRows(w) })
	close(stop)
	publishing.Wait()
	wait(t, e, "the end of the lag", func(run.RolloutView) bool { s := e.Status(); return s.Totals().Lag == 0 })
	cancel()
	w.must(<-ended)
	w.must(e.Close())
	want, swaps := w.expected()
	w.same(want, w.decoded())
	t.Logf("%d payloads, %d rows and rejects, %d swaps of partitions", sent, len(want), swaps)
	second := decodeWorld(t, "file", "  format = \"hex\"\n  path   = \"nothing.hex\"")
	second.write("nothing.hex", "")
	again(t, w, second)
}

// promotedRows tells whether the newest row of the fleet's devices is one of version 3.
func promotedRows(w *world) bool {
	content, err := os.ReadFile(filepath.Join(w.dir, "out.ndjson"))
	w.must(err)
	at := strings.LastIndex(string(content), `"site":"lab"`)
	return at >= 0 && strings.Contains(string(content[at:]), `"ver":3`)
}
