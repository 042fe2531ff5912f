package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
)

func (a *app) graphCommand() *cobra.Command {
	f, format := &folder{}, ""
	formats := []string{"mermaid", "dot"}
	cmd := &cobra.Command{
		Use:   "graph DIR",
		Short: "Draw the graph of a folder, as Mermaid or DOT",
		Long:  "Writes the graph to standard output, as a Mermaid flowchart or in Graphviz's DOT.\n\n" + exitHelp,
		Example: "  tidemill graph pipelines/coldhaul\n" +
			"  tidemill graph pipelines/coldhaul --format dot | dot -Tsvg > coldhaul.svg",
	}
	f.flags(cmd, false)
	cmd.Flags().StringVar(&format, "format", formats[0], "mermaid or dot")
	complete := cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("format", complete); err != nil {
		panic("BUG: " + err.Error())
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		if format != "mermaid" && format != "dot" {
			return fmt.Errorf("there is no format %q.%s", format, config.DidYouMean(format, formats))
		}
		p, err := a.mustLoad(f)
		if err != nil {
			return err
		}
		text := p.Mermaid()
		if format == "dot" {
			text = p.Dot()
		}
		_, err = fmt.Fprint(a.out, text)
		return failed(err)
	}
	return cmd
}
