// Package mosquitto runs a real broker for tests: Debian's mosquitto, with its
// sessions and messages on disk, so that it can be killed and started again.
package mosquitto

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
)

// Broker is a mosquitto of its own, on a port of 127.0.0.1 that stays the same.
type Broker struct {
	Address string // host:port
	t       testing.TB
	dir     string
	process *exec.Cmd
}

// patience is how long the broker may take to come up.
const patience = 30 * time.Second

// Start starts a broker, which ends with the test. config is added to its
// configuration, behind a listener on that port.
func Start(t testing.TB, config string) *Broker {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program = "/usr/sbin/mosquitto"; !exists(program) {
			t.Fatal("mosquitto is not installed: .ci/needs does that")
		}
	}
	b := &Broker{Address: ports.Free(t), t: t, dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(b.Address)
	// As root, mosquitto would change to a user who may not write here.
	text := fmt.Sprintf("listener %s 127.0.0.1\npersistence true\npersistence_location %s/\nautosave_interval 1800\nuser root\n", port, b.dir)
	if config == "" {
		config = "allow_anonymous true\n"
	}
	if err := os.WriteFile(filepath.Join(b.dir, "conf"), []byte(text+config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.process = exec.Command(program, "-c", filepath.Join(b.dir, "conf"))
	b.Restart()
	t.Cleanup(b.Kill)
	return b
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Restart starts the broker after a Kill, and waits until it answers.
func (b *Broker) Restart() {
	b.t.Helper()
	b.process = exec.Command(b.process.Path, b.process.Args[1:]...)
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", b.Address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("mosquitto does not come up: %v", err)
		}
	}
}

// Stop ends the broker as an administrator would: it saves what it has.
func (b *Broker) Stop() { b.end(os.Interrupt) }

// Kill ends the broker with SIGKILL: what it has not saved is lost.
func (b *Broker) Kill() { b.end(os.Kill) }

func (b *Broker) end(s os.Signal) {
	if b.process == nil || b.process.ProcessState != nil {
		return
	}
	_ = b.process.Process.Signal(s)
	_ = b.process.Wait() // it ended by a signal, and that is its error
}
