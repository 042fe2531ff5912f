package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// How often the status is shown.
const (
	everyOnTerminal = time.Second
	everyElsewhere  = 10 * time.Second
)

// watcher tells a person, or a script, how a run is going.
type watcher struct {
	env    *env.Env
	to     io.Writer
	flags  *runFlags
	colour bool
	// inPlace: the status is one line that is written over and over.
	inPlace bool
	every   time.Duration

	quit chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	engine  *run.Engine
	began   time.Time
	first   run.Status // when the run began
	last    run.Status // shown last
	onLine  bool       // a status stands on the current line
	failing map[string]string
}

// watcher makes one. Where rows come to the same terminal as the status, the
// status is a line among them.
func (a *app) watcher(f *runFlags) (*watcher, error) {
	w := &watcher{env: a.env, to: a.err, flags: f, colour: a.colour(), failing: map[string]string{},
		every: everyElsewhere, quit: make(chan struct{})}
	if a.errTerminal && !f.json {
		w.inPlace = !a.outTerminal
		if w.inPlace {
			w.every = everyOnTerminal
		}
	}
	if f.every != "" {
		every, err := statusEvery(f.every)
		if err != nil {
			return nil, err
		}
		w.every = max(every, 100*time.Millisecond)
	}
	return w, nil
}

// statusEvery reads --status-every.
func statusEvery(text string) (time.Duration, error) {
	every, err := config.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("--status-every: %w", err)
	}
	if every < 10*time.Millisecond {
		return 0, fmt.Errorf("--status-every is the time between two lines, at least 10ms; this is %s", text)
	}
	return every, nil
}

// start begins to show what the engine does.
func (w *watcher) start(e *run.Engine) {
	w.mu.Lock()
	w.engine, w.began = e, w.env.Clock.Now()
	w.first = e.Status()
	w.last = w.first
	w.mu.Unlock()
	if w.flags.json {
		w.event("start", map[string]any{"dir": w.flags.dir, "data": w.flags.data, "status": w.first})
	} else if !w.flags.quiet {
		w.println(w.opening())
	}
	w.done.Go(w.loop)
}

func (w *watcher) opening() string {
	from := "from the beginning"
	if w.first.Checkpoint.Epoch > 0 {
		from = "from where the last run stopped"
	}
	return fmt.Sprintf("Running %s %s (data folder %s); interrupt with Ctrl-C.", w.flags.dir, from, w.flags.data)
}

func (w *watcher) loop() {
	for {
		tick := make(chan struct{})
		stop := w.env.Clock.After(w.every, func() { close(tick) })
		select {
		case <-tick:
			w.show()
		case <-w.quit:
			stop()
			return
		}
	}
}

// show writes the status of now.
func (w *watcher) show() {
	now := w.engine.Status()
	w.tellFailing(now)
	w.mu.Lock()
	last, began := w.last, w.began
	w.last = now
	w.mu.Unlock()
	switch {
	case w.flags.json:
		w.event("status", map[string]any{"status": now})
	case w.flags.quiet:
	case w.inPlace:
		w.overwrite(statusLine(last, now, began))
	default:
		w.println(statusLine(last, now, began))
	}
}

// tellFailing reports a sink's trouble once, and its end.
func (w *watcher) tellFailing(now run.Status) {
	for _, s := range now.Sinks {
		if s.Reported {
			continue
		}
		before := w.failing[s.Address]
		switch {
		case s.LastError == before:
		case s.LastError == "":
			w.report(s.Address + " works again")
		default:
			w.report(s.Address + ": " + s.LastError + "; trying again")
		}
		w.failing[s.Address] = s.LastError
	}
}

// stopping tells that an interrupt has come.
func (w *watcher) stopping() {
	if !w.flags.json && !w.flags.quiet {
		w.println("Stopping after a last checkpoint; interrupt again to stop at once.")
	}
}

// stop ends the show with a summary. err is how the run ended.
func (w *watcher) stop(err error, interrupted bool) {
	close(w.quit)
	w.done.Wait()
	now := w.engine.Status()
	w.tellFailing(now)
	if w.flags.json {
		w.event("end", map[string]any{"status": now, "seconds": now.Time.Sub(w.began).Seconds(), "interrupted": interrupted})
		return
	}
	if !w.flags.quiet {
		w.println(ending(err, interrupted) + summary(now, w.began))
	}
}

// failed is the error of a run; with --json it has been told by an event.
func (w *watcher) failed(err error) error {
	if err == nil || !w.flags.json {
		return failed(err)
	}
	w.event("error", map[string]any{"error": err.Error()})
	return said(exitFailed)
}

// report writes a line about something unusual. It is called from any goroutine.
func (w *watcher) report(line string) {
	if w.flags.json {
		w.event("report", map[string]any{"line": line})
		return
	}
	if w.colour {
		line = "\x1b[33m" + line + "\x1b[0m"
	}
	w.println(line)
}

func (w *watcher) println(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onLine {
		fmt.Fprint(w.to, "\r\x1b[K")
		w.onLine = false
	}
	fmt.Fprintln(w.to, line)
}

func (w *watcher) overwrite(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if width := w.width(); len(line) >= width {
		line = line[:width-1]
	}
	fmt.Fprint(w.to, "\r\x1b[K"+line)
	w.onLine = true
}

// width is how many characters fit on a line of the terminal.
func (w *watcher) width() int {
	if f, ok := w.to.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 20 {
			return int(size.Col)
		}
	}
	return 120
}

// event writes one JSON object on a line of its own.
func (w *watcher) event(name string, fields map[string]any) {
	fields["event"] = name
	fields["time"] = w.env.Clock.Now().UTC().Format(time.RFC3339Nano)
	line, err := json.Marshal(fields)
	if err != nil {
		panic("BUG: an event cannot be written as JSON: " + err.Error())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.to.Write(append(line, '\n')) // nobody reads on: the run goes on all the same
}
