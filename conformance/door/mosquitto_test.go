package door

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMosquittoClients publishes and subscribes with mosquitto's own clients: both
// protocols, with and without certificates, every QoS, retained messages and wills.
func TestMosquittoClients(t *testing.T) {
	w := newWorld(t, "")
	w.start()
	w.listening()
	cert, key := w.ca.save(t, w.dir, "mosq")
	doors := map[string][]string{
		"plain": flags(w.plain),
		"tls":   append(flags(w.secure), "--cafile", w.dir+"/ca.pem", "--cert", cert, "--key", key),
	}
	var want []string
	var mu sync.Mutex
	t.Run("all", func(t *testing.T) {
		for name, door := range doors {
			for _, version := range []string{"mqttv311", "mqttv5"} {
				for qos := range 3 {
					t.Run(fmt.Sprintf("%s %s QoS %d", name, version, qos), func(t *testing.T) {
						t.Parallel()
						id := fmt.Sprintf("%s-%s-%d", name, version, qos)
						mosquitto(t, append(slices.Clip(door), "-V", version, "-q", fmt.Sprint(qos)), id)
						mu.Lock()
						want = append(want, id, id+"-kept")
						mu.Unlock()
					})
				}
			}
			t.Run(name+" will", func(t *testing.T) { t.Parallel(); will(t, name, door) })
		}
		t.Run("no certificate", func(t *testing.T) {
			t.Parallel()
			args := append(flags(w.secure), "--cafile", w.dir+"/ca.pem", "-t", "dt/mosq/telemetry", "-m", "x", "-q", "1")
			if out, err := exec.Command("mosquitto_pub", args...).CombinedOutput(); err == nil {
				t.Errorf("a client without a certificate may publish: %s", out)
			}
		})
		t.Run("another's topic", func(t *testing.T) {
			t.Parallel()
			args := append(slices.Clip(doors["tls"]), "-V", "mqttv5", "-t", "dt/other/telemetry", "-m", `{"id":"stolen"}`, "-q", "1")
			out, _ := exec.Command("mosquitto_pub", args...).CombinedOutput() // 2.0 says it, and exits as if all were well
			if !strings.Contains(strings.ToLower(string(out)), "not authorized") {
				t.Errorf("publishing to another's topic is answered: %s", out)
			}
		})
	})
	w.stop()
	rows := w.rows()
	for _, id := range want {
		if rows[id] != 1 {
			t.Errorf("%s is in the output %d times", id, rows[id])
		}
	}
	if rows["stolen"] > 0 {
		t.Error("a message to another's topic is in the output")
	}
}

func flags(address string) []string {
	host, port, _ := strings.Cut(address, ":")
	return []string{"-h", host, "-p", port}
}

// mosquitto publishes, and a subscriber gets it; then a retained message, which one that comes later gets.
func mosquitto(t *testing.T, args []string, id string) {
	topic := "dt/" + id + "/telemetry"
	if strings.HasPrefix(id, "tls") {
		topic = "dt/mosq/telemetry" // as the certificate says
	}
	sub := listen(t, append(slices.Clip(args), "-t", topic, "-v"))
	pub := func(text string, more ...string) {
		t.Helper()
		all := slices.Concat(args, []string{"-t", topic, "-m", text}, more)
		if out, err := exec.Command("mosquitto_pub", all...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_pub: %v\n%s", err, out)
		}
	}
	pub(fmt.Sprintf(`{"id":%q}`, id))
	sub.hears(t, `"`+id+`"`)
	pub(fmt.Sprintf(`{"id":%q}`, id+"-kept"), "-r")
	late := listen(t, append(slices.Clip(args), "-t", topic, "--retained-only"))
	late.hears(t, "-kept")
}

// will kills a client that has left one.
func will(t *testing.T, name string, door []string) {
	topic := "will/" + name
	sub := listen(t, append(slices.Clip(door), "-q", "1", "-t", topic))
	dying := listen(t, append(slices.Clip(door), "-i", "dying-"+name, "-t", "will/nothing", "--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"))
	if err := dying.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	sub.hears(t, "gone")
}

// listener is a running mosquitto_sub.
type listener struct {
	cmd  *exec.Cmd
	said *text
}

// listen starts mosquitto_sub and waits until it has subscribed, which it says with -d.
func listen(t *testing.T, args []string) *listener {
	t.Helper()
	l := &listener{said: &text{}}
	l.cmd = exec.Command("stdbuf", append([]string{"-oL", "mosquitto_sub", "-d"}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = l.said, l.said
	must(t, l.cmd.Start())
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill() // it may have ended by itself
		_ = l.cmd.Wait()
	})
	l.hears(t, "Subscribed (mid")
	return l
}

func (l *listener) hears(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(l.said.String(), what); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is not heard of; it says:\n%s", what, l.said)
		}
	}
}
