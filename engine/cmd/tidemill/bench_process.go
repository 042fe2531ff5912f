package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is one that a bench measures while it runs.
type process struct {
	cmd  *exec.Cmd
	said safeText
}

// safeText is what a process says, read while it goes on.
type safeText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *safeText) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *safeText) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// background starts a program that goes on until it is ended.
func (b *bencher) background(procs int, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...)}
	p.cmd.Env = onProcessors(procs)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	return p, p.cmd.Start()
}

// says is what the process has said, as an error.
func (p *process) says() error {
	return errors.New(strings.Join(p.cmd.Args, " ") + "\n" + p.said.String())
}

// end asks the process to stop and waits until it has.
func (p *process) end() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return errors.Join(err, p.says())
	}
	return nil
}

// kill ends a process that may have ended.
func (p *process) kill() {
	if p.cmd.ProcessState == nil && p.cmd.Process.Kill() == nil {
		_ = p.cmd.Wait() // it was killed: there is nothing to learn
	}
}

// cpuOf returns what processes have used so far, of all their threads. The
// kernel counts in nanoseconds and tells hundredths of a second.
func cpuOf(processes []*process) ([]time.Duration, error) {
	var out []time.Duration
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return nil, fmt.Errorf("this system does not tell what a running process has used: %w", err)
		}
		// proc(5): behind the name in parentheses, user and system time are the 12th and 13th field.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		total := time.Duration(0)
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(string(f), 10, 64)
			if err != nil {
				return nil, err
			}
			total += time.Duration(n) * 10 * time.Millisecond
		}
		out = append(out, total)
	}
	return out, nil
}

func sum(d []time.Duration) time.Duration {
	total := time.Duration(0)
	for _, x := range d {
		total += x
	}
	return total
}

// rssOf and peakOf are a process's memory now and at most, MB; 0 where the system does not tell.
func rssOf(p *process) float64  { return statusOf(p, "VmRSS:") }
func peakOf(p *process) float64 { return statusOf(p, "VmHWM:") }

func statusOf(p *process, name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), name)
	kb, err := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	if err != nil {
		return 0
	}
	return kb * 1024 / 1e6
}

// awaitText waits until a process has said something.
func awaitText(p *process, text string) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(p.said.String(), text) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("nothing was heard of %q", text), p.says())
}
