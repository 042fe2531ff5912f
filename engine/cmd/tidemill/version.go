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
			if asJSON {
				v, revision := buildVersion()
				return printJSON(a.out, map[string]string{
					"version": v, "revision": revision, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			_, err := fmt.Fprintln(a.out, versionLine())
			return failed(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// versionLine is the version as a person reads it.
func versionLine() string {
	v, revision := buildVersion()
	if revision != "" {
		revision = " (" + revision + ")"
	}
	return fmt.Sprintf("tidemill %s%s, %s, %s/%s", v, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
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
