package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/backtest"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/detect"
)

const backtestHelp = `Replays history through one or many anomaly detectors and says what they would have done: how many alerts,
which labelled stretches they would have found and how early, at what price in false ones, and what a
model costs. Then it proposes a block of HCL. The same input gives the same output, but for CPU times.

Of a folder, its pipelines run without their sinks over what its journal holds, or where there is none what its
ingests of files read, on a scratch folder. What comes to an anomaly stage is the history; the first detector is the
stage's own, as it stands there. Scores are those that the stage gave, or would have given, bit for bit.

A CSV has a header. Labels are JSON, {"NAME": [["FROM", "TO"], ...]}, where NAME is the CSV's name or a
key, or a CSV with the columns from and to (and key).

precision  part of the alerts that are in a label     early by  median time from a label's first alert to its end
recall     part of the labels that have an alert      NAB now   the Numenta Anomaly Benchmark's score of these alerts;
                                                      best std, low FP, low FN: at the best threshold of each profile

`

// backtestFlags are what a backtest is told.
type backtestFlags struct {
	folder
	csv, labels, time, by, plot string
	stage                       string
	on, detectors               []string
	perWeek                     float64
	warmUp                      int
	noCost                      bool
}

func (a *app) backtestCommand() *cobra.Command {
	f := &backtestFlags{}
	cmd := &cobra.Command{
		Use: "backtest DIR | --csv FILE --on COLUMN", Short: "Try anomaly detectors on history",
		Long: backtestHelp + exitHelp,
		Example: "  tidemill backtest pipelines/machine_temperature --labels failures.json --alerts-per-week 1\n" +
			"  tidemill backtest --csv machine.csv --on value\n" +
			"  tidemill backtest --csv fleet.csv --time ts --by device --on temp,duty --labels faults.csv --detector all --plot fleet.svg",
	}
	f.flags(cmd, true)
	cmd.Args = cobra.MaximumNArgs(1)
	flags := cmd.Flags()
	flags.StringVar(&f.stage, "stage", "", "of a folder, only the anomaly stage with this `NAME`")
	flags.StringVar(&f.csv, "csv", "", "`FILE` with history")
	flags.StringSliceVar(&f.on, "on", nil, "`COLUMNS` that are watched, together")
	flags.StringVar(&f.time, "time", "timestamp", "`COLUMN` of the time")
	flags.StringVar(&f.by, "by", "", "`COLUMN` whose values have models of their own")
	flags.StringVar(&f.labels, "labels", "", "`FILE` that says when an alert is right")
	flags.StringSliceVar(&f.detectors, "detector", []string{"ensemble", "rcf"}, "detectors to try, or all")
	flags.Float64Var(&f.perWeek, "alerts-per-week", 0, "propose the threshold that gives so many alerts a week and key")
	flags.IntVar(&f.warmUp, "warm-up", 0, "rows of a key before its first score (default 100)")
	flags.StringVar(&f.plot, "plot", "", "write a picture to `FILE`, .svg or .png, of the first key")
	flags.BoolVar(&f.noCost, "no-cost", false, "leave CPU times out, which differ from run to run")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			f.take(args)
		}
		if err := f.check(); err != nil {
			return err
		}
		if f.dir != "" {
			return a.backtestFolder(f)
		}
		return failed(a.backtest(f))
	}
	return cmd
}

func (f *backtestFlags) check() error {
	kinds := detect.Kinds()
	if slices.Equal(f.detectors, []string{"all"}) {
		f.detectors = kinds
	}
	for _, d := range f.detectors {
		if !slices.Contains(kinds, d) {
			return fmt.Errorf("there is no detector %q.%s There are %s", d, config.DidYouMean(d, kinds), config.List(kinds))
		}
	}
	switch {
	case f.dir != "" && (f.csv != "" || len(f.on) > 0 || f.by != ""):
		return errors.New("a folder's pipelines say by themselves what is watched; --csv, --on and --by are for a CSV")
	case f.dir == "" && f.csv == "":
		return errors.New("backtest takes a folder of pipelines, or --csv names the history")
	case f.dir == "" && len(f.on) == 0:
		return errors.New("--on names the columns that are watched, such as --on temp")
	case len(f.detectors) == 0:
		return errors.New("--detector names at least one detector")
	case f.perWeek < 0 || f.warmUp < 0:
		return errors.New("--alerts-per-week and --warm-up cannot be negative")
	case f.plot != "" && f.format() != "svg" && f.format() != "png":
		return errors.New("--plot takes a file that ends in .svg or .png")
	}
	return nil
}

func (f *backtestFlags) format() string { return strings.TrimPrefix(filepath.Ext(f.plot), ".") }

func (a *app) backtest(f *backtestFlags) error {
	columns := backtest.Columns{Time: f.time, Key: f.by, On: f.on}
	all, err := f.read(columns)
	if err != nil {
		return err
	}
	var configs []detect.Config
	for _, kind := range f.detectors {
		configs = append(configs, detect.Config{Kind: kind, WarmUp: f.warmUp})
	}
	return a.tryOn(f, filepath.Base(f.csv), columns, all, configs)
}

// tryOn tries detectors on series and writes what there is to say.
func (a *app) tryOn(f *backtestFlags, name string, columns backtest.Columns, all []*backtest.Series, configs []detect.Config) error {
	o := backtest.Options{PerWeek: f.perWeek, Detectors: configs}
	if !f.noCost {
		o.CPU = cpuTime
	}
	if a.errTerminal {
		o.Progress = func(kind string, done, all int) {
			fmt.Fprintf(a.err, "\r%-17s %3d %%", kind, 100*done/all)
		}
	}
	reports, err := backtest.Run(all, o)
	if a.errTerminal {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	if err := backtest.Text(a.out, name, columns.On, all, reports); err != nil {
		return err
	}
	best := backtest.Choose(reports)
	if _, err := fmt.Fprint(a.out, backtest.Propose(best, columns)); err != nil || f.plot == "" {
		return err
	}
	var picture bytes.Buffer
	if err := backtest.Plot(&picture, f.format(), name+", "+best.Config.Kind, columns.On[0], all[0], best, 0); err != nil {
		return err
	}
	return os.WriteFile(f.plot, picture.Bytes(), 0o644)
}

// read reads history and labels.
func (f *backtestFlags) read(c backtest.Columns) ([]*backtest.Series, error) {
	in, err := os.Open(f.csv)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	all, err := backtest.ReadCSV(in, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.csv, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no rows", f.csv)
	}
	return all, f.label(filepath.Base(f.csv), all)
}

// label reads the labels, if any.
func (f *backtestFlags) label(name string, all []*backtest.Series) error {
	if f.labels == "" {
		return nil
	}
	labels, err := os.Open(f.labels)
	if err != nil {
		return err
	}
	defer labels.Close()
	n, err := backtest.ReadLabels(labels, name, all)
	if err == nil && n == 0 {
		err = errors.New("it has no label for any of these series")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.labels, err)
	}
	return nil
}
