package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// folder is the argument and the flags of commands that read a configuration.
type folder struct {
	dir  string
	data string
	vars []string
}

// flags adds the flags to a command; withData also where the engine keeps its things.
func (f *folder) flags(cmd *cobra.Command, withData bool) {
	cmd.Args = oneFolder
	cmd.Flags().StringArrayVar(&f.vars, "var", nil, "value of a variable, as `NAME=VALUE`; may be given several times")
	if withData {
		cmd.Flags().StringVar(&f.data, "data", "", "`FOLDER` of journal and checkpoints (default DIR/.tidemill)")
	}
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
}

// one wants one argument, and says of what kind.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s takes one argument, %s; there are %d", command(cmd), what, len(args))
	}
}

// some wants one argument or more.
func some(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return fmt.Errorf("%s takes %s", command(cmd), what)
	}
}

// command is how a command is called behind the program's name.
func command(cmd *cobra.Command) string {
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return name
}

func oneFolder(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("%s takes a folder, such as: tidemill %s pipelines/coldhaul", cmd.Name(), cmd.Name())
	case 1:
		return nil
	}
	return fmt.Errorf("%s takes one folder, not %d", cmd.Name(), len(args))
}

// take notes the command's argument.
func (f *folder) take(args []string) {
	f.dir = args[0]
	if f.data == "" {
		f.data = path.Join(f.dir, ".tidemill")
	}
}

// notRunning says how an engine is started, where the error is that none runs on a data folder. No dir: the command does not know
// the pipelines'.
func notRunning(err error, dir, data string) error {
	if !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	start := "tidemill run " + cmp.Or(dir, "DIR")
	if dir == "" || data != path.Join(dir, ".tidemill") {
		start += " --data " + data
	}
	return fmt.Errorf("no engine is running on %s; start one with: %s", data, start)
}

// variables takes the --var flags apart.
func (f *folder) variables() (map[string]string, error) {
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--var takes NAME=VALUE, such as --var input=rows.ndjson") // the text may be a secret
		}
		if _, twice := vars[name]; twice {
			return nil, fmt.Errorf("--var %s=... is given twice", name)
		}
		vars[name] = value
	}
	return vars, nil
}

// load reads and binds a folder without effects. The plan is nil when there
// are errors. files serve to print the diagnostics.
func (a *app) load(f *folder) (*plan.Plan, hcl.Diagnostics, map[string]*hcl.File, error) {
	vars, err := f.variables()
	if err != nil {
		return nil, nil, nil, err
	}
	c, diags := config.Load(a.env, f.dir, a.options(f, vars))
	if c == nil {
		return nil, diags, nil, nil
	}
	if diags.HasErrors() && len(c.Pipelines) == 0 && len(c.Channels) == 0 {
		return nil, diags, c.Files, nil
	}
	p, more := plan.Build(c, stages.Builtin(), nil)
	diags = config.Sort(append(diags, more...))
	if diags.HasErrors() {
		p = nil
	}
	return p, diags, c.Files, nil
}

// options are those that a folder is read with: plugins may be named by digests of the data folder's modules.
func (a *app) options(f *folder, vars map[string]string) config.Options {
	data := f.data
	if data == "" {
		data = path.Join(f.dir, ".tidemill")
	}
	s := modules.Open(a.env, data)
	return config.Options{Vars: vars, Modules: s.Get, Signatures: s.Signatures}
}

// mustLoad is load for commands that need the plan: it prints what there is to
// print to standard error, and fails when there are errors.
func (a *app) mustLoad(f *folder) (*plan.Plan, error) {
	p, diags, files, err := a.load(f)
	if err != nil {
		return nil, err
	}
	if err := a.printDiagnostics(diags, files); err != nil {
		return nil, failed(err)
	}
	if p == nil {
		return nil, said(exitConfig)
	}
	return p, nil
}

func (a *app) printDiagnostics(diags hcl.Diagnostics, files map[string]*hcl.File) error {
	if len(diags) == 0 {
		return nil
	}
	if err := config.Print(a.err, diags, files, a.colour()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.err)
	return err
}

// printJSON writes a value for scripts, indented, with a line end.
func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return failed(out.Encode(v))
}

// count is a number of things, such as "1 error" or "3 errors".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
