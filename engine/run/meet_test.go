package run_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// latest is a join of the smallest kind: with each row of its first input goes the last value, so far, of the same key of
// its second.
type latest struct {
	o    stage.Opening
	out  *arrow.Schema
	last *state.Table
}

type latestArgs struct{}

func latestSpec() stage.Spec {
	return stage.Spec{Kind: "join", Type: "smallest", Help: "A join of the test.", Args: func() stage.Args { return &latestArgs{} }}
}

func (a *latestArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	out := flow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "v", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "limit", Type: arrow.PrimitiveTypes.Int64}})
	return stage.Bound{Out: out, Key: "device", Meet: [][]string{{"device"}, {"dev"}}, Reads: []string{"device", "v", "dev", "max"},
		State: []state.Decl{{Name: "last", Digest: "1", MaxKeys: 1000, Columns: []state.Column{{Name: "v", Type: state.I64}}}},
		OpenStage: func(o stage.Opening) (stage.Stage, error) {
			return &latest{o: o, out: out, last: o.Tables[0]}, nil
		}}, nil
}

func (l *latest) Process(in int, rows arrow.RecordBatch, out flow.Emitter) error {
	n := int(rows.NumRows())
	key := rows.Column(rows.Schema().FieldIndices([]string{"device", "dev"}[in])[0]).(*array.String)
	b := array.NewRecordBuilder(l.o.Alloc, l.out)
	defer b.Release()
	for i := range n {
		slot, _, err := l.last.Slot([]byte(key.Value(i)))
		if err != nil {
			return err
		}
		if in == 1 {
			l.last.I64(0)[slot] = int64(rows.Column(rows.Schema().FieldIndices("max")[0]).(*array.Float64).Value(i))
			l.last.Touch(slot)
			continue
		}
		b.Field(flow.ColOffset).(*array.Int64Builder).Append(flow.Offsets(rows)[i])
		b.Field(flow.ColIndex).(*array.Int32Builder).Append(0)
		b.Field(flow.ColReceived).(*array.TimestampBuilder).Append(flow.Received(rows)[i])
		b.Field(flow.ColTime).(*array.TimestampBuilder).Append(flow.Times(rows)[i])
		b.Field(flow.ColSlot).(*array.Uint32Builder).Append(flow.Slots(rows)[i])
		b.Field(flow.ColMark).(*array.Int64Builder).Append(flow.Marks(rows)[i])
		b.Field(flow.MetaColumns).(*array.StringBuilder).Append(key.Value(i))
		b.Field(flow.MetaColumns + 1).(*array.Float64Builder).Append(rows.Column(rows.Schema().FieldIndices("v")[0]).(*array.Float64).Value(i))
		b.Field(flow.MetaColumns + 2).(*array.Int64Builder).Append(l.last.I64(0)[slot])
	}
	out.Emit(b.NewRecordBatch())
	return nil
}

func (l *latest) Advance(int, flow.Watermarks, flow.Emitter) error { return nil }
func (l *latest) Close() error                                     { return nil }

const meeting = `
engine {
  checkpoint = "20ms"
  tick       = "50ms"
}
channel "values" {
  key        = device
  partitions = 3
  schema     = { device = string, v = number, more = string }
}
channel "limits" {
  key        = id
  partitions = 2
  schema     = { id = string, dev = string, max = number }
}
ingest "file" "values" {
  to   = channel.values
  path = "/in/values.ndjson"
}
ingest "file" "limits" {
  to      = channel.limits
  path    = "/in/limits.ndjson"
}
pipeline "j" {
  from = channel.values
  join "smallest" "both" { from = [channel.values, channel.limits] }
  rule "over" {
    from  = join.both
    where = v >= limit
  }
  sink "file" "both" {
    from = [join.both, rule.over]
    path = "/out/both.ndjson"
  }
}
`

// TestMeet: rows of two channels, by keys of different names and in different partitions, meet in one stage.
func TestMeet(t *testing.T) {
	l := newLab(t)
	l.more = append(l.more, latestSpec())
	var values, limits strings.Builder
	for d := range 10 {
		fmt.Fprintf(&limits, `{"id":"i%d","dev":"d%d","max":%d}`+"\n", d, d, d+1)
	}
	l.write("/in/limits.ndjson", limits.String())
	l.write("/in/values.ndjson", "")
	l.complete(meeting)
	for i := range 200 {
		fmt.Fprintf(&values, `{"device":"d%d","v":%d}`+"\n", i%10, i%13)
	}
	l.write("/in/values.ndjson", values.String())
	l.complete(meeting)
	var want []string
	for i := range 200 {
		d, v := i%10, i%13
		row := fmt.Sprintf(`{"device":"d%d","v":%d,"limit":%d}`, d, v, d+1)
		want = append(want, row)
		if v >= d+1 {
			want = append(want, row)
		}
	}
	slices.Sort(want)
	if got := l.lines("/out/both.ndjson"); !slices.Equal(got, want) {
		t.Errorf("%d rows, not %d: %q\n%q", len(got), len(want), got[:min(3, len(got))], l.reports)
	}
}

// TestFeedLeft: what is on its way to a channel when a pipeline goes still arrives, after a swap and after a restart.
func TestFeedLeft(t *testing.T) {
	without := func(text string) string {
		from, to := strings.Index(text, `pipeline "a"`), strings.Index(text, `pipeline "b"`)
		return text[:from] + strings.Replace(strings.Replace(text[from:to], `"a"`, `"other"`, 1), `"1m"`, `"2m"`, 1) + text[to:]
	}
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			l := newLab(t)
			l.write("/in/data.ndjson", rollupInput(5, 5*1000))
			// The first pipeline has committed what the second has not read.
			e := l.open(rollups, true)
			for waits := false; !waits; l.machine.Advance(time.Millisecond) {
				for _, a := range e.Actors() {
					_, err := a.Step()
					l.must(err)
					if waits = e.Status().Channels[1].Partitions[0].Lag > 1; waits {
						break
					}
				}
			}
			if restart {
				l.close()
				l.open(without(rollups), true)
			} else {
				l.must(l.swap(without(rollups)))
			}
			l.steps(l.engine.Done)
			l.close()
			odd := 0 // windows of a minute, which only the pipeline that went has made
			for _, row := range l.lines("/out/minutes.ndjson") {
				if regexp.MustCompile(`"window_end":"[^"]*[13579]:00Z"`).MatchString(row) {
					odd++
				}
			}
			if odd == 0 {
				t.Errorf("what was on its way is lost; reports: %q", l.reports)
			}
		})
	}
}
