package main

import (
	"errors"
	"runtime"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	influxdb "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/lineproto"
)

const (
	influxWork = "W6"
	linesWork  = "lines"
)

// lines measures line protocol alone, in this process, and the client library's encoder beside
// it, which gets points made for it, since it takes no columns.
func (b *bencher) lines(r *benchResult, in *benchInput) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(r.Procs))
	lines, err := readLines(in.Name, benchDecoded)
	if err != nil {
		return err
	}
	r.Records = int64(len(lines))
	batches, err := influxBatches(lines)
	if err != nil {
		return err
	}
	layout := lineproto.Layout{Measurement: "telemetry", Tags: []string{"device", "site"}}
	for _, f := range benchFields()[3:] {
		layout.Fields = append(layout.Fields, f.Name)
	}
	e, err := lineproto.NewEncoder(layout)
	if err != nil {
		return err
	}
	var out lineproto.Lines
	if r.CPU, err = cpuPerRecord(len(lines), 2*b.runs+1, func() error {
		for _, rows := range batches {
			out.Reset()
			if p := e.Append(&out, rowsToEncode(rows), int(rows.NumRows())); len(p) > 0 {
				return errors.New(p[0].Reason)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	r.Peer = "influxdb-client-go"
	few, records := fewOf(batches)
	if r.PeerCPU, err = cpuPerRecord(records, b.runs, func() error { return encodeByClient(few) }); err != nil {
		return err
	}
	r.Wall, r.Ratio = r.CPU, r.PeerCPU/r.CPU
	return nil
}

// fewOf is the part of the batches that a slow encoder gets, and how many records that is.
func fewOf(batches []arrow.RecordBatch) (few []arrow.RecordBatch, records int) {
	few = batches[:max(1, len(batches)/10)]
	for _, rows := range few {
		records += int(rows.NumRows())
	}
	return few, records
}

func influxBatches(lines [][]byte) ([]arrow.RecordBatch, error) {
	d, err := decode.NewJSON(decode.Config{Fields: benchFields(), Alloc: &keeper{map[int][][]byte{}}})
	if err != nil {
		return nil, err
	}
	var batches []arrow.RecordBatch
	var out decode.Result
	for _, block := range blocksOf(lines) {
		d.Decode(block, block.First, &out)
		batches = append(batches, out.Rows)
	}
	return batches, nil
}

func rowsToEncode(rows arrow.RecordBatch) *lineproto.Rows {
	col := func(i int) arrow.Array { return rows.Column(flow.MetaColumns + i) }
	r := &lineproto.Rows{Tags: []arrow.Array{col(0), col(2)}, Times: col(1).(*array.Timestamp)}
	for i := 3; i < len(benchFields()); i++ {
		r.Fields = append(r.Fields, col(i))
	}
	return r
}

func encodeByClient(batches []arrow.RecordBatch) error {
	names := benchFields()
	for _, rows := range batches {
		c := rowsToEncode(rows)
		for row := range int(rows.NumRows()) {
			fields := make(map[string]any, len(c.Fields))
			for i, a := range c.Fields {
				switch a := a.(type) {
				case *array.Float64:
					fields[names[3+i].Name] = a.Value(row)
				case *array.Boolean:
					fields[names[3+i].Name] = a.Value(row)
				case *array.Int64:
					fields[names[3+i].Name] = a.Value(row)
				}
			}
			tags := map[string]string{"device": c.Tags[0].(*array.String).Value(row), "site": c.Tags[1].(*array.String).Value(row)}
			p := influxdb.NewPoint("telemetry", tags, fields, time.UnixMicro(int64(c.Times.Value(row))))
			if write.PointToLineProtocol(p, time.Microsecond) == "" {
				return errors.New("the client has written nothing")
			}
		}
	}
	return nil
}
