package door

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	broker "github.com/tidemill/tidemill/conformance/mosquitto"
)

const secret = "hunter2-swordfish"

const tlsPipeline = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key    = device
  schema = { device = string, site = string, seq = integer }
}
ingest "mqtt" "up" {
  to       = channel.c
  url      = "mqtts://@BROKER"
  protocol = "PROTOCOL"
  topic    = "dt/{site}/{asset_type}/{device}/telemetry"
  user     = "engine"
  password = env("BROKER_PASSWORD")
  tls {
    ca   = "ca.pem"
    CERT
  }
}
pipeline "p" {
  from = channel.c
  sink "file" "out" { path = "OUT" }
  sink "mqtt" "back" {
    from     = channel.c
    url      = "mqtts://@BROKER"
    protocol = "PROTOCOL"
    topic    = "back/${device}"
    payload  = "${device} ${seq}"
    user     = "engine"
    password = env("BROKER_PASSWORD")
    tls {
      ca   = "ca.pem"
      CERT
    }
  }
}
`

// secureBroker starts a mosquitto that wants certificates and passwords. Of the folder: ca.pem, and engine.pem,
// fleet.pem and sub.pem with their keys.
func secureBroker(t *testing.T, dir string) *broker.Broker {
	t.Helper()
	ca := newAuthority(t)
	must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca.pem, 0o644))
	for _, name := range []string{"server", "engine", "fleet", "sub"} {
		ca.save(t, dir, name)
	}
	must(t, os.WriteFile(filepath.Join(dir, "stranger-ca.pem"), newAuthority(t).pem, 0o644))
	users := filepath.Join(dir, "passwords")
	must(t, os.WriteFile(users, fmt.Appendf(nil, "engine:%s\nfleet:%s\n", secret, secret), 0o600))
	if out, err := exec.Command("mosquitto_passwd", "-U", users).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	return broker.Start(t, fmt.Sprintf("cafile %[1]s/ca.pem\ncertfile %[1]s/server.pem\nkeyfile %[1]s/server.key\nrequire_certificate true\nallow_anonymous false\npassword_file %[2]s\n", dir, users))
}

// behind writes a configuration for the broker. text changes the usual one.
func behind(t *testing.T, dir string, b *broker.Broker, protocol string, changes ...string) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(dir, "engine"+protocol)}
	must(t, os.Mkdir(w.dir, 0o755))
	for _, name := range []string{"ca.pem", "stranger-ca.pem", "engine.pem", "engine.key"} {
		must(t, os.Symlink(filepath.Join(dir, name), filepath.Join(w.dir, name)))
	}
	w.data, w.out = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "out.ndjson")
	usual := []string{"@BROKER", b.Address, "OUT", w.out, "PROTOCOL", protocol, "CERT", "cert = \"engine.pem\"\n    key = \"engine.key\""}
	text := strings.NewReplacer(append(changes, usual...)...).Replace(tlsPipeline)
	must(t, os.WriteFile(filepath.Join(w.dir, "a.hcl"), []byte(text), 0o644))
	return w
}

// TestBrokerOverTLS: a simulated fleet, the ingest and the sink meet at a real mosquitto, each with a certificate, a
// user name and a password of its own; a standard client hears what the sink says.
func TestBrokerOverTLS(t *testing.T) {
	dir := t.TempDir()
	b := secureBroker(t, dir)
	for _, protocol := range []string{"5", "3.1.1"} {
		t.Run(protocol, func(t *testing.T) {
			w := behind(t, dir, b, protocol)
			w.start("BROKER_PASSWORD=" + secret)
			defer func() {
				if t.Failed() {
					t.Log(w.said)
				}
			}()
			as := func(name, user string) []string {
				return append(flags(b.Address), "--cafile", dir+"/ca.pem", "--cert", dir+"/"+name+".pem", "--key", dir+"/"+name+".key", "-u", user, "-P", secret)
			}
			ear := listen(t, append(as("sub", "fleet"), "-t", "back/#", "-q", "1"))
			probe := append(as("sub", "fleet"), "-t", "dt/x/y/probe/telemetry", "-q", "1", "-m", `{"device":"probe","seq":1}`)
			within(t, time.Minute, "a message goes round", func() bool {
				if out, err := exec.Command("mosquitto_pub", probe...).CombinedOutput(); err != nil {
					t.Fatalf("mosquitto_pub: %v\n%s", err, out)
				}
				time.Sleep(50 * time.Millisecond)
				return strings.Contains(ear.said.String(), "probe 1")
			})
			const records = 300
			cmd := exec.Command(binary, "simulate", "--to", "mqtt", "--url", "mqtts://"+b.Address, "--protocol", protocol, "--devices", "10", "--records", fmt.Sprint(records),
				"--ca", dir+"/ca.pem", "--cert", dir+"/fleet.pem", "--key", dir+"/fleet.key", "--user", "fleet", "--password-env", "FLEET_PASSWORD")
			cmd.Env = append(os.Environ(), "FLEET_PASSWORD="+secret)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), secret) {
				t.Fatalf("simulate: %v\n%s", err, out)
			}
			within(t, time.Minute, "all records went round", func() bool { return strings.Count(ear.said.String(), "\ntrailer-") >= records })
			w.stop()
			text, err := os.ReadFile(w.out)
			must(t, err)
			if n := strings.Count(string(text), `"device":"trailer-`); n != records {
				t.Errorf("%d records are in the output, %d were published", n, records)
			}
			if strings.Contains(w.said.String(), secret) {
				t.Errorf("the password is told:\n%s", w.said)
			}
		})
	}
}

// TestBrokerRefuses: what a person reads when the broker, or the engine, does not trust the other.
func TestBrokerRefuses(t *testing.T) {
	dir := t.TempDir()
	b := secureBroker(t, dir)
	for i, c := range []struct {
		what, password string
		changes        []string
		says           []string
	}{
		{"a wrong password", "wrong-" + secret, nil, []string{"ingest.up: mqtts://" + b.Address + ": the broker refuses the connection: not authorized"}},
		{"no certificate", secret, []string{"CERT", ""}, []string{"ingest.up: mqtts://" + b.Address + ": ", "certificate required"}},
		{"a broker whom nobody vouches for", secret, []string{`"ca.pem"`, `"stranger-ca.pem"`}, []string{"ingest.up: mqtts://" + b.Address + ": ", "certificate signed by unknown authority"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			own := filepath.Join(dir, fmt.Sprint(i))
			must(t, os.Mkdir(own, 0o755))
			for _, name := range []string{"ca.pem", "stranger-ca.pem", "engine.pem", "engine.key"} {
				must(t, os.Symlink(filepath.Join(dir, name), filepath.Join(own, name)))
			}
			w := behind(t, own, b, "5", c.changes...)
			w.start("BROKER_PASSWORD=" + c.password)
			defer func() { _ = w.cmd.Process.Kill(); _ = w.cmd.Wait() }()
			for _, text := range c.says {
				within(t, time.Minute, "it says "+text, func() bool { return strings.Contains(w.said.String(), text) })
			}
			if strings.Contains(w.said.String(), secret) {
				t.Errorf("the password is told:\n%s", w.said)
			}
			if os.Getenv("TIDEMILL_SHOW") != "" {
				t.Log(w.said)
			}
		})
	}
}
