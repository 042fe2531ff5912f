package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/wasm"
)

func (a *app) pluginInspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inspect MODULE", Short: "Say what a module is: digest, columns, state, arguments, host calls",
		Args: one("a module, such as over_temp/over_temp.wasm"),
		RunE: func(_ *cobra.Command, args []string) error {
			module, err := readModule(args[0])
			if err != nil {
				return failed(err)
			}
			m, err := wasm.ReadManifest(module)
			if err != nil {
				return failed(fmt.Errorf("%s: %w", args[0], err))
			}
			if asJSON {
				return printLine(a.out, map[string]any{"digest": wasm.Digest(module), "bytes": len(module), "manifest": m})
			}
			writeManifest(a.out, m, len(module), wasm.Digest(module))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readModule reads a module's file.
func readModule(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder; give the module that tidemill plugin build writes into it, %s", name, filepath.Join(name, "NAME.wasm"))
	}
	return os.ReadFile(name)
}

// writeManifest prints a manifest for a person.
func writeManifest(w io.Writer, m *wasm.Manifest, size int, digest string) {
	fmt.Fprintf(w, "%s %s, %s, ABI %d, %d bytes\n%s\n", m.Name, m.Version, m.Kind, m.ABI, size, digest)
	if m.Help != "" {
		fmt.Fprintln(w, m.Help)
	}
	columns := func(title string, list []wasm.Column, word func(wasm.Column) string) {
		for i, c := range list {
			if i > 0 {
				title = ""
			}
			fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-8s %-20s %-10s %-9s %s", title, c.Name, c.Type, word(c), c.Help), " "))
		}
	}
	columns("reads", m.Reads, func(c wasm.Column) string {
		if c.Required {
			return "required"
		}
		return ""
	})
	columns("writes", m.Writes, func(c wasm.Column) string {
		if c.Nullable {
			return "nullable"
		}
		return ""
	})
	if m.State != nil {
		columns(fmt.Sprintf("state %d", m.State.Version), m.State.Columns, func(c wasm.Column) string {
			if c.Max > 0 {
				return fmt.Sprintf("max %d", c.Max)
			}
			return ""
		})
		for _, old := range m.State.From {
			columns(fmt.Sprintf("from  %d", old.Version), old.Columns, func(wasm.Column) string { return "" })
		}
	}
	for i, o := range m.Config {
		title, word := "config", ""
		if i > 0 {
			title = ""
		}
		switch {
		case o.Required:
			word = "required"
		case o.Default != nil:
			word = "= " + string(o.Default)
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-8s %-20s %-10s %-9s %s", title, o.Name, o.Type, word, o.Help), " "))
	}
	if len(m.Calls) > 0 {
		fmt.Fprintf(w, "%-8s %s\n", "calls", strings.Join(m.Calls, ", "))
	}
	if len(m.Grants) > 0 {
		fmt.Fprintf(w, "%-8s %s\n", "grants", strings.Join(m.Grants, ", "))
	}
	if m.MaxRows > 1 {
		fmt.Fprintf(w, "%-8s at most %d output rows an input row\n", "rows", m.MaxRows)
	}
}
