package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
)

const tapHelp = `Shows the rows that pass an edge of a running engine, as they come, one JSON object a line, until the
first interrupt. An edge is a channel, a stage or the rejects of a pipeline: channel.telemetry,
pipeline.cold_chain.rule.plausible, pipeline.cold_chain.rejects. The end of its name is enough where it
fits one edge only: rule.plausible.

Looking on never holds the engine up: what comes faster than it is read is left out, and counted on
standard error. After a crash the engine may show rows again that it has shown before.

`

type tapFlags struct {
	folder
	rows int64
}

func (a *app) tapCommand() *cobra.Command {
	f := &tapFlags{}
	cmd := &cobra.Command{
		Use:     "tap EDGE [DIR]",
		Short:   "Show the rows that pass an edge of a running engine",
		Long:    tapHelp + exitHelp,
		Example: "  tidemill tap alarm.too_warm pipelines/coldhaul\n  tidemill tap channel.telemetry pipelines/coldhaul --rows 10",
	}
	f.flags(cmd, true)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return errors.New("tap takes an edge and a folder, such as: tidemill tap alarm.too_warm pipelines/coldhaul")
		}
		if len(args) == 2 && isFolder(args[0]) && !isFolder(args[1]) {
			return fmt.Errorf("%s is a folder; the edge comes first: tidemill tap %s %s", args[0], args[1], args[0])
		}
		return nil
	}
	cmd.Flags().Int64Var(&f.rows, "rows", 0, "end after so many `ROWS` (default: go on)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(append(args[1:], "."))
		return a.tap(f, args[0])
	}
	return cmd
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// errEnough ends a tap that has shown what was asked for.
var errEnough = errors.New("that was all that was asked for")

func (a *app) tap(f *tapFlags, edge string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	shown := int64(0)
	err := admin.NewClient(f.data).Tap(ctx, edge, func(row []byte, missed int64) error {
		if missed > 0 {
			_, err := fmt.Fprintf(a.err, "%s rows were not shown: they came faster than they were read.\n", thousands(missed))
			return err
		}
		if _, err := a.out.Write(append(row, '\n')); err != nil {
			return err
		}
		if shown++; shown == f.rows {
			return errEnough
		}
		return nil
	})
	return a.ended(f.folder, ctx, err)
}

// ended is how looking at a running engine ends: an interrupt is no failure.
func (a *app) ended(f folder, ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, errEnough), ctx.Err() != nil:
		return nil
	}
	return failed(notRunning(err, f.dir, f.data))
}
