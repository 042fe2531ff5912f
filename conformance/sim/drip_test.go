package sim

import (
	"bytes"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// drip is an ingest that brings a file's lines one at a time, so that ticks come between them.
type drip struct {
	lines [][]byte
	at    int
	pos   uint64
	to    stage.SourceEnv
	known journal.Position
}

type dripArgs struct {
	Path string `hcl:"path"`
}

func dripSpec() stage.Spec {
	return stage.Spec{Kind: "ingest", Type: "drip", Help: "Brings lines one at a time.", Args: func() stage.Args { return &dripArgs{} }}
}

func (a *dripArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{OpenSource: func(o stage.Opening, to stage.SourceEnv) (stage.Source, error) {
		f, err := o.Env.FS.Open(a.Path, env.ReadOnly)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		buf := make([]byte, info.Size())
		if _, err := f.ReadAt(buf, 0); err != nil {
			return nil, err
		}
		return &drip{lines: bytes.Split(bytes.TrimSuffix(buf, []byte("\n")), []byte("\n")), to: to, known: to.Journal.Position("drip")}, nil
	}}, nil
}

func (d *drip) Step() (stage.Status, error) {
	if d.at == len(d.lines) {
		return stage.Ended, nil
	}
	line := d.lines[d.at]
	pos := d.pos + uint64(len(line)) + 1
	part := d.to.Partition(line)
	if pos > d.known.Reached[part] && pos > d.known.Committed {
		err := d.to.Journal.Append(journal.Batch{Records: []journal.Record{{Partition: part, Payload: line, Received: int64(pos), Pos: pos}}, Source: "drip", Pos: pos})
		if errors.Is(err, journal.ErrBusy) {
			return stage.Idle, nil
		}
		if err != nil {
			return stage.Idle, err
		}
	}
	d.at, d.pos = d.at+1, pos
	return stage.Busy, nil
}

func (d *drip) Close() error { return nil }
