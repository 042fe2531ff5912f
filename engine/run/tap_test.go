package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/engine/run"
)

const tapped = `
engine {
  checkpoint = "20ms"
  tick       = "1h"
}
channel "c" {
  partitions = 2
  key        = device
  schema     = { device = string, n = number }
}
ingest "file" "in" {
  to     = channel.c
  path   = "/in/*.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  rule "r" {
    where = n >= 10
  }
  sink "file" "out" {
    from = rule.r
    path = "/out/p.ndjson"
  }
}
`

// drain counts the rows that wait in a tap.
func drain(t *run.Tap) (rows int64) {
	for {
		select {
		case x := <-t.Rows():
			rows += x.Rows.NumRows()
			x.Rows.Release()
		default:
			return rows
		}
	}
}

// TestTap: what passes an edge is shown; what nobody takes is counted as
// missed and holds nobody up; closing gives everything back (the lab checks that).
func TestTap(t *testing.T) {
	l := newLab(t)
	e := l.open(tapped, false)
	taps := map[string]*run.Tap{}
	for _, edge := range []string{"channel.c", "c", "rule.r", "pipeline.p.rule.r", "p.rejects"} {
		tap, err := e.Tap(edge)
		l.must(err)
		taps[edge] = tap
	}
	total, through := int64(0), int64(0)
	for i := range 40 {
		var b strings.Builder
		for k := range 50 {
			fmt.Fprintf(&b, `{"device":"d%d","n":%d,"file":%d}`+"\n", k%7, k, i) // a followed file is known by its first record
		}
		b.WriteString("not a record\n")
		l.write(fmt.Sprintf("/in/%02d.ndjson", i), b.String())
		total, through = total+50, through+40
	}
	l.settle()
	if n := l.totals().Rows; n != total {
		t.Fatalf("%d rows; a tap holds the engine up", n)
	}
	for edge, want := range map[string]int64{"channel.c": total, "c": total, "rule.r": through, "pipeline.p.rule.r": through, "p.rejects": 40} {
		shown, missed := drain(taps[edge]), taps[edge].Missed()
		if shown+missed != want || shown == 0 || edge == "channel.c" && missed == 0 {
			t.Errorf("%s: %d shown, %d missed, want %d in all", edge, shown, missed, want)
		}
		if taps[edge].Missed() != 0 {
			t.Errorf("%s: what was missed is told twice", edge)
		}
	}
	// A swap changes the graph, and a tap goes on.
	l.must(l.swap(strings.Replace(tapped, "n >= 10", "n >= 0", 1)))
	taps["rule.r"].Close()
	l.write("/in/more.ndjson", `{"device":"x","n":1}`+"\n")
	l.settle()
	if n := drain(taps["pipeline.p.rule.r"]); n != 1 {
		t.Errorf("after a swap: %d rows", n)
	}
	if n := drain(taps["rule.r"]); n != 0 {
		t.Errorf("a tap that is closed shows %d rows", n)
	}
	for edge, tap := range taps {
		if edge != "rule.r" {
			tap.Close()
		}
	}
	l.close()
}

func TestTapRefused(t *testing.T) {
	l := newLab(t)
	e := l.open(strings.Replace(tapped, `pipeline "p"`, "pipeline \"q\" {\n from = channel.c\n rule \"r\" {\n where = n > 1\n }\n}\npipeline \"p\"", 1), false)
	for edge, says := range map[string]string{
		"rule.r": "it may be pipeline.p.rule.r, pipeline.q.rule.r", "p.rule.s": `There is "channel.c"`, "": "There is", "p.sink.out": "no such edge",
	} {
		if _, err := e.Tap(edge); !errors.Is(err, run.ErrNoEdge) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", edge, err, says)
		}
	}
	var open []*run.Tap
	for {
		tap, err := e.Tap("channel.c")
		if err != nil {
			if !errors.Is(err, run.ErrTaps) || len(open) != 16 {
				t.Errorf("after %d: %v", len(open), err)
			}
			break
		}
		open = append(open, tap)
	}
	open[3].Close()
	tap, err := e.Tap("channel.c")
	l.must(err)
	for _, x := range append(open, tap) {
		x.Close() // one of them again
	}
	if _, err := e.Tap("channel.c"); err != nil {
		t.Error(err)
	}
	l.close()
}

// TestTapsComeAndGo opens and closes taps while rows pass, for the race detector.
func TestTapsComeAndGo(t *testing.T) {
	l := newSharedLab(t)
	e := l.open(tapped, false)
	ctx, cancel := context.WithCancel(context.Background())
	ran := l.goroutines(ctx)
	done := make(chan bool)
	var seen atomic.Int64
	for range 4 {
		go func() {
			for ctx.Err() == nil {
				if tap, err := e.Tap("channel.c"); err == nil {
					for k := 0; k < 20 && ctx.Err() == nil; k++ {
						seen.Add(drain(tap))
						e.Status()
					}
					tap.Close()
				}
			}
			done <- true
		}()
	}
	files := 0
	l.until("taps show rows", func() bool {
		l.write(fmt.Sprintf("/in/%06d.ndjson", files), strings.Repeat(fmt.Sprintf(`{"device":"d","n":11,"file":%d}`+"\n", files), 20))
		files++
		return files >= 30 && seen.Load() > 0
	})
	l.until("all rows are through", func() bool { return l.totals().Rows == int64(20*files) })
	cancel()
	l.must(l.wait(ran))
	for range 4 {
		<-done
	}
	l.close()
}
