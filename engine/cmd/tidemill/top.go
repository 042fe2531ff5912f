package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/run"
)

const topHelp = `Shows what a running engine does: how many records come in, how far the tasks are behind, what each
stage and sink lets through, and what is rejected. In a terminal the view is renewed in place until the
first interrupt, and cut to the window; elsewhere one follows the other. With --once it is printed once,
over one interval.

`

type topFlags struct {
	folder
	once, json bool
	every      string
}

func (a *app) topCommand() *cobra.Command {
	f := &topFlags{}
	cmd := &cobra.Command{
		Use:     "top [DIR]",
		Short:   "Show what a running engine does",
		Long:    topHelp + exitHelp,
		Example: "  tidemill top pipelines/coldhaul\n  tidemill top pipelines/coldhaul --once",
	}
	f.flags(cmd, true)
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.Flags().BoolVar(&f.once, "once", false, "print once, and end")
	cmd.Flags().BoolVar(&f.json, "json", false, "write the status as JSON, once")
	cmd.Flags().StringVar(&f.every, "every", "1s", "how often to look")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(append(args, "."))
		return a.top(f)
	}
	return cmd
}

func (a *app) top(f *topFlags) error {
	every, err := config.ParseDuration(f.every)
	if err != nil {
		return fmt.Errorf("--every: %w", err)
	}
	every = max(every, 50*time.Millisecond)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client := admin.NewClient(f.data)
	last, err := client.Status(ctx)
	if err != nil {
		return a.ended(f.folder, ctx, err)
	}
	if f.json {
		return printJSON(a.out, last)
	}
	draw := func(view string) error { _, err := fmt.Fprint(a.out, view); return err }
	in := draw
	if a.outTerminal && !f.once {
		in = (&screen{write: draw, size: terminalSize}).draw
		if err := draw(screenBegin); err != nil {
			return failed(err)
		}
	}
	err = a.renew(ctx, f, client, last, every, in)
	if a.outTerminal && !f.once {
		err = errors.Join(err, draw(screenEnd))
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, admin.ErrNotRunning) && !f.once:
		return failed(draw("The engine has ended.\n"))
	}
	return err
}

// renew draws what an engine does, again and again until it cannot be asked any more; with --once once.
func (a *app) renew(ctx context.Context, f *topFlags, client *admin.Client, last run.Status, every time.Duration, draw func(string) error) error {
	for {
		tick := make(chan struct{})
		cancel := a.env.Clock.After(every, func() { close(tick) })
		select {
		case <-tick:
		case <-ctx.Done():
			cancel()
			return nil
		}
		now, err := client.Status(ctx)
		if errors.Is(err, admin.ErrNotRunning) && !f.once {
			return err
		}
		if err != nil {
			return a.ended(f.folder, ctx, err)
		}
		if err := draw(topView(f.dir, &last, &now)); err != nil || f.once {
			return failed(err)
		}
		last = now
	}
}

func stateOf(i *run.IngestStatus) string {
	state := gauged(i.Gauges) + counted(i.Counters)
	if i.Errors > 0 {
		state += ", errors " + thousands(i.Errors)
	}
	if i.LastError != "" {
		state += ", failing: " + i.LastError
	}
	if i.Ended {
		state += ", ended"
	}
	return strings.TrimPrefix(state, ", ")
}

// topView lays a status out; rates are since last.
func topView(dir string, last, now *run.Status) string {
	v := &view{seconds: max(now.Time.Sub(last.Time).Seconds(), 1e-3)}
	t, was := now.Totals(), last.Totals()
	fmt.Fprintf(&v.b, "%s  up %s  records %s (%s)  rejects %s  lag %s  %s\n", dir, now.Time.Sub(now.Began).Truncate(time.Second),
		thousands(t.Records), v.rate(t.Records, was.Records), thousands(t.Rejects), thousands(int64(t.Lag)), checkpointPart(*now))
	for _, i := range now.Ingests {
		v.row("ingest", i.Address, "", "", stateOf(&i))
	}
	for k, c := range now.Channels {
		records, before, again, lag, mark := int64(0), int64(0), int64(0), uint64(0), time.Time{}
		for p, x := range c.Partitions {
			records, lag, again = records+x.Records, lag+x.Lag, again+x.Resent+x.Repeated
			if k < len(last.Channels) && p < len(last.Channels[k].Partitions) {
				before += last.Channels[k].Partitions[p].Records
			}
			if x.Watermark.After(mark) {
				mark = x.Watermark
			}
		}
		note := fmt.Sprintf("lag %s, %s on disk", thousands(int64(lag)), bytesOf(c.Bytes))
		if c.LastError != "" {
			note += ", appends wait: " + c.LastError
		}
		if again > 0 {
			note += ", duplicates " + thousands(again)
		}
		if !mark.IsZero() {
			note += ", event time " + mark.Format(time.RFC3339)
		}
		v.row("channel", c.Name, thousands(records), v.rate(records, before), note)
	}
	before := map[string]int64{}
	for _, s := range last.Stages {
		before[s.Address] = s.Rows
	}
	for _, s := range now.Stages {
		v.row("stage", short(s.Address), thousands(s.Rows), v.rate(s.Rows, before[s.Address]), strings.TrimPrefix(counted(s.Counters), ", "))
	}
	for _, s := range last.Sinks {
		before[s.Address] = s.Rows
	}
	for _, s := range now.Sinks {
		note := ""
		if s.Waiting > 0 {
			note += ", " + batchesOf(s.Waiting, "waits", "wait")
		}
		if s.Failures > 0 {
			note += ", failures " + thousands(s.Failures)
		}
		note += counted(s.Counters)
		if s.Failing {
			note += ", failing"
		}
		if s.LastError != "" {
			note += ": " + s.LastError
		}
		v.row("sink", short(s.Address), thousands(s.Rows), v.rate(s.Rows, before[s.Address]), strings.TrimPrefix(note, ", "))
	}
	for _, r := range now.Rejects {
		v.row("rejects", short(r.Stage), thousands(r.Count), "", r.Reason)
	}
	return v.String()
}

// view gathers lines whose columns are aligned at the end.
type view struct {
	b       strings.Builder
	rows    [][5]string
	seconds float64
}

func (v *view) rate(now, before int64) string {
	return perSecond(float64(max(0, now-before)) / v.seconds)
}

func (v *view) row(cells ...string) { v.rows = append(v.rows, [5]string(cells)) }

func (v *view) String() string {
	kinds := []string{"ingest", "channel", "stage", "sink", "rejects"}
	order := func(kind string) int {
		for i, k := range kinds {
			if k == kind {
				return i
			}
		}
		return len(kinds)
	}
	sort.SliceStable(v.rows, func(i, k int) bool { return order(v.rows[i][0]) < order(v.rows[k][0]) })
	var wide [4]int
	for _, r := range v.rows {
		for i := range wide {
			wide[i] = max(wide[i], len(r[i]))
		}
	}
	for _, r := range v.rows {
		line := fmt.Sprintf("%-*s  %-*s  %*s  %*s  %s", wide[0], r[0], wide[1], r[1], wide[2], r[2], wide[3], r[3], printable(r[4]))
		v.b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return v.b.String()
}

// printable leaves out what would move a terminal's cursor about.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\u00b7'
		}
		return r
	}, s)
}

// bytesOf writes a number of bytes with three digits at most, such as "1.2 GB".
func bytesOf(n int64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if x := float64(n) / u.size; x >= 1 {
			if x >= 100 {
				return fmt.Sprintf("%.0f %s", x, u.name)
			}
			return fmt.Sprintf("%.1f %s", x, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
