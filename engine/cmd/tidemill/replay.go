package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/replay"
)

const replayHelp = `Runs history once more, beside an engine that may be running on the same data folder: the records of
its journals, through the pipelines of DIR or, with --pipeline, of another folder. Rows that sinks read are
printed, one JSON object a line; nothing else is written, unless --write names a sink. A sink that
writes does so where its arguments say: give it another place with --set.

FROM and TO are times such as 2026-11-22T10:00:00Z, or ago, such as -2h. State begins empty at FROM;
--warm lets it begin earlier than what is shown. Windows that are still open at TO are not shown,
unless --end closes them.

--diff OTHER compares: the same records go through the pipelines of OTHER as well, and rows that only
one of the two has are shown, with the records they came from and the first stage that differs. --set is
then for OTHER alone, which may be the same folder. It exits with 1 when rows differ.

Which module of a plugin ran when stands in the journal, and it runs again. Where a plugin block of OTHER, or of
--pipeline, names another module than that of DIR does, that module is tried instead, on all devices.

--step goes through the records of one --device, one at a time, and shows the rows of every edge.

`

// replayFlags are the flags of `tidemill replay`.
type replayFlags struct {
	folder
	channel, from, to, pipeline, device, diff string
	warm                                      string
	set, edges, write                         []string
	end, step, json                           bool
	rows                                      int64
}

func (a *app) replayCommand() *cobra.Command {
	f := &replayFlags{}
	cmd := &cobra.Command{
		Use:   "replay DIR",
		Short: "Run history once more: to see, to compare, step by step",
		Long:  replayHelp + exitHelp,
		Example: "  tidemill replay pipelines/coldhaul --channel telemetry --from=-2h --device trailer-00042\n" +
			"  tidemill replay pipelines/coldhaul --diff pipelines/coldhaul --set watch=trailer-00007\n" +
			"  tidemill replay pipelines/coldhaul --channel telemetry --device trailer-00042 --step",
	}
	f.flags(cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&f.channel, "channel", "", "replay records of `CHANNEL`, and the pipelines that depend on it (default: all)")
	flags.StringVar(&f.from, "from", "", "begin with records received at `TIME` (default: the oldest there are)")
	flags.StringVar(&f.to, "to", "", "end before records received at `TIME` (default: the newest)")
	flags.StringVar(&f.warm, "warm", "", "let state begin `DURATION` before --from")
	flags.StringVar(&f.pipeline, "pipeline", "", "run the pipelines of `FOLDER` instead of DIR's")
	flags.StringVar(&f.device, "device", "", "replay records of one `DEVICE`: a value of the channel's key")
	flags.StringArrayVar(&f.set, "set", nil, "value of a variable, as `NAME=VALUE`, over --var; with --diff, for the other configuration only")
	flags.StringArrayVar(&f.edges, "edge", nil, "show the rows of `STAGE`, such as rule.plausible or rejects (default: those that sinks read)")
	flags.StringArrayVar(&f.write, "write", nil, "let `SINK` write, such as sink.averages")
	flags.StringVar(&f.diff, "diff", "", "compare with the pipelines of `FOLDER`")
	flags.BoolVar(&f.end, "end", false, "close the windows that are open after the last record")
	flags.BoolVar(&f.step, "step", false, "go through the records of --device one at a time")
	flags.BoolVar(&f.json, "json", false, "print differences as JSON, an object a line")
	flags.Int64Var(&f.rows, "rows", 0, "end after so many `ROWS`, or show so many differences of an edge (default: all, or 20)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		return a.replay(f)
	}
	return cmd
}

// options are those of the configuration that is replayed, or of what it is compared with.
func (f *replayFlags) options(a *app, other bool) (replay.Options, error) {
	o := replay.Options{Env: a.env, Dir: f.dir, Data: f.data, Channel: f.channel, Device: f.device, Edges: f.edges, Write: f.write, End: f.end,
		Together: together, Report: func(line string) { fmt.Fprintln(a.err, line) }}
	if f.pipeline != "" {
		o.Dir = f.pipeline
	}
	var err error
	if o.Vars, err = f.variables(); err != nil {
		return o, err
	}
	if other {
		o.Than, o.Dir = o.Dir, f.diff
	} else if f.pipeline != "" {
		o.Than = f.dir
	}
	o.ThanVars = maps.Clone(o.Vars)
	if other || f.diff == "" {
		set := folder{vars: f.set}
		more, err := set.variables()
		if err != nil {
			return o, errors.New(strings.ReplaceAll(err.Error(), "--var", "--set"))
		}
		maps.Copy(o.Vars, more)
	}
	now := a.env.Clock.Now()
	if o.From, err = whenOf(f.from, now); err != nil {
		return o, fmt.Errorf("--from: %w", err)
	}
	if o.To, err = whenOf(f.to, now); err != nil {
		return o, fmt.Errorf("--to: %w", err)
	}
	if !o.To.IsZero() && !o.From.Before(o.To) {
		return o, errors.New("--from is not before --to")
	}
	if f.warm != "" {
		if o.Warm, err = time.ParseDuration(f.warm); err != nil || o.Warm < 0 {
			return o, fmt.Errorf("--warm takes a duration such as 1h, not %q", f.warm)
		}
		if o.From.IsZero() {
			return o, errors.New("--warm needs --from")
		}
	}
	return o, nil
}

// whenOf reads a time, or how long ago it was.
func whenOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if strings.HasPrefix(text, "-") {
		if d, err := time.ParseDuration(text); err == nil {
			return now.Add(d), nil
		}
	}
	us, ok := flow.ParseTime([]byte(text))
	if !ok {
		return time.Time{}, fmt.Errorf("%q is no time; write 2026-11-22T10:00:00Z, or -2h", text)
	}
	return time.UnixMicro(us).UTC(), nil
}

func (a *app) replay(f *replayFlags) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := f.options(a, false)
	if err != nil {
		return err
	}
	switch {
	case f.device != "" && f.channel == "":
		return errors.New("--device needs --channel: whose device it is")
	case f.step && f.device == "":
		return errors.New("--step needs --device: it goes through one device's records")
	case f.step && f.diff != "":
		return errors.New("--step and --diff do not go together")
	case f.diff != "":
		return a.replayDiff(ctx, f, o)
	}
	if o.Every = f.step; f.step {
		o.Together = nil
	}
	r, err := a.openReplay(o)
	if err != nil {
		return err
	}
	if f.step {
		err = a.replayStep(ctx, r, f.rows)
	} else {
		shown := int64(0)
		err = r.Run(ctx, a.replayed(f, &shown))
		if err == nil && shown == 0 && len(f.write) == 0 {
			fmt.Fprintf(a.err, "No row came of what the journals in %s hold of that time.\n", f.data)
		}
	}
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		err = nil
	}
	return failed(errors.Join(err, r.Close()))
}

// openReplay opens a replay and prints what is wrong with its configuration.
func (a *app) openReplay(o replay.Options) (*replay.Replay, error) {
	r, diags, files, err := replay.Open(o)
	if diags.HasErrors() {
		if err := a.printDiagnostics(diags, files); err != nil {
			return nil, failed(err)
		}
	}
	switch {
	case err != nil:
		return nil, failed(err)
	case r == nil:
		return nil, said(exitConfig)
	}
	return r, nil
}

// replayedRow is a row for whoever reads JSON.
type replayedRow struct {
	Edge      string          `json:"edge"`
	Partition int             `json:"partition"`
	Offset    int64           `json:"offset"`
	Received  string          `json:"received"`
	Row       json.RawMessage `json:"row"`
}

func rowOf(r *replay.Row) replayedRow {
	return replayedRow{r.Edge, r.Partition, r.Offset, string(flow.AppendTime(nil, r.Received)), r.Text}
}

// replayed prints rows, and counts them.
func (a *app) replayed(f *replayFlags, shown *int64) func([]replay.Row) error {
	return func(rows []replay.Row) error {
		for i := range rows {
			if err := printLine(a.out, rowOf(&rows[i])); err != nil {
				return err
			}
			if *shown++; *shown == f.rows {
				return errEnough
			}
		}
		return nil
	}
}
