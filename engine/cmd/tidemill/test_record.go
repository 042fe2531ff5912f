package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/engine/pipetest"
	"github.com/tidemill/tidemill/engine/replay"
)

// recordFlags are those of `tidemill test --record`.
func (f *testFlags) recordFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.record, "record", "", "make a test of --channel's latest records: write DIR/`NAME`.test.hcl, with what came of them as expectations")
	flags.StringVar(&f.channel, "channel", "", "with --record: records of `CHANNEL`")
	flags.StringVar(&f.device, "device", "", "with --record: records of one `DEVICE`, a value of the channel's key")
	flags.StringVar(&f.from, "from", "", "with --record: records received at `TIME` or later")
	flags.StringVar(&f.to, "to", "", "with --record: records received before `TIME`")
	flags.StringVar(&f.data, "data", "", "with --record: `FOLDER` of the journal (default DIR/.tidemill)")
	flags.StringArrayVar(&f.vars, "var", nil, "with --record: value of a variable, as `NAME=VALUE`")
	flags.IntVar(&f.rows, "rows", 1000, "with --record: at most so many `RECORDS`")
}

var recordName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// recordTest writes a test of what has happened.
func (a *app) recordTest(f *testFlags, dirs []string) error {
	switch {
	case len(dirs) != 1:
		return errors.New("--record takes one folder")
	case f.channel == "":
		return errors.New("--record needs --channel: whose records")
	case !recordName.MatchString(f.record):
		return errors.New("--record takes a name of letters, digits, - and _")
	case f.rows < 1:
		return errors.New("--rows is at least 1")
	}
	from := folder{vars: f.vars, data: f.data}
	from.take(dirs)
	like := &replayFlags{folder: from, channel: f.channel, from: f.from, to: f.to, device: f.device}
	o, err := like.options(a, false)
	if err != nil {
		return err
	}
	name := path.Join(dirs[0], f.record+".test.hcl")
	if _, err := os.Stat(name); err == nil {
		return failed(fmt.Errorf("%s is there already", name))
	}
	made, err := a.recording(f, o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, []byte(made.Text()), 0o644); err != nil {
		return failed(err)
	}
	fill := &testFlags{run: "^" + regexp.QuoteMeta(f.record) + "$"}
	updates, err := a.firstRun(fill, dirs[0])
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, pipetest.Apply([]byte(made.Text()), updates), 0o644); err != nil {
		return failed(err)
	}
	fmt.Fprintf(a.err, "%s: %s. Read what it expects before you keep it.\n", name, count(len(made.Records), "record"))
	return a.test(fill, dirs)
}

// recording reads the records.
func (a *app) recording(f *testFlags, o replay.Options) (made *pipetest.Recording, err error) {
	r, err := a.openReplay(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, failed(r.Close())) }()
	list, err := r.Records(context.Background(), f.rows)
	switch {
	case err != nil:
		return nil, failed(err)
	case len(list) == 0:
		return nil, failed(fmt.Errorf("channel.%s has no such record", f.channel))
	}
	made = &pipetest.Recording{Name: f.record, Channel: f.channel, Vars: maps.Clone(o.Vars)}
	made.Edges, made.Columns = r.Seen()
	for _, x := range list {
		made.Records = append(made.Records, pipetest.Recorded{Received: x.Received, Topic: x.Topic, Payload: x.Payload})
	}
	return made, nil
}

// firstRun runs a test for what it gives.
func (a *app) firstRun(f *testFlags, dir string) ([]pipetest.Update, error) {
	suite, diags := pipetest.Load(a.env, dir)
	at := slices.IndexFunc(suite.Tests, func(t *pipetest.Test) bool { return regexp.MustCompile(f.run).MatchString(t.Name) })
	if at >= 0 && !diags.HasErrors() {
		out, more, err := suite.Tests[at].Run(dir, pipetest.Options{Env: a.env, Together: together})
		if err != nil {
			return nil, failed(err)
		}
		if diags = more; !diags.HasErrors() {
			return out.Updates, nil
		}
		maps.Copy(suite.Files, out.Files())
	}
	if err := a.printDiagnostics(diags, suite.Files); err != nil {
		return nil, failed(err)
	}
	return nil, said(exitConfig)
}
