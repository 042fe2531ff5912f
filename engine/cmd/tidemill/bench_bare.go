package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
)

// bareCommand is a server for bench to compare with what the machine itself asks.
func (a *app) bareCommand() *cobra.Command {
	var address, file string
	var group int
	cmd := &cobra.Command{
		Use: "bench-bare", Short: "Serve MQTT with what cannot be left out, for bench", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return failed(serveBare(address, file, group)) },
	}
	f := cmd.Flags()
	f.StringVar(&address, "address", "127.0.0.1:1883", "host and port to listen on")
	f.StringVar(&file, "file", "", "`FILE` for what comes")
	f.IntVar(&group, "group", 1600, "messages that can be in flight")
	return cmd
}

// bare measures the bare server under a load: the run in the middle.
func (b *bencher) bare(r *benchResult, l doorLoad, in *benchInput) error {
	runs := make([]usage, b.runs)
	for i := range runs {
		u, d, err := b.runBare(l, in)
		if err != nil {
			return fmt.Errorf("the bare server: %w", err)
		}
		runs[i], r.BareAck = u, d.AckP99
	}
	r.Bare = float64(median(runs).cpu) / float64(in.Records)
	return nil
}

// runBare measures it once. It has to have written every byte of every record.
func (b *bencher) runBare(l doorLoad, in *benchInput) (usage, *doorResult, error) {
	none := usage{}
	self, dir, address, err := b.site()
	if err != nil {
		return none, nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "came")
	p, err := b.background(1, self, "bench-bare", "--address", address, "--file", file, "--group", strconv.Itoa(l.connections*l.window))
	if err != nil {
		return none, nil, err
	}
	defer p.kill()
	if err := awaitListener(address, p); err != nil {
		return none, nil, err
	}
	u, d, err := b.under(l, address, in, "", p)
	if err != nil {
		return none, nil, errors.Join(err, p.says())
	}
	sent, err := os.Stat(in.Name)
	if err != nil {
		return none, nil, err
	}
	came, err := written(file)
	if err != nil {
		return none, nil, err
	}
	if want := sent.Size() - in.Records; came != want { // line ends do not travel
		return none, nil, fmt.Errorf("%d bytes of %d were written", came, want)
	}
	return u, d, nil
}

// written is how many bytes of records a bare server's file has.
func written(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	total, buf := int64(0), make([]byte, 1<<20)
	for {
		n, err := f.Read(buf)
		total += int64(n - bytes.Count(buf[:n], []byte{0}))
		if errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return 0, err
		}
	}
}
