package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/tidemill/tidemill/engine/parquet"
)

// bothWork is lakeWork and influxWork at once.
const bothWork = "W7"

const (
	parquetBlock = `
  sink "parquet" "rows" {
    path         = "OUTPUT"
    partition_by = [day(ts)]
  }
`
	influxBlock = `
  sink "influxdb" "out" {
    url    = "URL"
    bucket = "bench"
    tags   = [device, site]
  }
`
	// nothingBlock has every column decoded, and no row written.
	nothingBlock = `
  rule "none" {
    where = temp < -1000
  }

  sink "file" "out" {
    from = rule.none
    path = "OUTPUT"
  }
`
)

// sinkLoad is which sinks a workload writes every record to.
type sinkLoad struct{ parquet, lines bool }

func sinkLoads() map[string]sinkLoad {
	return map[string]sinkLoad{lakeWork: {parquet: true}, influxWork: {lines: true}, bothWork: {true, true}}
}

// config is the text of the pipeline.
func (l sinkLoad) config() string {
	text := benchChannel
	if l.parquet {
		text += parquetBlock
	}
	if l.lines {
		text += influxBlock
	}
	if !l.parquet && !l.lines {
		text += nothingBlock
	}
	return text + "}\n"
}

// peer names the encoders that the sinks are compared with.
func (l sinkLoad) peer() string {
	switch {
	case l.parquet && l.lines:
		return "both encoders"
	case l.parquet:
		return "pqarrow alone"
	}
	return "client's encoder"
}

// sinks measures all rows to sinks behind spools, as a process of its own, and the same without the sinks, in turn.
// A server in this process counts lines and forgets them. The peer is what the libraries' encoders take for the
// same rows, in this process: without a queue, a file or a connection.
func (b *bencher) sinks(r *benchResult, in *benchInput, load sinkLoad) error {
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
	runs, without := make([]usage, b.runs), make([]usage, b.runs)
	for i := range runs {
		var err error
		if without[i], err = b.sinksRun(r.Procs, in, sinkLoad{}, ""); err != nil {
			return err
		}
		lines.Store(0)
		if runs[i], err = b.sinksRun(r.Procs, in, load, server.URL); err != nil {
			return err
		}
		if got := lines.Load(); load.lines && got != in.Records {
			return fmt.Errorf("the server has got %d lines of %d records", got, in.Records)
		}
	}
	u, per := median(runs), float64(r.Records)
	r.CPU, r.Wall, r.RSS = float64(u.cpu)/per, float64(u.wall)/per, u.rss
	r.Without = float64(median(without).cpu) / per
	if b.noPeer {
		return nil
	}
	return b.sinksPeer(r, in, load)
}

func (b *bencher) sinksRun(procs int, in *benchInput, load sinkLoad, url string) (usage, error) {
	self, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	dir, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir)
	output := filepath.Join(dir, "out")
	text := strings.NewReplacer("INPUT", in.Name, "OUTPUT", output, "URL", url).Replace(load.config())
	if err := os.WriteFile(filepath.Join(dir, "bench.hcl"), []byte(text), 0o644); err != nil {
		return usage{}, err
	}
	u, err := b.spawn(procs, self, "run", dir, "--quiet")
	if err == nil && load.parquet {
		err = b.verifyLake(output, in)
	}
	return u, err
}

// sinksPeer measures the libraries' encoders over the same rows, and what is left of their cost by the sinks.
func (b *bencher) sinksPeer(r *benchResult, in *benchInput, load sinkLoad) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(r.Procs))
	text, err := readLines(in.Name, benchDecoded)
	if err != nil {
		return err
	}
	if load.parquet {
		batches, err := plainBatches(blocksOf(text))
		if err != nil {
			return err
		}
		cpu, err := cpuPerRecord(len(text), b.runs, func() error {
			_, err := parquet.Library(batches[0].Schema(), batches)
			return err
		})
		if err != nil {
			return err
		}
		r.PeerCPU += cpu
	}
	if load.lines {
		batches, err := influxBatches(text)
		if err != nil {
			return err
		}
		few, records := fewOf(batches)
		cpu, err := cpuPerRecord(records, b.runs, func() error { return encodeByClient(few) })
		if err != nil {
			return err
		}
		r.PeerCPU += cpu
	}
	r.Peer, r.Ratio = load.peer(), r.PeerCPU/(r.CPU-r.Without)
	return nil
}
