package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
)

// lookTimeout bounds a question to a running engine that only looks.
const lookTimeout = 10 * time.Second

const planHelp = `Says what run or apply would do, and changes nothing: tasks, the columns on every edge, state with
its memory, the fields that nobody reads, and what the whole promises and why.

Where the data folder holds a checkpoint, or an engine is running on it, it also says what becomes
of what is there:

  kept     goes on as it is, its state included
  changed  says something else now; its state, if any, stays
  rebuilt  its state means something else now: it is made again from the journal, as far as that reaches
  lost     is not in the files any more, or its state cannot be kept or made again
  new      was not there before
  refused  cannot be done

`

func (a *app) planCommand() *cobra.Command {
	f, asJSON := &folder{}, false
	cmd := &cobra.Command{
		Use:     "plan DIR",
		Short:   "Say what would run, and what would change",
		Long:    planHelp + exitHelp,
		Example: "  tidemill plan pipelines/coldhaul",
	}
	f.flags(cmd, true)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		return a.plan(f, asJSON)
	}
	return cmd
}

func (a *app) plan(f *folder, asJSON bool) error {
	p, err := a.mustLoad(f)
	if err != nil {
		return err
	}
	held, where, err := a.held(f)
	if err != nil {
		return failed(err)
	}
	x := p.Explain()
	if held != nil {
		x.Changes = p.Diff(held)
	}
	if asJSON {
		return printJSON(a.out, x)
	}
	if err := x.Text(a.out); err != nil {
		return failed(err)
	}
	if held != nil {
		_, err = fmt.Fprintf(a.out, "\nAgainst %s:\n%s", where, plan.ChangesText(x.Changes))
	}
	return failed(err)
}

// held is what the data folder holds, and what to call it; nil when there is nothing.
func (a *app) held(f *folder) (*plan.Held, string, error) {
	h, err := run.ReadHeld(a.env, f.data)
	if err != nil {
		return nil, "", fmt.Errorf("the checkpoints in %s cannot be read: %w", f.data, err)
	}
	where := fmt.Sprintf("checkpoint %d in %s", h.Epoch, f.data)
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	_, err = admin.NewClient(f.data).Status(ctx)
	switch {
	case errors.Is(err, admin.ErrNotRunning):
	case err != nil:
		return nil, "", err
	default:
		where = "the engine that is running on " + f.data
	}
	if h.Epoch == 0 {
		return nil, "", nil
	}
	return h, where, nil
}
