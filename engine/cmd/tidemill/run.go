package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const runHelp = `Runs the pipelines of a folder. It goes on where the last run on the same data folder has
stopped, however that ended. When no ingest waits for more (follow = true), it ends by itself
once everything is through; otherwise at the first interrupt, after a last checkpoint.
A second interrupt ends it at once; nothing is lost by that.

Rows of stdout sinks go to standard output; how it is going goes to standard error: every
second on a terminal, otherwise every 10 seconds, and a summary at the end. With --json these
are JSON objects, one a line, with "event": "start", "status", "report", "end" or "error".

`

type runFlags struct {
	folder
	once, json, quiet bool
	every             string
	admin             string
}

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run DIR",
		Short: "Run the pipelines of a folder",
		Long:  runHelp + exitHelp,
		Example: "  tidemill run pipelines/coldhaul\n" +
			"  tidemill run pipelines/coldhaul --data /var/lib/coldhaul --var input=trailers.ndjson",
	}
	f.flags(cmd, true)
	cmd.Flags().BoolVar(&f.once, "once", false, "stop when all there is has been read, also where an ingest would wait for more")
	cmd.Flags().BoolVar(&f.json, "json", false, "write events to standard error as JSON, one object a line")
	cmd.Flags().StringVar(&f.every, "status-every", "", "how often to tell how it is going (default 1s on a terminal, else 10s)")
	cmd.Flags().StringVar(&f.admin, "admin", "", "show by HTTP what the engine does, at `HOST:PORT`, such as 127.0.0.1:9464 (default: as the engine block says)")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "write reports of trouble only")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f.take(args)
		return a.run(f)
	}
	return cmd
}

func (a *app) run(f *runFlags) (err error) {
	w, err := a.watcher(f)
	if err != nil {
		return err
	}
	if _, err := config.ParseListen(f.admin); err != nil && f.admin != "" {
		return fmt.Errorf("--admin: %w", err)
	}
	p, err := a.loadToRun(f, w)
	if err != nil {
		return err
	}
	if err := a.env.FS.MkdirAll(f.data); err != nil {
		return w.failed(fmt.Errorf("the data folder cannot be made: %w", err))
	}
	lock, err := a.lockSoon(f.data, w.report)
	if err != nil {
		return w.failed(err)
	}
	defer func() { err = failed(errors.Join(err, lock.release())) }()
	_ = env.Relax() // it costs more CPU time where that is not allowed, and nothing else
	defer runtime.KeepAlive(leanHeap())
	e, err := run.Open(p, run.Options{
		Env: a.env, Data: f.data, Specs: stages.Builtin(), Report: w.report, StopAtEnd: true, Once: f.once,
	})
	if err != nil {
		return w.failed(err)
	}
	defer func() { err = failed(errors.Join(err, e.Close())) }()
	return a.drive(f, e, w)
}

// loadToRun loads the folder; with --json what is wrong with it is an event.
func (a *app) loadToRun(f *runFlags, w *watcher) (*plan.Plan, error) {
	if !f.json {
		return a.mustLoad(&f.folder)
	}
	p, diags, _, err := a.load(&f.folder)
	if err == nil && p == nil {
		w.event("error", map[string]any{"error": "the configuration has errors", "problems": config.Problems(diags)})
		err = said(exitConfig)
	}
	return p, err
}

// drive runs an opened engine until it ends, with its control socket and
// whoever watches it beside it.
func (a *app) drive(f *runFlags, e *run.Engine, w *watcher) error {
	ctx, cancel := interruptible(w)
	defer cancel()
	vars, err := f.variables()
	if err != nil {
		return err
	}
	s := &admin.Server{Engine: e, Env: a.env, Specs: stages.Builtin(), Vars: vars, Stopping: func() bool { return ctx.Err() != nil }}
	s.Query = queries(f.data, func() []lake.Source { return lake.Find(e.Plan(), f.data) })
	controls, err := serveAdmin(f, e, s)
	if err != nil {
		return w.failed(errors.Join(err, closeAll(controls)))
	}
	w.start(e)
	end := a.govern(e)
	err = e.Run(ctx)
	end()
	w.stop(err, ctx.Err() != nil)
	return w.failed(errors.Join(err, closeAll(controls)))
}

// serveAdmin opens the control socket and, where one is asked for, the HTTP listener.
func serveAdmin(f *runFlags, e *run.Engine, s *admin.Server) ([]*admin.Control, error) {
	control, err := admin.Serve(s, path.Join(f.data, admin.SocketName))
	if err != nil {
		return nil, err
	}
	controls := []*admin.Control{control}
	set := e.Config().Engine
	address := set.Admin
	if f.admin != "" {
		address = f.admin
	}
	if address == "" {
		return controls, nil
	}
	l, err := admin.Listen(address, set.AdminInsecure)
	if err != nil {
		return controls, err
	}
	return append(controls, admin.ServeHTTP(s, l)), nil
}

func closeAll(controls []*admin.Control) error {
	var errs []error
	for _, c := range controls {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// interruptible returns a context that the first interrupt ends. The second
// one ends the process: what was not committed is done again by the next run.
func interruptible(w *watcher) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		w.stopping()
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx, cancel
}

// leanGC is how far the heap may grow between collections, percent of what is
// live. Tables are large and hold no pointers, so that collecting often is cheap.
const leanGC = 50

// leanHeap has garbage collected as suits an engine, unless the environment says how. What it returns has to be kept.
func leanHeap() []byte {
	if _, set := os.LookupEnv("GOGC"); set {
		return nil
	}
	debug.SetGCPercent(leanGC)
	if _, limited := os.LookupEnv("GOMEMLIMIT"); limited {
		return nil // ballast would be counted against the limit
	}
	return ballast()
}

// ballast is memory that is never touched, so that the system need not give it, and that counts as live: also a small heap may then grow by
// 32 MB before the next collection. What a collection takes is 3 ms of CPU time at least, and with 10 MB live there was one for every 70,000 messages over MQTT.
//
// The heap then grows into what is set free here, which comes in huge pages. A collection sets it free at once: the one that
// asking for so much begins often still takes it for live, and the heap had grown by as much in small pages when the next one came.
func ballast() []byte {
	b, next := make([]byte, 64<<20), make([]byte, 64<<20)
	for _, m := range [][]byte{b, next} {
		_ = env.GiveBack(m) // the runtime clears it, and so touches it, where something stood there before
	}
	_ = env.HugePages(next)
	runtime.GC()
	return b
}
