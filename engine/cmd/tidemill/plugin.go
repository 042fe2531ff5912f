package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/wasm"
)

func (a *app) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Write, test and measure plugins",
		Long: "A plugin is a WebAssembly module that pipelines call with batches of rows. It is written in Go, Rust, C or\n" +
			"AssemblyScript; what it reads, writes and keeps stands in its plugin.hcl.\n\n" + exitHelp,
		Example: "  tidemill plugin new --lang rust over_temp\n  tidemill plugin test over_temp\n  tidemill plugin bench over_temp",
	}
	cmd.AddCommand(a.pluginNewCommand(), a.pluginBuildCommand(), a.pluginTestCommand(), a.pluginInspectCommand(), a.pluginBenchCommand())
	cmd.AddCommand(a.pluginPushCommand(), a.pluginLsCommand())
	cmd.AddCommand(a.rolloutCommands()...)
	return cmd
}

func (a *app) pluginNewCommand() *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use: "new --lang LANGUAGE NAME", Short: "Write a new plugin's folder, which builds and passes its tests as it stands",
		Args: one("the name of the plugin, such as over_temp"),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := plugindev.New(args[0], lang)
			if err != nil {
				return failed(err)
			}
			for _, f := range files {
				fmt.Fprintln(a.out, f)
			}
			fmt.Fprintf(a.err, "Next: tidemill plugin test %s\n", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "the `LANGUAGE`: "+strings.Join(plugindev.Languages(), ", "))
	if err := cmd.MarkFlagRequired("lang"); err != nil {
		panic("BUG: " + err.Error())
	}
	return cmd
}

func (a *app) pluginBuildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "build DIR", Short: "Compile a plugin and put its manifest in",
		Args: one("the folder of a plugin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.target(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if t.project == nil {
				return failed(fmt.Errorf("%s is a module already; build takes a plugin's folder", args[0]))
			}
			if out == "" {
				out = filepath.Join(args[0], t.project.Module())
			}
			if err := os.WriteFile(out, t.module, 0o644); err != nil {
				return failed(err)
			}
			fmt.Fprintf(a.out, "%s  %d bytes  %s\n", out, len(t.module), wasm.Digest(t.module))
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the module to `FILE`; default: NAME.wasm in the folder")
	return cmd
}

// pluginTarget is what a command was given: a project that was built, or a module.
type pluginTarget struct {
	name    string
	project *plugindev.Project // nil: a module
	module  []byte
	tests   []*plugindev.Test
	limits  wasm.Limits
}

// target reads a module, or reads and builds a project.
func (a *app) target(ctx context.Context, name string) (*pluginTarget, error) {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failed(fmt.Errorf("there is no %s: give a module or the folder of a plugin, which begins with: tidemill plugin new", name))
	}
	if err != nil {
		return nil, failed(err)
	}
	if !info.IsDir() {
		module, err := os.ReadFile(name)
		if err != nil {
			return nil, failed(err)
		}
		m, err := wasm.ReadManifest(module)
		if err != nil {
			return nil, failed(fmt.Errorf("%s: %w", name, err))
		}
		tests, err := a.pluginTests(filepath.Dir(name))
		return &pluginTarget{name: name, module: module, tests: tests, limits: wasm.Limits{Grants: m.Grants}}, err
	}
	if _, err := os.Stat(filepath.Join(name, plugindev.FileName)); errors.Is(err, os.ErrNotExist) {
		return nil, failed(fmt.Errorf("%s is no plugin's folder: there is no %s in it; tidemill plugin new makes one", name, plugindev.FileName))
	}
	p, diags := plugindev.ReadProject(a.env, name)
	if err := a.mistakes(diags, p.Files); err != nil {
		return nil, err
	}
	module, err := p.Build(ctx)
	if err != nil {
		return nil, failed(err)
	}
	tests, err := a.pluginTests(name)
	return &pluginTarget{name, p, module, tests, p.Limits}, err
}

// pluginTests reads the tests beside a plugin.
func (a *app) pluginTests(dir string) ([]*plugindev.Test, error) {
	if _, err := os.Stat(filepath.Join(dir, plugindev.FileName)); err != nil {
		return nil, nil // a module that stands alone
	}
	tests, files, diags := plugindev.ReadTests(a.env, dir)
	return tests, a.mistakes(diags, files)
}

// mistakes prints what is wrong with files, and is an error when something is.
func (a *app) mistakes(diags hcl.Diagnostics, files map[string]*hcl.File) error {
	if err := a.printDiagnostics(diags, files); err != nil {
		return failed(err)
	}
	if diags.HasErrors() {
		return said(exitConfig)
	}
	return nil
}

// sample are the rows of a target's tests that share the first test's settings.
func (t *pluginTarget) sample(rig *plugindev.Rig) (s plugindev.Sample, err error) {
	var problem error
	if s.Settings, problem = rig.Settings(nil); len(t.tests) == 0 {
		return s, problem
	}
	if s.Settings, err = rig.Settings(t.tests[0].Config); err != nil {
		return s, err
	}
	s.Rows = &plugindev.Rows{}
	for _, test := range t.tests {
		if !maps.EqualFunc(test.Config, t.tests[0].Config, func(x, y json.RawMessage) bool { return string(x) == string(y) }) {
			continue
		}
		rows, err := test.Rows(rig.Plugin.Manifest)
		if err != nil {
			return s, fmt.Errorf("test %q: %w", test.Name, err)
		}
		s.Rows.Add(rows)
	}
	return s, nil
}

func (a *app) pluginTestCommand() *cobra.Command {
	var seed uint64
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test DIR | MODULE", Short: "Build a plugin, run its tests, and hold it to what every plugin guarantees",
		Long: "Builds the plugin in a folder, runs the test blocks of its *.test.hcl files, and then holds the module to\n" +
			"the guarantees that every plugin gives, with the rows of its tests and with rows made up from its manifest.\n" +
			"A module is held to the guarantees alone, with the tests beside it if there are any.",
		Args: one("the folder of a plugin, or a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.target(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.pluginTest(t, seed, asJSON)
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "which rows are made up")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a test and guarantee")
	return cmd
}

func (a *app) pluginTest(t *pluginTarget, seed uint64, asJSON bool) (err error) {
	rig, err := plugindev.Load(a.env, t.module, t.limits)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	broken := 0
	tell := func(kind, name string, failures []string) error {
		if asJSON {
			return printLine(a.out, map[string]any{"kind": kind, "name": name, "passed": len(failures) == 0, "failures": failures})
		}
		word := "ok  "
		if len(failures) > 0 {
			word = "FAIL"
		}
		fmt.Fprintf(a.out, "%s  %s\n", word, name)
		for _, f := range failures {
			fmt.Fprintf(a.out, "      %s\n", strings.ReplaceAll(strings.TrimSuffix(f, "\n"), "\n", "\n      "))
		}
		return nil
	}
	for _, test := range t.tests {
		failures, err := rig.Run(test)
		if err != nil {
			return failed(fmt.Errorf("%s:%d: test %q: %w", test.At.Filename, test.At.Start.Line, test.Name, err))
		}
		if len(failures) > 0 {
			broken++
		}
		if err := tell("test", test.Name, failures); err != nil {
			return err
		}
	}
	sample, err := t.sample(rig)
	if err != nil {
		return failed(err)
	}
	verdicts, err := rig.Check(seed, sample)
	if err != nil {
		return failed(err)
	}
	for _, v := range verdicts {
		var failures []string
		if v.Failure != "" {
			failures = []string{v.Failure, v.Why}
			broken++
		}
		if err := tell("guarantee", v.Name, failures); err != nil {
			return err
		}
	}
	if broken > 0 {
		fmt.Fprintf(a.err, "%d of %s and guarantees failed.\n", broken, count(len(t.tests)+len(verdicts), "test"))
		return said(exitFailed)
	}
	if !asJSON {
		fmt.Fprintf(a.out, "%s: %s, %d guarantees, %d bytes, %s\n", t.name, count(len(t.tests), "test"), len(verdicts), len(t.module), rig.Plugin.Digest)
	}
	return nil
}

// maxBenchSeconds limits how long each size of batch is measured.
const maxBenchSeconds = 3600

func (a *app) pluginBenchCommand() *cobra.Command {
	var seconds float64
	var asJSON bool
	cmd := &cobra.Command{
		Use: "bench DIR | MODULE", Short: "Measure what a row costs, in time and in fuel",
		Args: one("the folder of a plugin, or a module"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if !(seconds > 0 && seconds <= maxBenchSeconds) {
				return fmt.Errorf("--seconds is more than 0 and at most %d; this is %v", maxBenchSeconds, seconds)
			}
			t, err := a.target(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			rig, err := plugindev.Load(a.env, t.module, t.limits)
			if err != nil {
				return failed(err)
			}
			defer func() { err = errors.Join(err, rig.Close()) }()
			sample, err := t.sample(rig)
			if err != nil {
				return failed(err)
			}
			costs, err := rig.Measure(a.env.Clock, sample, 1, time.Duration(seconds*float64(time.Second)))
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printLine(a.out, map[string]any{"plugin": rig.Plugin.Manifest.Name, "bytes": len(t.module), "digest": rig.Plugin.Digest, "costs": costs})
			}
			fmt.Fprintf(a.out, "%s, %d bytes\n%12s %12s %12s %10s\n", rig.Plugin, len(t.module), "batch", "ns a row", "fuel a row", "refused")
			for _, c := range costs {
				fmt.Fprintf(a.out, "%12d %12.1f %12.1f %9.1f%%\n", c.Rows, c.NsPerRow, c.Fuel, 100*c.Rejected)
			}
			return nil
		},
	}
	cmd.Flags().Float64Var(&seconds, "seconds", 0.5, "how long each size of batch is measured")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
