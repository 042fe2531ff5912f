package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Fed is a Work whose input grows while it is read.
type Fed struct {
	*Work
	lines []string
	fed   int
}

// NewFed empties the input of w, into which Feed will put lines, each of which ends with a line break.
func NewFed(w *Work, lines []string) (*Fed, error) {
	return &Fed{Work: w, lines: lines}, os.WriteFile(w.Input, nil, 0o644)
}

// Feed appends n more lines to the input, or as many as there are.
func (w *Fed) Feed(n int) error {
	n = min(n, len(w.lines)-w.fed)
	f, err := os.OpenFile(w.Input, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(w.lines[w.fed:w.fed+n], ""))
	w.fed += n
	return errors.Join(err, f.Close())
}

// All tells whether every line is in the input.
func (w *Fed) All() bool { return w.fed == len(w.lines) }

// Finish feeds the rest and runs to the end.
func (w *Fed) Finish() error {
	if err := w.Feed(len(w.lines)); err != nil {
		return err
	}
	if said, err := exec.Command(w.Binary, "run", w.Dir, "--data", w.Data, "--once").CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}
