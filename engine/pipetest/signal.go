package pipetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/splitmix"
)

// signalBlock generates the records of regular devices: each member of set is
// an expression over
//
//	n      number of the device, from 1
//	i      number of its record, from 0
//	t      seconds since the start
//	time   the time of its own clock
//	noise  evenly spread from -1 to 1, another one for each member of set
type signalBlock struct {
	To        hcl.Expression  `hcl:"to"`
	Devices   int             `hcl:"devices,optional"`
	Every     config.Duration `hcl:"every"`
	For       config.Duration `hcl:"for"`
	From      config.Duration `hcl:"begin,optional"`
	Seed      uint64          `hcl:"seed,optional"`
	Set       hcl.Expression  `hcl:"set"`
	Topic     string          `hcl:"topic,optional"`
	Duplicate float64         `hcl:"duplicated,optional"`
	Offline   []*gapBlock     `hcl:"offline,block"`
	Skews     []*skewBlock    `hcl:"skew,block"`
	Range     hcl.Range       `hcl:",def_range"`

	channel string
	members []config.Member
}

// gapBlock keeps devices from sending: what they measured comes afterwards, in one go.
type gapBlock struct {
	Devices []int           `hcl:"devices"`
	At      config.Duration `hcl:"at"`
	For     config.Duration `hcl:"for"`
}

// skewBlock puts the clocks of devices ahead, or behind.
type skewBlock struct {
	Devices []int           `hcl:"devices"`
	Ahead   config.Duration `hcl:"ahead,optional"`
	Behind  config.Duration `hcl:"behind,optional"`
}

// mostGenerated limits the records of a generate block.
const mostGenerated = 20_000_000

func (g *signalBlock) read() hcl.Diagnostics {
	diags := reference(g.To, "to", &g.channel)
	if g.Devices == 0 {
		g.Devices = 1
	}
	switch {
	case g.Devices < 1 || g.Devices > 10_000_000:
		diags = append(diags, config.Errorf(g.Range, "Wrong number", "devices is from 1 to 10000000; this is %d.", g.Devices)...)
	case g.Every.Length() <= 0:
		diags = append(diags, config.Errorf(g.Range, "Wrong duration", "every should be more than 0s.")...)
	case float64(g.For.Length()/g.Every.Length())*float64(g.Devices) > mostGenerated:
		diags = append(diags, config.Errorf(g.Range, "Too many records", "A generate block makes at most %d records; this one would make %.0f. A fleet block has no such limit.", mostGenerated, float64(g.For.Length()/g.Every.Length())*float64(g.Devices))...)
	}
	o, ok := g.Set.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return append(diags, config.Errorf(g.Set.Range(), "Not an object", "set takes members and their expressions in braces: set = { device = \"t${n}\", ts = time, temp = 20 + sin(t / 600) }.")...)
	}
	var more hcl.Diagnostics
	g.members, more = config.ObjectMembers(o)
	diags = append(diags, more...)
	_, more = g.compile()
	return append(diags, more...)
}

// inputSchema is what the expressions see.
func inputSchema() *arrow.Schema {
	return flow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "i", Type: arrow.PrimitiveTypes.Int64},
		{Name: "t", Type: arrow.PrimitiveTypes.Float64}, {Name: "time", Type: flow.Timestamp},
		{Name: "noise", Type: arrow.PrimitiveTypes.Float64},
	})
}

func (g *signalBlock) compile() ([]*expr.Program, hcl.Diagnostics) {
	scope := &expr.Scope{Schema: inputSchema(), What: "generate"}
	var progs []*expr.Program
	var diags hcl.Diagnostics
	for _, m := range g.members {
		p, more := expr.Compile(m.Value, scope)
		diags = append(diags, more...)
		progs = append(progs, p)
	}
	return progs, diags
}

// signal is a generate block at work. Devices send in turn, in rounds.
type signal struct {
	*signalBlock
	start   time.Time
	progs   []*expr.Program
	encoder *flow.JSONEncoder
	round   int64
	rounds  int64
	waiting []arriving // of this round, and backlogs that came with it
	held    [][]arriving
	random  splitmix.Source
	skew    []time.Duration
}

func (g *signalBlock) supply(start time.Time) supply {
	progs, diags := g.compile()
	if diags.HasErrors() {
		panic("BUG: a generate block was not checked")
	}
	s := &signal{signalBlock: g, start: start.Add(g.From.Length()), progs: progs, rounds: int64(g.For.Length() / g.Every.Length()),
		held: make([][]arriving, g.Devices), random: splitmix.Source(g.Seed ^ 0x7369676e616c), skew: make([]time.Duration, g.Devices)}
	for _, k := range g.Skews {
		for _, d := range k.Devices {
			if d >= 1 && d <= g.Devices {
				s.skew[d-1] += k.Ahead.Length() - k.Behind.Length()
			}
		}
	}
	return s
}

func (s *signal) next(r *arriving) (ok bool) {
	for len(s.waiting) == 0 {
		if s.round >= s.rounds {
			return s.rest(r)
		}
		s.makeRound()
	}
	*r, s.waiting = s.waiting[0], s.waiting[1:]
	return true
}

// rest gives what devices still hold that never came back.
func (s *signal) rest(r *arriving) (ok bool) {
	at := s.start.Add(s.For.Length()).UnixMicro()
	for d, list := range s.held {
		if len(list) > 0 {
			*r, s.held[d] = list[0], list[1:]
			r.at = at
			return true
		}
	}
	return false
}

// makeRound makes one record of every device.
func (s *signal) makeRound() {
	now := s.start.Add(time.Duration(s.round) * s.Every.Length())
	payloads := s.payloads(now)
	since := now.Sub(s.start) + s.From.Length()
	s.waiting = s.waiting[:0]
	for d := range s.Devices {
		r := arriving{at: now.UnixMicro(), topic: s.Topic, payload: payloads[d]}
		if s.isOffline(d+1, since) {
			s.held[d] = append(s.held[d], r)
			continue
		}
		for _, old := range s.held[d] {
			old.at = r.at
			s.waiting = append(s.waiting, old)
		}
		s.held[d] = nil
		s.waiting = append(s.waiting, r)
		if s.Duplicate > 0 && s.draw() < s.Duplicate {
			s.waiting = append(s.waiting, r)
		}
	}
	s.round++
}

func (s *signal) isOffline(device int, since time.Duration) bool {
	for _, g := range s.Offline {
		if since >= g.At.Length() && since < g.At.Length()+g.For.Length() && slices.Contains(g.Devices, device) {
			return true
		}
	}
	return false
}

// draw returns the next number from 0 up to 1, which it never is: duplicated = 1 doubles every record.
func (s *signal) draw() float64 { return float64(s.random.Next()>>11) / (1 << 53) }

// payloads evaluates set for all devices at a time.
func (s *signal) payloads(now time.Time) [][]byte {
	alloc := memory.DefaultAllocator
	fields := make([]arrow.Field, len(s.members))
	cols := make([]arrow.Array, 0, flow.MetaColumns+len(s.members))
	var rows arrow.RecordBatch
	for k, p := range s.progs {
		in := s.input(now)
		if k == 0 {
			rows = in
			defer rows.Release()
			for c := range flow.MetaColumns {
				cols = append(cols, in.Column(c))
			}
		} else {
			defer in.Release()
		}
		cols = append(cols, p.Eval(in, alloc))
		fields[k] = arrow.Field{Name: s.members[k].Name, Type: p.Type(), Nullable: true}
	}
	schema := flow.NewSchema(fields)
	out := array.NewRecordBatch(schema, cols, int64(s.Devices))
	defer out.Release()
	for _, c := range cols[min(flow.MetaColumns, len(cols)):] {
		c.Release()
	}
	if s.encoder == nil {
		s.encoder = flow.NewJSONEncoder(schema, false)
	}
	payloads := make([][]byte, s.Devices)
	for d := range payloads {
		payloads[d] = s.encoder.AppendRow(nil, out, d)
	}
	return payloads
}

// input makes the columns that expressions see; the noise is new each time.
func (s *signal) input(now time.Time) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, inputSchema())
	defer b.Release()
	at := arrow.Timestamp(now.UnixMicro())
	for d := range s.Devices {
		b.Field(flow.ColOffset).(*array.Int64Builder).Append(int64(d))
		b.Field(flow.ColIndex).(*array.Int32Builder).Append(0)
		b.Field(flow.ColReceived).(*array.TimestampBuilder).Append(at)
		b.Field(flow.ColTime).(*array.TimestampBuilder).Append(at)
		b.Field(flow.ColSlot).(*array.Uint32Builder).Append(0)
		b.Field(flow.ColMark).(*array.Int64Builder).Append(flow.NoMark)
		col := func(i int) array.Builder { return b.Field(flow.MetaColumns + i) }
		col(0).(*array.Int64Builder).Append(int64(d + 1))
		col(1).(*array.Int64Builder).Append(s.round)
		col(2).(*array.Float64Builder).Append(now.Sub(s.start).Seconds() + s.From.Length().Seconds())
		col(3).(*array.TimestampBuilder).Append(arrow.Timestamp(now.Add(s.skew[d]).UnixMicro()))
		col(4).(*array.Float64Builder).Append(2*s.draw() - 1)
	}
	return b.NewRecordBatch()
}

func (s *signal) String() string { return fmt.Sprintf("%d devices", s.Devices) }
