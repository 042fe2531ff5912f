package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
)

func (a *app) fmtCommand() *cobra.Command {
	check := false
	cmd := &cobra.Command{
		Use:   "fmt [DIR | FILE.hcl | -]...",
		Short: "Lay out configuration files",
		Long: "Lays files out: indentation, and equals signs below each other. Without an argument, the current\n" +
			"folder; with -, standard input to standard output. Names of files that change are printed.\n\n" + exitHelp,
		Example: "  tidemill fmt pipelines/coldhaul\n  tidemill fmt --check .",
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit with 1 when a file is not laid out")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{"."}
		}
		return a.fmt(args, check)
	}
	return cmd
}

func (a *app) fmt(args []string, check bool) error {
	differ, broken := 0, 0
	for _, arg := range args {
		names := []string{arg}
		if arg != "-" {
			var err error
			if names, err = hclFiles(arg); err != nil {
				return failed(err)
			}
		}
		for _, name := range names {
			changed, valid, err := a.fmtOne(name, check)
			if err != nil {
				return failed(err)
			}
			if changed {
				differ++
			}
			if !valid {
				broken++
			}
		}
	}
	switch {
	case broken > 0:
		return said(exitConfig)
	case check && differ > 0:
		return said(exitFailed)
	}
	return nil
}

// hclFiles lists the file that is named, or those of the folder.
func hclFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(name), "*.hcl"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s holds no *.hcl files", name)
	}
	return names, err
}

func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// fmtOne lays one file out.
func (a *app) fmtOne(name string, check bool) (changed, valid bool, err error) {
	var src []byte
	if name == "-" {
		src, err = io.ReadAll(io.LimitReader(a.in, config.MaxFileBytes+1))
	} else {
		src, err = os.ReadFile(name)
	}
	if err != nil {
		return false, false, err
	}
	shown := name
	if name == "-" {
		shown = "standard input"
	}
	out, diags := config.Format(src, shown)
	if len(diags) > 0 {
		if err := a.printDiagnostics(diags, map[string]*hcl.File{shown: {Bytes: src}}); err != nil {
			return false, false, err
		}
	}
	if diags.HasErrors() {
		return false, false, nil
	}
	changed = !bytes.Equal(src, out)
	switch {
	case name == "-" && !check:
		_, err = a.out.Write(out)
	case changed && !check:
		err = replaceFile(name, out)
	}
	if err == nil && changed && name != "-" {
		_, err = fmt.Fprintln(a.out, name)
	}
	return changed, true, err
}

// replaceFile writes a file so that a crash leaves the old one or the new one.
func replaceFile(name string, content []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
