package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
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

const benchInflux = benchChannel + `
  sink "influxdb" "out" {
    url    = "URL"
    bucket = "bench"
    tags   = [device, site]
  }
}
`

// influx measures the engine as a process of its own that writes every record to a
// server, in this process, which counts lines and forgets them.
func (b *bencher) influx(r *benchResult, in *benchInput) error {
	var lines atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		lines.Add(int64(bytes.Count(body, []byte("\n"))))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	runs := make([]usage, b.runs)
	for i := range runs {
		lines.Store(0)
		u, err := b.influxRun(r.Procs, in, server.URL)
		if err != nil {
			return err
		}
		if got := lines.Load(); got != in.Records {
			return fmt.Errorf("the server has got %d lines of %d records", got, in.Records)
		}
		runs[i] = u
	}
	u, per := median(runs), float64(r.Records)
	r.CPU, r.Wall, r.RSS = float64(u.cpu)/per, float64(u.wall)/per, u.rss
	return nil
}

func (b *bencher) influxRun(procs int, in *benchInput, url string) (usage, error) {
	self, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	dir, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir)
	text := strings.NewReplacer("INPUT", in.Name, "URL", url).Replace(benchInflux)
	if err := os.WriteFile(filepath.Join(dir, "bench.hcl"), []byte(text), 0o644); err != nil {
		return usage{}, err
	}
	return b.spawn(procs, self, "run", dir, "--quiet")
}

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
	few := batches[:max(1, len(batches)/10)]
	records := 0
	for _, rows := range few {
		records += int(rows.NumRows())
	}
	if r.PeerCPU, err = cpuPerRecord(records, b.runs, func() error { return encodeByClient(few) }); err != nil {
		return err
	}
	r.Wall, r.Ratio = r.CPU, r.PeerCPU/r.CPU
	return nil
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
