package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/run"
)

// commandTime is how long a command waits for the engine's answer; compiling a module is in it.
const commandTime = time.Minute

type rolloutFlags struct {
	data                        string
	plugin, fleet, digest, why  string
	shadow                      bool
	percent, errorRate, differ  float64
	p99, bake, bakeBy           string
	fuel, minRows               int64
	noErrors, noDifference, raw bool
	only                        string // the rollout to show; "": all
}

// rolloutCommands are the commands below plugin that say which version runs where.
func (a *app) rolloutCommands() []*cobra.Command {
	out := []*cobra.Command{a.rolloutCommand()}
	for _, c := range []struct{ use, action, short, what string }{
		{"promote NAME", "promote", "Make the module on trial the stable one of its fleet", "the name of a rollout"},
		{"rollback NAME", "rollback", "End a trial, or take the last promotion back", "the name of a rollout"},
		{"remove NAME", "remove", "Forget a rollout: its fleet gets the plugin block's module", "the name of a rollout"},
		{"release DIGEST", "release", "Let a quarantined module run again", "the digest of a module"},
	} {
		f := &rolloutFlags{}
		cmd := &cobra.Command{Use: c.use, Short: c.short, Args: one(c.what), RunE: func(_ *cobra.Command, args []string) error {
			if whole, err := modules.Open(a.env, f.data).Find(args[0]); c.action == "release" && err == nil {
				args[0] = whole
			}
			return a.sendRollout(f, run.RolloutCommand{Action: c.action, Name: args[0], Why: f.why})
		}}
		dataFlag(cmd, &f.data)
		cmd.Flags().StringVar(&f.why, "why", "", "a `REASON` for the history")
		out = append(out, cmd)
	}
	return append(out, a.historyCommand(), a.diffCommand())
}

func (a *app) rolloutCommand() *cobra.Command {
	f := &rolloutFlags{}
	cmd := &cobra.Command{
		Use:   "rollout NAME --plugin PLUGIN --digest DIGEST (--percent N | --shadow)",
		Short: "Try a module on some devices of a fleet, or show what runs where",
		Long: "Puts a module of the store on trial: beside the stable one (--shadow), or in its place on some of the fleet's devices\n" +
			"(--percent). It is compiled first; then one record in the journal says from which offset on it runs. The engine\n" +
			"rolls it back by itself when it breaks a guardrail, and promotes it after --bake. Of two rollouts whose fleets share a device, the first by name\n" +
			"has it. Without arguments it shows what runs.\n\n" + exitHelp,
		Example: "  tidemill plugin rollout lab --plugin reefer_health --fleet lab --digest 5c1e --shadow\n" +
			"  tidemill plugin rollout lab --digest 5c1e --percent 10 --error-rate 0.0005 --bake 10m",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if wrong := startFlags(cmd); wrong != "" {
					return fmt.Errorf("--%s says how to begin a rollout, which has a NAME", wrong)
				}
				return a.showRollouts(f, "")
			}
			return a.startRollout(f, args[0])
		},
	}
	dataFlag(cmd, &f.data)
	s := cmd.Flags()
	s.StringVar(&f.plugin, "plugin", "", "the `PLUGIN` block")
	s.StringVar(&f.fleet, "fleet", "", "the `FLEET` block; all devices without")
	s.StringVar(&f.digest, "digest", "", "the module: its `DIGEST`, the beginning of it, or name@version")
	s.BoolVar(&f.shadow, "shadow", false, "run it beside the stable module, compare, and discard what it gives")
	s.Float64Var(&f.percent, "percent", 0, "share of the fleet's devices")
	s.Float64Var(&f.errorRate, "error-rate", 0, "guardrail: share of rows that may fail or be refused")
	s.BoolVar(&f.noErrors, "no-errors", false, "guardrail: no row may fail or be refused")
	s.Float64Var(&f.differ, "differ", 0, "guardrail: share of rows that may differ in shadow")
	s.BoolVar(&f.noDifference, "no-difference", false, "guardrail: no row may differ in shadow")
	s.StringVar(&f.p99, "p99", "", "guardrail: 99th percentile of the time a row, such as 50us")
	s.Int64Var(&f.fuel, "fuel", 0, "guardrail: instructions a row, on the average")
	s.Int64Var(&f.minRows, "min-rows", 100, "how many rows are enough to judge by")
	s.StringVar(&f.bake, "bake", "", "promote after this time without a broken guardrail; a person promotes without")
	s.StringVar(&f.bakeBy, "bake-by", "clock", "whose time: clock or event")
	s.BoolVar(&f.raw, "json", false, "print JSON")
	return cmd
}

// startFlags is a flag that was given and says something of a rollout that begins; "" if there is none.
func startFlags(cmd *cobra.Command) (name string) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "data" && f.Name != "json" && name == "" {
			name = f.Name
		}
	})
	return name
}

func (a *app) startRollout(f *rolloutFlags, name string) error {
	switch {
	case f.digest == "":
		return errors.New("--digest names the module to try; tidemill plugin ls lists those there are, tidemill plugin rollout what runs")
	case f.bakeBy != "clock" && f.bakeBy != "event":
		return fmt.Errorf("--bake-by is clock or event, not %q", f.bakeBy)
	}
	digest, err := modules.Open(a.env, f.data).Find(f.digest)
	if err != nil {
		return failed(err)
	}
	c := run.RolloutCommand{Action: "start", Name: name, Plugin: f.plugin, Fleet: f.fleet, Digest: digest, Shadow: f.shadow, Share: int(f.percent*100 + 0.5)}
	g := &c.Guard
	*g = rollout.Guard{ErrorRate: f.errorRate, Differ: f.differ, Fuel: f.fuel, MinRows: f.minRows, ByEvent: f.bakeBy == "event"}
	if f.noErrors {
		g.ErrorRate = -1
	}
	if f.noDifference {
		g.Differ = -1
	}
	for _, d := range []struct {
		flag, text string
		to         *time.Duration
	}{{"bake", f.bake, &g.Bake}, {"p99", f.p99, &g.P99}} {
		if d.text == "" {
			continue
		}
		if *d.to, err = config.ParseDuration(d.text); err != nil {
			return fmt.Errorf("--%s: %w", d.flag, err)
		}
	}
	return a.sendRollout(f, c)
}

func (a *app) sendRollout(f *rolloutFlags, c run.RolloutCommand) error {
	c.By = "command"
	if user := os.Getenv("USER"); user != "" {
		c.By = user
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	r, err := admin.NewClient(f.data).Rollout(ctx, c)
	if err != nil {
		return failed(notRunning(err, "", f.data))
	}
	if r.Error != "" {
		return failed(errors.New(r.Error))
	}
	return a.printRollouts(f, r, "")
}

func (a *app) showRollouts(f *rolloutFlags, of string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	r, err := admin.NewClient(f.data).Rollouts(ctx, of)
	if err != nil {
		return failed(notRunning(err, "", f.data))
	}
	return a.printRollouts(f, r, of)
}

func (a *app) printRollouts(f *rolloutFlags, r admin.Rollouts, of string) error {
	if f.only != "" {
		r.Rollouts = slices.DeleteFunc(r.Rollouts, func(v run.RolloutView) bool { return v.Name != f.only })
		if len(r.Rollouts) == 0 {
			return failed(fmt.Errorf("there is no rollout %q", f.only))
		}
	}
	if f.raw {
		return printJSON(a.out, r)
	}
	switch of {
	case "history":
		for i, e := range r.History {
			a.printEvent(&e, r.History[i+1:])
		}
		return nil
	case "diff":
		for _, v := range r.Rollouts {
			a.printDiff(&v)
		}
		return nil
	}
	for _, v := range r.Rollouts {
		stable := v.Stable
		if stable == "" {
			stable = v.Base
		}
		fmt.Fprintf(a.out, "%s: plugin %s, fleet %s, runs %s\n", v.Name, v.Plugin, orAll(v.Fleet), shortDigest(stable))
		for _, note := range v.Notes {
			fmt.Fprintf(a.out, "  fleet %s: %s\n", orAll(v.Fleet), note)
		}
		if v.Trial == nil {
			if e := v.Last; e != nil {
				fmt.Fprintf(a.out, "  %s by %s, %s%s\n", e.Action, e.By, e.At.Format(time.RFC3339), because(e.Why))
			}
			continue
		}
		how := fmt.Sprintf("on %g %% of the devices", float64(v.Trial.Share)/100)
		if v.Trial.Shadow {
			how = "in shadow of " + how[3:]
		}
		fmt.Fprintf(a.out, "  on trial %s, %s, since %s\n", shortDigest(v.Trial.Canary), how, v.Plan.Since.Format(time.RFC3339))
		if m := v.Reading; m != nil {
			fmt.Fprintf(a.out, "  %d rows, %d failed, %d refused, %d instructions a row, p99 %v a row; %d compared, %d differ\n",
				m.Canary.Rows, m.Canary.Failed, m.Canary.Refused, m.Canary.FuelPerRow, time.Duration(m.Canary.P99), m.Compared, m.Differing)
		}
	}
	return nil
}

// because puts a reason behind what was done, where there is one.
func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func orAll(fleet string) string {
	if fleet == "" {
		return "of all devices"
	}
	return fleet
}

func shortDigest(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return "sha256:" + hex[:min(12, len(hex))]
}

// printEvent says what was decided, and in which offsets it counted: up to the next decision about the same.
func (a *app) printEvent(e *run.RolloutEvent, later []run.RolloutEvent) {
	what := e.Rollout
	if what == "" {
		what = "plugin " + e.Plugin
	}
	line := fmt.Sprintf("%s  %-10s %s, fleet %s, runs %s", e.At.Format(time.RFC3339), e.Action, what, orAll(e.Fleet), shortDigest(e.Stable))
	if e.Canary != "" {
		line += fmt.Sprintf(", on trial %s (%g %%)", shortDigest(e.Canary), float64(e.Share)/100)
	}
	fmt.Fprintln(a.out, line+", by "+e.By+because(e.Why))
	var next *run.RolloutEvent
	for i := range later {
		if later[i].Rollout == e.Rollout && later[i].Plugin == e.Plugin {
			next = &later[i]
			break
		}
	}
	for _, ch := range sortedNames(e.Offsets) {
		for p, from := range e.Offsets[ch] {
			to := "now"
			if next != nil {
				to = offsetText(next.Offsets[ch], p)
			}
			fmt.Fprintf(a.out, "    channel.%s, partition %d: offsets %s to %s\n", ch, p, offsetText([]*uint64{from}, 0), to)
		}
	}
}

func offsetText(list []*uint64, p int) string {
	if p >= len(list) || list[p] == nil {
		return "?"
	}
	return fmt.Sprint(*list[p])
}

func (a *app) printDiff(v *run.RolloutView) {
	reading, verb := v.Reading, "differ"
	if reading == nil {
		reading, verb = v.Ended, "differed in the last trial"
	}
	if reading == nil {
		fmt.Fprintf(a.out, "%s: no module on trial, nor was there one since the engine started\n", v.Name)
		return
	}
	fmt.Fprintf(a.out, "%s: %d of %d rows %s\n", v.Name, reading.Differing, reading.Compared, verb)
	for _, d := range reading.Samples {
		fmt.Fprintf(a.out, "  channel.%s, partition %d, offset %d, %s %s: %s, on trial %s\n", d.Channel, d.Partition, d.Offset, d.Device, d.Column, d.Stable, d.Canary)
	}
}

func (a *app) historyCommand() *cobra.Command {
	f := &rolloutFlags{}
	cmd := &cobra.Command{Use: "history", Short: "Who ran what, when, from which offset to which", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.showRollouts(f, "history") }}
	dataFlag(cmd, &f.data)
	cmd.Flags().BoolVar(&f.raw, "json", false, "print JSON")
	return cmd
}

func (a *app) diffCommand() *cobra.Command {
	f := &rolloutFlags{}
	cmd := &cobra.Command{Use: "diff [NAME]", Short: "Show values that modules in shadow gave otherwise, of one rollout or of all", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f.only = strings.Join(args, "")
			return a.showRollouts(f, "diff")
		}}
	dataFlag(cmd, &f.data)
	cmd.Flags().BoolVar(&f.raw, "json", false, "print JSON")
	return cmd
}
