package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tidemill/tidemill/engine/backtest"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/detect"
)

// backtestFolder tries detectors on what came, or would have come, to the anomaly stages of a folder.
func (a *app) backtestFolder(f *backtestFlags) error {
	p, err := a.mustLoad(&f.folder)
	if err != nil {
		return err
	}
	all, err := a.history(f, p.Config)
	if err != nil {
		return failed(err)
	}
	var names []string
	tried := 0
	for _, w := range all {
		_, name, _ := strings.Cut(strings.TrimPrefix(w.Address, "pipeline."), ".anomaly.")
		names = append(names, name)
		if f.stage != "" && f.stage != name && f.stage != w.Address || len(w.Series) == 0 {
			continue
		}
		if tried++; tried > 1 {
			fmt.Fprintln(a.out)
		}
		if err := f.label("", w.Series); err != nil {
			return failed(err)
		}
		configs := []detect.Config{w.Config}
		for _, kind := range f.detectors {
			if kind != w.Config.Kind {
				configs = append(configs, detect.Config{Kind: kind, WarmUp: f.warmUp})
			}
		}
		columns := backtest.Columns{Key: strings.Join(w.By, ", "), On: w.On, Kept: w.Kept}
		if err := a.tryOn(f, w.Address, columns, w.Series, configs); err != nil {
			return failed(err)
		}
	}
	switch {
	case len(all) == 0:
		return failed(fmt.Errorf("%s has no anomaly stage: add one, or name a file with --csv", f.dir))
	case tried == 0 && f.stage != "":
		return failed(fmt.Errorf("no row came to an anomaly stage %q.%s", f.stage, config.DidYouMean(f.stage, names)))
	case tried == 0:
		return failed(errors.New("no row came to the anomaly stages"))
	}
	return nil
}

// history runs the folder on a scratch folder, while nobody else runs on its data.
func (a *app) history(f *backtestFlags, c *config.Config) (all []*backtest.Watched, err error) {
	if _, err := os.Stat(f.data); err == nil {
		lock, err := lockData(f.data)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, lock.release()) }()
	}
	scratch, err := os.MkdirTemp("", "tidemill-backtest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if a.errTerminal {
		fmt.Fprint(a.err, "replaying what is recorded\r")
	}
	all, diags, err := backtest.History(context.Background(), c, backtest.Past{Env: a.env, Data: f.data, Scratch: scratch})
	if len(diags) > 0 && err == nil {
		return nil, errors.Join(a.printDiagnostics(diags, c.Files), said(exitConfig))
	}
	return all, err
}
