package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestLoneOrder: of two rows of one tick interval that go out alone, one is late unless the other has come before it. They come in the
// order of their partitions, and in one partition in their own, in one phase and in two.
func TestLoneOrder(t *testing.T) {
	const sec = 1_000_000
	row := func(partition int, t int64) event {
		return event{device: partition, t: t, received: 1001 * sec, code: "a", temp: 1, hasTemp: true}
	}
	joins, late := int64(990*sec), int64(984*sec) // with a gap of 10 s and a grace of 5, at 1000 s
	for _, c := range []struct {
		rows []event
		both bool
	}{
		{[]event{row(0, joins), row(1, late)}, true},
		{[]event{row(1, late), row(0, joins)}, true},
		{[]event{row(0, late), row(1, joins)}, false},
		{[]event{row(1, joins), row(0, late)}, false},
		{[]event{row(1, joins), row(1, late)}, true},
		{[]event{row(1, late), row(1, joins)}, false},
	} {
		for _, way := range []string{"drop", "side"} {
			x := &apart{trial: &trial{r: rand.New(rand.NewPCG(1, 1)), devices: 2, tasks: 2, names: []string{"n", "total_"}}, by: []string{"code"}, sites: 1, whole: true, timely: true}
			x.kind, x.gap, x.grace, x.drop = session, 10*sec, 5*sec, true
			x.args = fmt.Sprintf("by = [code]\ngap = \"10s\"\ngrace = \"5s\"\nlate = %q\nemit = { n = count(), total_ = count() }\n", way)
			x.events = append([]event{{device: 0, t: 1000 * sec, received: 1000 * sec, code: "a"}, {tick: true, t: 1000 * sec}}, c.rows...)
			x.events = append(x.events, event{tick: true, t: 1002 * sec})
			if _, err := x.check(); err != nil {
				t.Fatal(way, c.rows, err)
			}
			two := x.course(true)
			if two.err != nil {
				t.Fatal(two.err)
			}
			if two.rows < len(c.rows) {
				t.Errorf("%s, %+v: %d rows went on", way, c.rows, two.rows)
			}
			refused := 0
			for id := range two.got {
				if strings.HasPrefix(id, "counted late_") {
					refused++
				}
			}
			if (refused == 0) != c.both {
				t.Errorf("%s, %+v: %d late", way, c.rows, refused)
			}
		}
	}
}

// TestPartEdges: rows that are a gap apart are in two sessions, wherever multiples of the gap lie; and a part that begins earlier than it did leaves
// earlier, before a session that is near it ends.
func TestPartEdges(t *testing.T) {
	const sec = 1_000_000
	row := func(partition int, t, received int64) event {
		return event{device: partition, t: t, received: received, code: "a", temp: 1, hasTemp: true}
	}
	tick := func(t int64) event { return event{tick: true, t: t} }
	for _, c := range []struct {
		grace    string
		sessions int
		events   []event
	}{
		{"60s", 2, []event{row(0, 1000*sec, 1011*sec), row(0, 1010*sec, 1011*sec), tick(1012 * sec)}},
		{"60s", 2, []event{row(0, 1010*sec, 1011*sec), row(0, 1000*sec, 1011*sec), tick(1012 * sec)}},
		{"60s", 1, []event{row(0, 1000*sec, 1011*sec), row(0, 1010*sec-1, 1011*sec), tick(1012 * sec)}},
		{"60s", 2, []event{row(0, 1000*sec+1, 1011*sec), row(0, 1010*sec+1, 1011*sec), tick(1012 * sec)}},
		{"60s", 2, []event{row(0, 1000*sec-1, 1011*sec), row(0, 1010*sec-1, 1011*sec), tick(1012 * sec)}},
		{"60s", 2, []event{row(0, 100*(10*sec+1), 1011*sec), row(0, 100*(10*sec+1)+10*sec, 1011*sec), tick(1012 * sec)}}, // where parts of a microsecond more would begin
		{"50s", 2, []event{ // what begins at 992 s would end at 1002, and with a grace at 1052
			row(1, 992*sec, 1000*sec), tick(1000 * sec), row(0, 1009*sec, 1009*sec), row(0, 1001*sec, 1010*sec), tick(1011 * sec),
			row(1, 1052*sec, 1052*sec), tick(1052 * sec), tick(1070 * sec)}},
	} {
		x := &apart{trial: &trial{r: rand.New(rand.NewPCG(1, 1)), devices: 2, tasks: 2, names: []string{"n", "total_"}}, by: []string{"code"}, sites: 1, whole: true, timely: true}
		grace, err := time.ParseDuration(c.grace)
		if err != nil {
			t.Fatal(err)
		}
		x.kind, x.gap, x.grace, x.events = session, 10*sec, grace.Microseconds(), c.events
		x.args = fmt.Sprintf("by = [code]\ngap = \"10s\"\ngrace = %q\nkeep = \"1h\"\nemit = { n = count(), total_ = count() }\n", c.grace)
		if n, err := x.check(); err != nil || n != c.sessions {
			t.Errorf("%+v: %d sessions, %v", c.events, n, err)
		}
	}
}

// TestTickRestored: after restarts, with snapshots of all and of what has changed, it is known which rows come a grace behind their own time.
func TestTickRestored(t *testing.T) {
	x := &apart{trial: &trial{r: rand.New(rand.NewPCG(1, 1)), devices: 1, tasks: 1, crashes: true}, by: []string{"code"}, sites: 1}
	x.kind = session
	x.args = "by = [code]\ngap = \"10s\"\ngrace = \"50s\"\nemit = { n = count() }\n"
	alone := 0
	p := &phase{apart: x, counts: map[string]int64{}, emits: func(rows arrow.RecordBatch) { alone += int(rows.NumRows()) }, bound: func() (stage.Bound, error) {
		b, err := x.bind(false, false, "")
		if err != nil {
			return b, err
		}
		return *b.First, nil
	}}
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	restarts := 0
	for at := int64(1000); at < 3000; at += 10 {
		if err := stage.AdvanceWhole(p.stage, 0, flow.Watermarks{Tick: at * 1e6, Ticked: true}, p); err != nil {
			t.Fatal(err)
		}
		was := p.stage
		if err := p.restart(); err != nil {
			t.Fatal(err)
		}
		if p.stage == was {
			continue
		}
		restarts++
		for _, behind := range []int64{50, 49} { // the first goes at once, the second waits for others
			alone = 0
			b := array.NewRecordBuilder(memory.DefaultAllocator, apartSchema())
			(&course{apart: x}).append(b, event{t: (at - behind) * 1e6, received: at * 1e6, code: "a"})
			if err := p.stage.Process(0, b.NewRecordBatch(), p); err != nil {
				t.Fatal(err)
			}
			if (alone == 1) != (behind == 50) {
				t.Fatalf("at %d, after %d restarts: %d rows go out at once of one %d s behind", at, restarts, alone, behind)
			}
		}
	}
	if restarts < 10 {
		t.Errorf("%d restarts", restarts)
	}
}

// TestPartsBound: parts of another gap are not taken for parts of this one, whose rows they would not be a session of; with another grace they are the
// same. And what waits in a partition is looked for as far back as it may be from.
func TestPartsBound(t *testing.T) {
	bound := func(gap, grace string) (layout string, reach int64) {
		x := &apart{trial: &trial{}, by: []string{"code"}}
		x.kind = session
		x.args = fmt.Sprintf("by = [code]\ngap = %q\ngrace = %q\nemit = { n = count() }\n", gap, grace)
		b, err := x.bind(false, false, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range b.First.Out.Fields() {
			if strings.HasPrefix(f.Name, partName) {
				layout = f.Name
			}
		}
		return layout, b.First.Reach
	}
	layout, reach := bound("10s", "50s")
	if reach < 50_000_000 || layout == "" {
		t.Errorf("%q reaches back %d us", layout, reach)
	}
	if other, _ := bound("20s", "50s"); other == layout {
		t.Error("parts of another gap are merged")
	}
	if same, _ := bound("10s", "5s"); same != layout {
		t.Error("parts that waited for another grace are lost")
	}
}

// TestPartsRoom: rows that wait for their grace fill a table, which says so; parts that have left make room, and plan counts those of a grace.
func TestPartsRoom(t *testing.T) {
	x := &apart{trial: &trial{r: rand.New(rand.NewPCG(1, 1)), devices: 1, tasks: 1}, by: []string{"code"}, sites: 1}
	x.kind = session
	x.args = "by = [code]\ngap = \"10s\"\ngrace = \"50s\"\nemit = { n = count() }\n"
	p := &phase{apart: x, counts: map[string]int64{}, emits: func(rows arrow.RecordBatch) {}, bound: func() (stage.Bound, error) {
		b, err := x.bind(false, false, "")
		if err != nil {
			return b, err
		}
		if n := b.First.State[1].KeysPlanned; n != 70_000 {
			t.Errorf("%d parts are planned", n)
		}
		b.First.State[1].MaxKeys = 6
		return *b.First, nil
	}}
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	feed := func(from, to int) (err error) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, apartSchema())
		for at := from; at < to && err == nil; at += 10 {
			(&course{apart: x}).append(b, event{t: int64(at) * 1e6, received: int64(at) * 1e6, code: "a"})
			err = p.stage.Process(0, b.NewRecordBatch(), p)
		}
		return err
	}
	for at := 1000; at < 2000; at += 10 { // a minute of ten seconds
		if err := feed(at, at+10); err != nil {
			t.Fatal(at, err)
		}
		if err := stage.AdvanceWhole(p.stage, 0, flow.Watermarks{Tick: int64(at+1) * 1e6, Ticked: true}, p); err != nil {
			t.Fatal(err)
		}
	}
	err := feed(2000, 2100)
	if err == nil || !strings.Contains(err.Error(), "window.it holds 1 keys (by code) and 6 parts of windows that wait for their grace; a shorter grace or fewer columns in by help") {
		t.Error(err)
	}
}
