package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/run"
)

const feedbackHelp = `Tells an anomaly stage of a running engine what you know of a key, such as a device. "normal": what it
lately woke you for was nothing, and its threshold, for this key alone, rises above that. "fault": what
it lately let pass was one, and the threshold falls to it. A label that agrees with the stage changes nothing.
It moves by at most three digits of surprise, and down by one at a time.

What a stage has seen fades by a digit with every "quiet" rows of the key (200, where nothing is said): label while
it is news. For an alert of a thousand rows ago there is nothing left that a label could move.

A key of which the stage has had no row is refused. The label goes through the journal: a crash or a replay changes nothing about it. By HTTP it is
  curl --unix-socket DIR/.tidemill/control.sock http://engine/v1/feedback \
    -d '{"stage": "anomaly.odd", "key": ["t1"], "label": "normal"}'

`

func (a *app) feedbackCommand() *cobra.Command {
	f := &folder{}
	var stage string
	var key []string
	cmd := &cobra.Command{
		Use: "feedback normal|fault [DIR]", Short: "Tell an anomaly stage that it was wrong about a device",
		Long:    feedbackHelp + exitHelp,
		Example: "  tidemill feedback normal pipelines/coldhaul --stage anomaly.compressor --key trailer-00042",
	}
	f.flags(cmd, true)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 || args[0] != "normal" && args[0] != "fault" {
			return errors.New("feedback takes \"normal\" or \"fault\" and a folder, such as: tidemill feedback normal pipelines/coldhaul --stage anomaly.compressor --key trailer-00042")
		}
		return nil
	}
	cmd.Flags().StringVar(&stage, "stage", "", "`NAME` of the stage, such as anomaly.compressor")
	cmd.Flags().StringSliceVar(&key, "key", nil, "`VALUES` of the stage's by, in its order")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if stage == "" {
			return errors.New("--stage names the anomaly stage, such as anomaly.compressor")
		}
		f.take(append(args[1:], "."))
		waits, err := admin.NewClient(f.data).Feedback(context.Background(), run.Feedback{Stage: stage, Key: key, Label: args[0]})
		if err != nil {
			return failed(notRunning(err, f.dir, f.data))
		}
		later := ""
		if waits {
			later = " It waits for the rows before it; should there be none of this key among them, it does nothing."
		}
		_, err = fmt.Fprintf(a.out, "%s: %s is in the journal.%s\n", strings.Join(key, ", "), args[0], later)
		return err
	}
	return cmd
}
