package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
)

const applyHelp = `Asks the engine that is running on the data folder to go over to what the files say now. It opens
the new graph beside the old one, moves over between two records, and goes on: nothing is lost or
doubled. What becomes of state is printed first; plan prints the same without doing it. When the
files have errors, or the new graph cannot be opened, the old one goes on.

Where a sink goes away that has not delivered all of its rows, everything waits for it up to 5 s. What is
then left stays on disk, is told of, and is delivered when the sink comes back.

The engine reads the folder itself, with the environment and the --var values it was started with;
--var given here come first.

`

type applyFlags struct {
	folder
	json    bool
	timeout string
}

func (a *app) applyCommand() *cobra.Command {
	f := &applyFlags{}
	cmd := &cobra.Command{
		Use:     "apply DIR",
		Short:   "Change what a running engine does, without stopping it",
		Long:    applyHelp + exitHelp,
		Example: "  tidemill apply pipelines/coldhaul",
	}
	f.flags(cmd, true)
	cmd.Flags().BoolVar(&f.json, "json", false, "print what has happened as JSON")
	cmd.Flags().StringVar(&f.timeout, "timeout", "1m", "how long to wait until the engine has changed over")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		return a.apply(f)
	}
	return cmd
}

func (a *app) apply(f *applyFlags) error {
	vars, err := f.variables()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return failed(err)
	}
	timeout, err := config.ParseDuration(f.timeout)
	if err == nil && timeout == 0 {
		err = errors.New("it is longer than 0s")
	}
	if err != nil {
		return fmt.Errorf("--timeout: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	client := admin.NewClient(f.data)
	q := admin.ApplyRequest{Dir: dir, Vars: vars, Preview: true, Colour: a.colour()}
	r, err := client.Apply(ctx, q)
	if err != nil {
		return failed(notRunning(err, f.dir, f.data))
	}
	if !f.json {
		fmt.Fprint(a.err, r.Text)
		fmt.Fprint(a.out, plan.ChangesText(r.Changes))
	}
	if !r.Invalid && r.Error == "" && !r.Same {
		q.Preview, q.Digest = false, r.Digest
		if r, err = client.Apply(ctx, q); err != nil {
			return failed(err)
		}
	}
	return a.applied(f, r)
}

// applied tells how it went.
func (a *app) applied(f *applyFlags, r admin.ApplyReply) error {
	var err error
	switch {
	case f.json:
		r.Text = ""
		err = printJSON(a.out, r)
	case r.Applied:
		_, err = fmt.Fprintln(a.out, "Applied.")
	case r.Same:
		_, err = fmt.Fprintln(a.out, "Nothing to change.")
	}
	switch {
	case err != nil:
		return failed(err)
	case r.Invalid:
		return said(exitConfig)
	case r.Error != "":
		return failed(errors.New("not applied: " + r.Error))
	}
	return nil
}
