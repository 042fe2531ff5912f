package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/replay"
)

// replayDiff compares two configurations over the same history.
func (a *app) replayDiff(ctx context.Context, f *replayFlags, o replay.Options) (err error) {
	with, err := f.options(a, true)
	if err != nil {
		return err
	}
	o.Every, with.Every = true, true
	if len(o.Write) > 0 {
		return errors.New("--diff and --write do not go together: a comparison writes nothing")
	}
	first, err := a.openReplay(o)
	if err != nil {
		return err
	}
	defer func() { err = failed(errors.Join(err, first.Close())) }()
	with.Beside = first
	second, err := a.openReplay(with)
	if err != nil {
		return err
	}
	defer func() { err = failed(errors.Join(err, second.Close())) }()
	d, err := replay.Compare(ctx, first, second)
	if err != nil {
		return err
	}
	if f.json {
		return a.diffJSON(d)
	}
	return a.diffText(d, f)
}

// changeJSON is a change for scripts.
type changeJSON struct {
	Edge    string          `json:"edge"`
	Key     string          `json:"key"`
	A       json.RawMessage `json:"a,omitempty"`
	B       json.RawMessage `json:"b,omitempty"`
	Columns []string        `json:"columns,omitempty"`
	Because string          `json:"because"`
	Why     string          `json:"why,omitempty"`
	Records []recordJSON    `json:"records,omitempty"`
}

type recordJSON struct {
	Channel   string `json:"channel"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	Received  string `json:"received"`
	In        string `json:"in"`
	Payload   string `json:"payload"`
}

func (a *app) diffJSON(d *replay.Difference) error {
	for i := range d.Changes {
		c := &d.Changes[i]
		j := changeJSON{Edge: c.Edge, Key: c.Key, Columns: c.Columns, Because: c.Cause.Edge, Why: c.Cause.Why}
		if c.A != nil {
			j.A = c.A.Text
		}
		if c.B != nil {
			j.B = c.B.Text
		}
		for _, r := range c.Cause.Records {
			j.Records = append(j.Records, recordJSON{r.Channel, r.Partition, r.Offset, stamp(r.Received), r.In, string(r.Payload)})
		}
		if err := printLine(a.out, j); err != nil {
			return err
		}
	}
	return differs(d)
}

func differs(d *replay.Difference) error {
	if len(d.Changes) > 0 {
		return said(exitFailed)
	}
	return nil
}

// stamp writes a time, us since 1970.
func stamp(us int64) string { return strings.Trim(string(flow.AppendTime(nil, us)), `"`) }

// diffText shows the differences to a person.
func (a *app) diffText(d *replay.Difference, f *replayFlags) error {
	most := int(f.rows)
	if most == 0 {
		most = 20
	}
	out := bufio.NewWriter(a.out)
	next := 0
	for _, e := range d.Edges {
		fmt.Fprintf(out, "%s: %s alike", e.Edge, count(int(e.Same), "row"))
		if e.OnlyA+e.OnlyB == 0 {
			fmt.Fprintln(out)
			continue
		}
		fmt.Fprintf(out, ", %d changed, %d only in A, %d only in B", e.Changed, e.OnlyA-e.Changed, e.OnlyB-e.Changed)
		if e.Why != "" {
			fmt.Fprintf(out, " (%s)", e.Why)
		}
		fmt.Fprintln(out)
		shown := 0
		for ; next < len(d.Changes) && d.Changes[next].Edge == e.Edge; next++ {
			if shown++; shown <= most {
				writeChange(out, &d.Changes[next])
			}
		}
		if shown > most {
			fmt.Fprintf(out, "  ... and %d more; --rows shows more of them\n", shown-most)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return differs(d)
}

// mostCauses is how many records are shown of those that made a row differ.
const mostCauses = 4

func writeChange(out *bufio.Writer, c *replay.Change) {
	fmt.Fprintf(out, "  %s", c.Key)
	if len(c.Columns) > 0 {
		fmt.Fprintf(out, ": %s differ", strings.Join(c.Columns, ", "))
	}
	fmt.Fprintln(out)
	if c.A != nil {
		fmt.Fprintf(out, "    - %s\n", c.A.Text)
	}
	if c.B != nil {
		fmt.Fprintf(out, "    + %s\n", c.B.Text)
	}
	if c.Cause.Edge == c.Edge {
		fmt.Fprintf(out, "    because: %s\n", c.Cause.Why)
	} else {
		fmt.Fprintf(out, "    because rows of %s differ", c.Cause.Edge)
		if c.Cause.Why != "" {
			fmt.Fprintf(out, ": %s", c.Cause.Why)
		}
		fmt.Fprintln(out)
	}
	for i, r := range c.Cause.Records {
		if i == mostCauses {
			fmt.Fprintf(out, "    ... and %d more\n", len(c.Cause.Records)-i)
			break
		}
		fmt.Fprintf(out, "    %s record %d/%d, %s: %s\n", r.In, r.Partition, r.Offset, stamp(r.Received), r.Payload)
	}
}

// replayStep shows what comes of each record of a device. On a terminal it waits for
// the return key before the next one.
func (a *app) replayStep(ctx context.Context, r *replay.Replay, rows int64) error {
	shown := int64(0)
	keys := bufio.NewScanner(a.in)
	wait := a.outTerminal
	return r.Steps(ctx, func(s replay.Step) error {
		if s.Record != nil {
			fmt.Fprintf(a.out, "record %d/%d, %s: %s\n", s.Record.Partition, s.Record.Offset, stamp(s.Record.Received), s.Record.Payload)
		} else {
			fmt.Fprintf(a.out, "clock %s\n", stamp(s.Time))
		}
		for i := range s.Rows {
			if _, err := fmt.Fprintf(a.out, "  %s %s\n", s.Rows[i].Edge, s.Rows[i].Text); err != nil {
				return err
			}
			if shown++; shown == rows {
				return errEnough
			}
		}
		if !wait {
			return nil
		}
		fmt.Fprint(a.err, "return: next record, c: all, q: end > ")
		if !keys.Scan() || strings.TrimSpace(keys.Text()) == "q" {
			return errEnough
		}
		wait = strings.TrimSpace(keys.Text()) != "c"
		return nil
	})
}
