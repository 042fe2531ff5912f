package main

import (
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// profileFlag gives every command a hidden flag that writes a CPU profile:
// what `make pgo` makes the compiler's profile of.
func (a *app) profileFlag(root *cobra.Command) {
	name := ""
	root.PersistentFlags().StringVar(&name, "cpuprofile", "", "write a CPU profile to `FILE`")
	if err := root.PersistentFlags().MarkHidden("cpuprofile"); err != nil {
		panic("BUG: " + err.Error())
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if name == "" {
			return nil
		}
		f, err := os.Create(name)
		if err != nil {
			return failed(err)
		}
		a.profiled = func() error {
			pprof.StopCPUProfile()
			return f.Close()
		}
		return failed(pprof.StartCPUProfile(f))
	}
}
