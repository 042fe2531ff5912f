package run_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// door is an ingest that appends what a test gives it.
type door struct {
	to    stage.SourceEnv
	acked int
	last  int64 // when the message before came
}

func (d *door) spec() stage.Spec {
	return stage.Spec{Kind: "ingest", Type: "door", Help: "A test's.", Args: func() stage.Args { return d }}
}

func (d *door) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{Push: true, OpenSource: func(_ stage.Opening, to stage.SourceEnv) (stage.Source, error) {
		d.to = to
		return d, nil
	}}, nil
}

func (d *door) Step() (stage.Status, error) { return stage.Idle, nil }
func (d *door) Close() error                { return nil }

// publish appends a message: "session/packet[+][!][>] device n", where + says that it was sent again, each ! that the identifier was given
// back once, ^ that it has another topic, # that it is malformed, > that everything up to now is known to be acknowledged, and = that everything before the message before is.
func (d *door) publish(l *lab, text string) {
	l.t.Helper()
	var e decode.Envelope
	var device string
	var n int
	id, rest, _ := strings.Cut(text, " ")
	e.Resent, e.Uses = strings.Contains(id, "+"), uint32(strings.Count(id, "!"))
	now := l.machine.Env().Clock.Now().UnixMicro()
	if strings.Contains(id, ">") {
		e.Settled = now
	} else if strings.Contains(id, "=") {
		e.Settled = d.last
	}
	d.last = now
	if _, err := fmt.Sscanf(strings.TrimRight(id, "+!>=^#"), "%d/%d", &e.Session, &e.Packet); err != nil {
		l.t.Fatal(text, err)
	}
	if _, err := fmt.Sscanf(rest, "%s %d", &device, &n); err != nil {
		l.t.Fatal(text, err)
	}
	topic := "t/" + device
	if strings.Contains(id, "^") {
		topic = "u/" + device
	}
	payload := fmt.Appendf(nil, `{"device":%q,"n":%d}`, device, n)
	if strings.Contains(id, "#") {
		payload = payload[:len(payload)-1]
	}
	l.must(d.to.Journal.Append(journal.Batch{
		Records: []journal.Record{{Partition: d.to.Partition(payload), Payload: payload, Topic: topic,
			Received: now, Envelope: e.Append(nil)}},
		Done: func(err error) {
			l.must(err)
			d.acked++
		}}))
	want := d.acked + 1
	l.steps(func() bool { return d.acked == want })
}

const doorConfig = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key        = device
  partitions = 2
  schema     = { device = string, n = integer }
  %s
}
ingest "door" "in" {
  to = channel.c
}
pipeline "p" {
  from = channel.c
  sink "file" "out" { path = "/out/out.ndjson" }
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}`

// Duplicates are the same after a crash, a stop and a swap, each tried after every message.
func TestDuplicates(t *testing.T) {
	sent := strings.Split(strings.TrimSpace(`
1/1 a 1
1/2 a 2
1/1+ a 1
1/1+ a 1
2/1+ a 1
1/3 a 3
1/65 a 1
1/1+ a 1
1/2+! a 2
1/2+! a 2
1/2+ a 9
1/2+ a 9
1/2 a 9
3/4 b 7
3/4+= b 7
3/4+> b 7
3/4+ b 7
0/0 b 1
0/0+ b 1
4/5 a 5
4/5+^ a 5
4/5+^ a 5
4/6# a 6
4/6+# a 6`), "\n")
	const sentRows = `1 1 1 1 2 2 3 5 5 9 9 b1 b1 b7 b7`
	for _, c := range []struct{ dedupe, rows string }{
		{``, sentRows},
		{`dedupe = { key = [device, n], within = "1h" }`, `1 2 3 5 9 b1 b7`},
		{`dedupe = { key = device, within = "1h" }`, `1 b7`},
		{`dedupe = { key = [device, n], within = "1h", max = 1 }`, `1 1 1 2 2 3 5 9 b1 b7`},
	} {
		for _, what := range []string{"", "crash", "stop", "stop at times", "swap"} {
			name := c.dedupe + " " + what
			l := newLab(t)
			d := &door{}
			l.more = []stage.Spec{d.spec()}
			text := fmt.Sprintf(doorConfig, c.dedupe)
			e := l.open(text, false)
			for i, s := range sent {
				d.publish(l, s)
				switch {
				case what == "swap":
					l.must(l.swap(text + strings.Repeat("\n# again", i) + fmt.Sprintf("\nvariable \"v%d\" { default = 1 }", i)))
				case what == "stop at times" && i%4 < 3: // checkpoints that tell of changes alone
					l.settle()
				case what != "":
					if what != "crash" {
						l.settle()
					}
					if what == "crash" {
						l.machine.Crash(uint64(i))
						_ = e.Close() // gives memory back; the files are gone
					} else {
						l.must(e.Close())
					}
					e = l.open(text, false)
				}
			}
			l.settle()
			var got []string
			for _, line := range l.lines("/out/out.ndjson") {
				line = strings.NewReplacer(`{"device":"a","n":`, "", `{"device":"b","n":`, "b", "}", "").Replace(line)
				got = append(got, line)
			}
			if s := strings.Join(got, " "); s != c.rows {
				t.Errorf("%s: %s, not %s", name, s, c.rows)
			}
			if n := len(l.lines("/out/rejects.ndjson")); n != 1 {
				t.Errorf("%s: %d rejects", name, n)
			}
			if s := e.Status(); what == "" {
				if p := s.Totals(); p.Resent != 8 || p.Records != 24 || c.dedupe == "" && p.Repeated != 0 || p.Rows+p.Repeated+p.Resent+1 != 24 {
					t.Errorf("%s: counted %+v", name, p)
				}
			}
			l.close()
		}
	}
}
