package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine/simulate"
)

// benchInput is a file of records, and what there is to find in it according
// to a recount that shares no code with the engine.
type benchInput struct {
	Name    string  `json:"-"`
	Records int64   `json:"records"`
	Bytes   int64   `json:"bytes"`
	Passes  int64   `json:"passes"`   // records with temp > setpoint + 3 && !door_open
	Over    float64 `json:"over"`     // sum of their temp - setpoint
	Windows int64   `json:"windows"`  // of five minutes by device
	Temp    float64 `json:"temp_sum"` // of all records
}

// input returns the records of a fleet, from an earlier bench if there are any. They lie in the page cache, as they do
// when they have just been made: to get them from the disk costs the first run as much processor time again.
func (b *bencher) input(records int64, devices int) (*benchInput, error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(b.dir, fmt.Sprintf("%d-records-of-%d-devices.ndjson", records, devices))
	in := &benchInput{Name: name}
	text, err := os.ReadFile(name + ".found")
	if err == nil && json.Unmarshal(text, in) == nil {
		if info, err := os.Stat(name); err == nil && info.Size() == in.Bytes {
			return in, in.warm()
		}
	}
	fmt.Fprintf(b.app.err, "Making %s ...\n", name)
	in = &benchInput{Name: name}
	if err := in.make(records, devices); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(in); err != nil {
		return nil, err
	}
	return in, os.WriteFile(name+".found", text, 0o644)
}

// warm reads the file once.
func (in *benchInput) warm() error {
	f, err := os.Open(in.Name)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return errors.Join(err, f.Close())
}

func (in *benchInput) make(records int64, devices int) error {
	fleet, err := simulate.New(simulate.Options{
		Devices: devices, Records: records, Seed: 1, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		return err
	}
	f, err := os.Create(in.Name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	windows := map[string]int64{} // the latest by device
	for {
		var ok bool
		if line, _, ok = fleet.Next(line[:0]); !ok {
			break
		}
		if err := in.find(line, windows); err != nil {
			return errors.Join(err, f.Close())
		}
		if _, err := w.Write(line); err != nil {
			return errors.Join(err, f.Close())
		}
		in.Bytes += int64(len(line))
	}
	return errors.Join(w.Flush(), f.Close())
}

// find counts what a record is to the workloads. A device's records are in
// order of their time.
func (in *benchInput) find(line []byte, windows map[string]int64) error {
	temp, err := number(line, "temp")
	if err != nil {
		return err
	}
	setpoint, err := number(line, "setpoint")
	if err != nil {
		return err
	}
	in.Records++
	in.Temp += temp
	if temp > setpoint+3 && bytes.Contains(line, []byte(`"door_open":false`)) {
		in.Passes++
		in.Over += temp - setpoint
	}
	at, err := time.Parse(time.RFC3339, string(member(line, "ts")))
	if err != nil {
		return err
	}
	device, window := member(line, "device"), at.Unix()/300
	if windows[string(device)] != window {
		windows[string(device)] = window
		in.Windows++
	}
	return nil
}

// member returns the text of a member of a line that the simulation has made.
func member(line []byte, name string) []byte {
	_, rest, _ := bytes.Cut(line, []byte(`"`+name+`":`))
	end := bytes.IndexAny(rest, ",}")
	return bytes.Trim(rest[:max(0, end)], `"`)
}

func number(line []byte, name string) (float64, error) {
	return strconv.ParseFloat(string(member(line, name)), 64)
}

// printLine writes a value as JSON on one line.
func printLine(w io.Writer, v any) error { return failed(json.NewEncoder(w).Encode(v)) }
