package main

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
)

func (a *app) validateCommand() *cobra.Command {
	f, asJSON := &folder{}, false
	cmd := &cobra.Command{
		Use:   "validate DIR",
		Short: "Find every mistake in a folder of configuration",
		Long: "Reads all *.hcl files of a folder and tells every mistake in them at once. Nothing is opened\n" +
			"and nothing is changed.\n\n" + exitHelp,
		Example: "  tidemill validate pipelines/coldhaul",
	}
	f.flags(cmd, false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON to standard output")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		return a.validate(f, asJSON)
	}
	return cmd
}

func (a *app) validate(f *folder, asJSON bool) error {
	p, diags, files, err := a.load(f)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(a.out, map[string]any{"valid": p != nil, "problems": config.Problems(diags)})
	} else {
		err = failed(a.printDiagnostics(diags, files))
	}
	if err != nil {
		return err
	}
	if p == nil {
		if !asJSON {
			fmt.Fprintf(a.err, "%s is not valid: %s.\n", f.dir, tally(diags))
		}
		return said(exitConfig)
	}
	if !asJSON {
		channels, stages := 0, 0 // that the files name: not the engine's own between them
		for _, ch := range p.Channels {
			if !ch.Own {
				channels++
			}
		}
		for _, pl := range p.Pipelines {
			for _, n := range pl.Nodes {
				if !strings.Contains(n.Address, "~") {
					stages++
				}
			}
		}
		note := ""
		if len(diags) > 0 {
			note = ", " + tally(diags)
		}
		fmt.Fprintf(a.out, "%s is valid: %s, %s, %s, %s%s.\n", f.dir, count(channels, "channel"),
			count(len(p.Ingests), "ingest"), count(len(p.Pipelines), "pipeline"), count(stages, "stage"), note)
	}
	return nil
}

// tally counts errors and warnings.
func tally(diags hcl.Diagnostics) string {
	errors, warnings := 0, 0
	for _, d := range diags {
		if d.Severity == hcl.DiagWarning {
			warnings++
		} else {
			errors++
		}
	}
	switch {
	case warnings == 0:
		return count(errors, "error")
	case errors == 0:
		return count(warnings, "warning")
	}
	return count(errors, "error") + " and " + count(warnings, "warning")
}
