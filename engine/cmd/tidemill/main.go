package main

import (
	"os"
	"runtime"

	"github.com/tidemill/tidemill/engine/env"
)

func main() {
	runtime.MemProfileRate = 0 // nobody can ask for a profile of memory, and taking its samples costs half a percent in W3
	os.Exit(tidemill())
}

// tidemill runs the command line of this process and returns its exit code.
func tidemill() int {
	a := &app{env: env.Real(), in: os.Stdin, out: os.Stdout, err: os.Stderr}
	a.outTerminal, a.errTerminal = isTerminal(os.Stdout), isTerminal(os.Stderr)
	return a.main(os.Args[1:])
}

// isTerminal tells whether a person reads what is written to f.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	return f.Name() != os.DevNull && !sameFile(f, os.DevNull)
}

func sameFile(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}
