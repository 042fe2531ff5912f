package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/env"
)

// Exit codes, the same for all commands.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for went wrong
	exitUsage  = 2 // the command line makes no sense
	exitConfig = 3 // the configuration has errors; they have been printed
)

const exitHelp = `Exit codes: 0 all is well; 1 it went wrong; 2 wrong usage; 3 the configuration has errors.`

// app is what all commands share: the world, as this process got it.
type app struct {
	env                      *env.Env
	in                       io.Reader
	out, err                 io.Writer
	outTerminal, errTerminal bool
	profiled                 func() error // ends a CPU profile; nil: there is none
}

// failure is an error with the exit code it leads to. A nil err means that
// everything has been said already.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// said is the failure of which the user knows everything already.
func said(code int) error { return &failure{code: code} }

// failed makes err, unless it is nil, a failure of the work itself.
func failed(err error) error {
	if f := (*failure)(nil); err == nil || errors.As(err, &f) {
		return err
	}
	return &failure{exitFailed, err}
}

// main runs a command line. Errors that are not failures come from cobra
// and mean that the command line was wrong.
func (a *app) main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if a.profiled != nil {
		err = errors.Join(err, a.profiled())
	}
	if err == nil {
		return exitOK
	}
	f := &failure{}
	if !errors.As(err, &f) {
		fmt.Fprintf(a.err, "tidemill: %s\n\nUsage: %s\nMore: %s --help\n", strings.TrimSpace(err.Error()), cmd.UseLine(), cmd.CommandPath())
		return exitUsage
	}
	if f.err != nil {
		fmt.Fprintf(a.err, "tidemill: %v\n", f.err)
	}
	return f.code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tidemill",
		Short: "Turns device telemetry into filtered rows, windows and alarms",
		Long: "Tidemill runs pipelines over device telemetry. A pipeline is a folder of HCL files;\n" +
			"what has come in is kept in a journal, so that a crash loses nothing and doubles nothing.\n\n" + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionLine(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	a.profileFlag(root)
	root.AddCommand(
		a.runCommand(), a.validateCommand(), a.planCommand(), a.applyCommand(),
		a.testCommand(), a.fmtCommand(), a.graphCommand(), a.simulateCommand(), a.tapCommand(), a.topCommand(), a.replayCommand(), a.queryCommand(), a.queryWorkerCommand(), a.backtestCommand(), a.feedbackCommand(), a.pluginCommand(), a.deviceCommand(), a.benchCommand(), a.loadCommand(), a.bareCommand(), a.versionCommand(),
	)
	return root
}

// colour tells whether what goes to standard error may be coloured.
func (a *app) colour() bool {
	_, plain := a.env.Var("NO_COLOR")
	return a.errTerminal && !plain
}
