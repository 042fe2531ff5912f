package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
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
	cmd, err := root, unknownCommand(root, args)
	if err == nil {
		cmd, err = root.ExecuteC()
	}
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

// unknownCommand tells of a command that a group of commands, such as plugin, lacks: cobra would show its help, and call that success.
func unknownCommand(root *cobra.Command, args []string) error {
	group, rest, err := root.Find(args)
	if err != nil || group == root || group.Runnable() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil // cobra tells of the rest
	}
	var names []string
	for _, c := range group.Commands() {
		names = append(names, c.Name())
	}
	near := config.Nearest(rest[0], names)
	if near == "" {
		return &failure{exitUsage, fmt.Errorf("there is no command %s %s; there is %s", group.CommandPath(), rest[0], config.List(names))}
	}
	return &failure{exitUsage, fmt.Errorf("there is no command %s %s; did you mean %s?", group.CommandPath(), rest[0], near)}
}

// plainFlag takes the names of Go's functions out of what is said of a flag's value.
var plainFlag = regexp.MustCompile(`strconv\.Parse[A-Za-z]+: parsing "[^"]*": `)

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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return errors.New(plainFlag.ReplaceAllString(err.Error(), ""))
	})
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
