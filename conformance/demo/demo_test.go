package demo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/simulate"
)

const (
	devices  = 300
	patience = 3 * time.Minute
)

// TestDemo: trailers publish, averages are written, and a standard client sees alarms; all of it
// is killed, and a second run goes on: no record of any window is missing.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	d := start(t)
	first := d.run(t)
	sub := d.subscribe(t)
	eventually(t, first, "averages", func() bool { return len(d.averages(t)) > 2*devices })
	eventually(t, first, "an alarm at mosquitto_sub", func() bool {
		return strings.Contains(sub.text(), `alarms/trailer-`) && strings.Contains(sub.text(), `"name":"too_warm"`)
	})
	d.look(t, first)
	first.kill(t)

	before := len(d.averages(t))
	second := d.run(t)
	eventually(t, second, "more averages", func() bool { return len(d.averages(t)) > before+2*devices })
	if err := second.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, second.text())
	}
	for _, text := range []string{"from where the last run stopped", "make run goes on, make clean forgets"} {
		if !strings.Contains(second.text(), text) {
			t.Errorf("the second run does not say %q:\n%s", text, second.text())
		}
	}
	d.compare(t)
}

// TestPortTaken: the fleet does not publish to another broker that is there already.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	for _, x := range []struct{ port, admin, right string }{{taken, freePort(t), "PORT="}, {freePort(t), taken, "ADMIN="}} {
		cmd := exec.Command("../../.ci/demo")
		scratch := filepath.Join(t.TempDir(), "scratch")
		cmd.Env = append(os.Environ(), "TIDEMILL=/nowhere", "SCRATCH="+scratch, "PORT="+x.port, "ADMIN=127.0.0.1:"+x.admin)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "127.0.0.1:"+taken) || !strings.Contains(string(out), x.right) {
			t.Errorf("%+v: %v\n%s", x, err, out)
		}
		if _, err := os.Stat(scratch); err == nil {
			t.Errorf("%+v: it has begun", x)
		}
	}
}

type demo struct {
	binary, scratch, port, admin string
}

func start(t *testing.T) *demo {
	t.Helper()
	binary, err := rig.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &demo{binary: binary, scratch: t.TempDir(), port: freePort(t), admin: freePort(t)}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(ports.Free(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// program is one that runs, and what it has said.
type program struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func launch(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: cmd}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill(t) })
	return p
}

func (d *demo) run(t *testing.T) *program {
	t.Helper()
	cmd := exec.Command("../../.ci/demo")
	cmd.Env = append(os.Environ(), "TIDEMILL="+d.binary, "SCRATCH="+d.scratch, "PORT="+d.port, "ADMIN=127.0.0.1:"+d.admin,
		"DEVICES="+strconv.Itoa(devices), "PACE=900")
	return launch(t, cmd)
}

// kill ends a program and its children with SIGKILL, the script first, so that it starts nothing more.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	pid := p.cmd.Process.Pid
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // none where it has ended
	_ = p.cmd.Process.Kill()
	for _, child := range strings.Fields(string(list)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(n, syscall.SIGKILL)
	}
	_ = p.cmd.Wait() // it was killed
}

// subscribe has a standard client listen to the alarms.
func (d *demo) subscribe(t *testing.T) *program {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+d.port); err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody listens for MQTT")
		}
	}
	return launch(t, exec.Command("mosquitto_sub", "-p", d.port, "-t", "alarms/#", "-v"))
}

func eventually(t *testing.T, p *program, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to %s:\n%s", what, p.text())
		}
	}
}

// average is a row of averages.ndjson.
type average struct {
	Device   string
	Start    time.Time `json:"window_start"`
	N        int
	Revision int
	Final    bool
}

// averages reads the last revision of each window.
func (d *demo) averages(t *testing.T) map[string]average {
	t.Helper()
	f, err := os.Open(filepath.Join(d.scratch, "out", "averages.ndjson"))
	if err != nil {
		return nil
	}
	defer f.Close()
	out := map[string]average{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var a average
		if json.Unmarshal(lines.Bytes(), &a) == nil { // the last line may be half there
			out[key(a.Device, a.Start)] = a
		}
	}
	return out
}

func key(device string, start time.Time) string {
	return device + " " + start.UTC().Format(time.RFC3339)
}

// compare counts what the fleet has published by device and window: each record counts once, also what
// was on its way at the kill, and what a trailer sends twice.
func (d *demo) compare(t *testing.T) {
	t.Helper()
	got := d.averages(t)
	state, err := os.ReadFile(filepath.Join(d.scratch, "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	o := simulate.Demo()
	o.Devices, o.Duration = devices, 0
	const startAt = 40 // in the file of --resume
	o.Start = time.UnixMicro(int64(binary.LittleEndian.Uint64(state[startAt:]))).UTC()
	fleet, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	want := expected(fleet, o.Start.Add(12*time.Hour))
	compared, records := 0, 0
	for k, a := range got {
		if !a.Final {
			continue
		}
		compared++
		if a.N != want[k] {
			t.Errorf("%s: %d records, and %d were published", k, a.N, want[k])
		}
		records += a.N
	}
	if compared < 4*devices {
		t.Errorf("only %d windows are final", compared)
	}
	t.Logf("%d windows are final, and hold each of %d records once", compared, records)
}

// expected counts plausible records by device and window, up to some time.
func expected(fleet *simulate.Fleet, until time.Time) map[string]int {
	want, sent := map[string]int{}, map[string]bool{}
	var line []byte
	for {
		var at int64
		if line, at, _ = fleet.Next(line[:0]); at > until.UnixMicro() {
			return want
		}
		var r struct {
			Device string
			TS     time.Time
			Temp   *float64
			Seq    int
		}
		if json.Unmarshal(line, &r) != nil || sent[fmt.Sprint(r.Device, " ", r.Seq)] {
			continue
		}
		sent[fmt.Sprint(r.Device, " ", r.Seq)] = true
		if r.Temp != nil && *r.Temp > -60 && *r.Temp < 80 {
			want[key(r.Device, r.TS.Truncate(5*time.Minute))]++
		}
	}
}
