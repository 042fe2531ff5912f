package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const benchChannel = `
channel "telemetry" {
  key  = device
  time = ts
  schema = {
    device = string, ts = timestamp, site = string, lat = number, lon = number, speed = number, temp = number,
    setpoint = number, ambient = number, door_open = bool, fuel = number, battery = number, seq = integer
  }
}

ingest "file" "input" {
  to   = channel.telemetry
  path = "INPUT"
}

pipeline "bench" {
  from = channel.telemetry
`

const benchFilter = benchChannel + `
  rule "warm" {
    where = temp > setpoint + 3 && !door_open
    set   = { over = temp - setpoint }
  }

  sink "file" "out" {
    from = rule.warm
    path = "OUTPUT"
  }
}
`

const benchWindow = benchChannel + `
  window "tumbling" "five_min" {
    by    = [device]
    every = "5m"
    late  = "drop" // as the peer does; with "revise", windows stay in memory for keep
    emit  = { temp_avg = avg(temp), temp_max = max(temp), n = count() }
  }

  sink "file" "out" {
    from = window.five_min
    path = "OUTPUT"
  }
}
`

// partitioned writes the number of partitions into the channel of a workload, if one is asked for.
func (b *bencher) partitioned(text string) string {
	if b.partitions == 0 {
		return text
	}
	const key = "  key  = device\n"
	return strings.Replace(text, key, key+"  partitions = "+strconv.Itoa(b.partitions)+"\n", 1)
}

// run measures the engine once, as a process of its own in a fresh folder.
func (b *bencher) run(workload string, procs int, in *benchInput) (usage, error) {
	self, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	dir, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir)
	text := benchWindow
	if workload == filterWork {
		text = benchFilter
	}
	output := filepath.Join(dir, "out.ndjson")
	text = b.partitioned(strings.NewReplacer("INPUT", in.Name, "OUTPUT", output).Replace(text))
	if err := os.WriteFile(filepath.Join(dir, "bench.hcl"), []byte(text), 0o644); err != nil {
		return usage{}, err
	}
	u, err := b.spawn(procs, self, "run", dir, "--quiet")
	if err != nil {
		return usage{}, err
	}
	return u, in.verify(workload, output, true)
}

// runPeer measures the peer once.
func (b *bencher) runPeer(workload string, procs int, in *benchInput, group int64) (usage, error) {
	dir, err := os.MkdirTemp(b.dir, "peer")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir)
	output := filepath.Join(dir, "out.ndjson")
	u, err := b.spawn(procs, b.peer, "-workload", workload, "-input", in.Name, "-output", output, "-group", strconv.FormatInt(group, 10))
	if err != nil {
		return usage{}, fmt.Errorf("the peer: %w", err)
	}
	if err := in.verify(workload, output, false); err != nil {
		return usage{}, fmt.Errorf("the peer: %w", err)
	}
	return u, nil
}

// spawn runs a program to its end and returns what the kernel says it used.
func (b *bencher) spawn(procs int, name string, args ...string) (usage, error) {
	if name != b.peer {
		args = append(args, b.profile()...)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = onProcessors(procs)
	var said strings.Builder
	cmd.Stderr, cmd.Stdout = &said, &said
	began := b.app.env.Clock.Now()
	if err := cmd.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said.String())
	}
	s := cmd.ProcessState
	r, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}, errors.New("this system does not tell what a process has used")
	}
	return usage{s.UserTime() + s.SystemTime(), b.app.env.Clock.Now().Sub(began), float64(r.Maxrss) * 1024 / 1e6}, nil
}

// benchRow is what W1 and W2 write of interest.
type benchRow struct {
	Over     float64 `json:"over"`
	Average  float64 `json:"temp_avg"`
	N        int64   `json:"n"`
	Revision int64   `json:"revision"`
}

// verify compares an output with the recount. The peer may write a window in
// two pieces.
func (in *benchInput) verify(workload, output string, whole bool) error {
	f, err := os.Open(output)
	if err != nil {
		return err
	}
	defer f.Close()
	var rows, n int64
	var over, temp float64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r benchRow
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("line %d of the output: %w", rows+1, err)
		}
		if r.Revision != 0 {
			return fmt.Errorf("line %d of the output revises a window, though no record was late", rows+1)
		}
		rows++
		n += r.N
		over += r.Over
		temp += r.Average * float64(r.N)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var problems []string
	expect := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9*math.Abs(want) {
			problems = append(problems, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	if workload == filterWork {
		expect("the number of rows", float64(rows), float64(in.Passes))
		expect("the sum of over", over, in.Over)
	} else {
		if whole {
			expect("the number of windows", float64(rows), float64(in.Windows))
		}
		expect("the number of records in windows", float64(n), float64(in.Records))
		expect("the sum of temp", temp, in.Temp)
	}
	if problems != nil {
		return fmt.Errorf("the output is wrong by a plain recount of the input: %s", strings.Join(problems, "; "))
	}
	return nil
}

// findPeer returns the path of tidemill-peer, or "".
func findPeer() string {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "tidemill-peer")
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside
		}
	}
	name, err := exec.LookPath("tidemill-peer")
	if err != nil {
		return ""
	}
	return name
}

// profile is what lets a run of the engine write its CPU profile, where one is asked for.
func (b *bencher) profile() []string {
	if b.profiles == "" {
		return nil
	}
	b.profiled++
	return []string{"--cpuprofile", filepath.Join(b.profiles, strconv.Itoa(b.profiled)+".pprof")}
}
