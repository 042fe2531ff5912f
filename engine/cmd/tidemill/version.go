package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// development is the version of a binary that was not built from a release.
const development = "development"

func (a *app) versionCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, revision := buildVersion()
			if asJSON {
				return printJSON(a.out, map[string]string{
					"version": v, "revision": revision, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			if revision != "" {
				revision = " (" + revision + ")"
			}
			_, err := fmt.Fprintf(a.out, "tidemill %s%s, %s, %s/%s\n", v, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return failed(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// buildVersion is what the Go toolchain noted in the binary.
func buildVersion() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return development, ""
	}
	version = info.Main.Version
	if version == "" || version == "(devel)" {
		version = development
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			revision = s.Value[:12]
		}
	}
	return version, revision
}
