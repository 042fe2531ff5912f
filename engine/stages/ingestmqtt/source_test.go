package ingestmqtt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// rig is an open ingest before a journal that is flushed every millisecond.
type rig struct {
	t      *testing.T
	dir    string
	log    journal.Log
	source *source
	stop   chan struct{}
	close  func()
	done   sync.WaitGroup
	mu     sync.Mutex
	counts map[string]int64
	told   []string
}

func newRig(t *testing.T, partitions int, text string, dir string) *rig {
	t.Helper()
	log, err := journal.Open(env.Real(), filepath.Join(dir, "journal"), journal.Options{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, log: log, stop: make(chan struct{}), counts: map[string]int64{}}
	ch := &config.Channel{Name: "telemetry", Key: "device", Partitions: partitions}
	b, diags := bound(t, text, ch, dir)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	byPayload := func() func([]byte) int { return func(p []byte) int { return len(p) % partitions } }
	src, err := b.OpenSource(stage.Opening{Env: env.Real(), DataDir: dir, Address: "ingest.t", Partition: -1,
		Reject: func(x stage.Reject) { r.mu.Lock(); r.told = append(r.told, x.Reason); r.mu.Unlock() },
		Count:  func(name string, n int64) { r.mu.Lock(); r.counts[name] += n; r.mu.Unlock() }},
		stage.SourceEnv{Channel: ch, Journal: log.Appender(), Partition: byPayload(), NewPartition: byPayload})
	if err != nil {
		t.Fatal(err)
	}
	r.source = src.(*source)
	if status, err := src.Step(); status != stage.Idle || err != nil {
		t.Fatal(status, err)
	}
	r.done.Add(1)
	go func() {
		defer r.done.Done()
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(time.Millisecond):
				if err := log.Appender().Flush(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	var once sync.Once
	r.close = func() { once.Do(func() { r.end() }) }
	t.Cleanup(r.close)
	return r
}

// end closes everything.
func (r *rig) end() {
	if err := r.source.Close(); err != nil {
		r.t.Error(err)
	}
	close(r.stop)
	r.done.Wait()
	r.log.Close()
}

func (r *rig) port(i int) string {
	return fmt.Sprint(r.source.Addresses()[i].(*net.TCPAddr).Port)
}

// records reads the journal: partition, topic, payload, principal.
func (r *rig) records() []string {
	var out []string
	for p := range r.log.Partitions() {
		reader, err := r.log.Read(p, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		for {
			b, err := reader.Next()
			if err != nil {
				r.t.Fatal(err)
			}
			if b == nil {
				break
			}
			for i := range b.Count {
				topic, who := b.Topics[0], b.Principals[0]
				if b.TopicOf != nil {
					topic = b.Topics[b.TopicOf[i]]
				}
				if b.PrincipalOf != nil {
					who = b.Principals[b.PrincipalOf[i]]
				}
				out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", p, topic, b.Record(i), who)))
			}
			b.Release()
		}
		reader.Close()
	}
	return out
}

// mosquitto runs a client of Debian's mosquitto-clients.
func mosquitto(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (apt-get install mosquitto-clients)", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

func TestRecords(t *testing.T) {
	r := newRig(t, 3, "listen = \"tcp://127.0.0.1:0\"\ntopic = [\"dt/{site}/{device}/telemetry\", \"raw/{site}\"]", t.TempDir())
	for _, m := range []struct{ topic, payload, qos string }{
		{"dt/berlin/d1/telemetry", "one", "1"},
		{"dt/berlin/d1/telemetry", "two", "2"},
		{"dt/berlin/d2/telemetry", "three", "1"},
		{"raw/berlin", "1234", "1"},
		{"raw/berlin", "12345", "1"},
		{"elsewhere", "nothing", "1"},
	} {
		for _, version := range []string{"311", "5"} {
			if out, err := mosquitto(t, "mosquitto_pub", "-p", r.port(0), "-V", version, "-t", m.topic, "-m", m.payload, "-q", m.qos); err != nil {
				t.Fatal(out, err)
			}
		}
	}
	got := map[string]int{}
	for _, record := range r.records() {
		got[record]++
	}
	for _, want := range []string{"0 dt/berlin/d1/telemetry one", "0 dt/berlin/d1/telemetry two", "1 dt/berlin/d2/telemetry three", "1 raw/berlin 1234", "2 raw/berlin 12345"} {
		if got[want] != 2 {
			t.Errorf("%d times %q in %v", got[want], want, got)
		}
		delete(got, want)
	}
	if len(got) > 0 || r.counts["other_topics"] != 2 {
		t.Errorf("more records: %v; counts %v", got, r.counts)
	}
	if len(r.told) != 1 || !strings.Contains(r.told[0], `"elsewhere"`) {
		t.Errorf("told of other topics: %q; want one line", r.told)
	}
}

// authority makes certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	a := &authority{t: t, dir: dir}
	a.issue("ca", true)
	return a
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string, ca bool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	if ca {
		c.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// TestWho looks who may do what, over TLS with real clients.
func TestWho(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, dir)
	a.issue("server", false)
	a.issue("truck-1", false)
	other := newAuthority(t, t.TempDir())
	other.issue("stranger", false)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := "# users\nanna:" + string(hash) + "\na+b:" + string(hash) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, 1, `
listen = ["tls://127.0.0.1:0", "tcp://127.0.0.1:0"]
topic  = "dt/{device}"
users  = "users"
allow  = ["dt/${cn}", "dt/${username}"]
tls {
  cert = "server.pem"
  key  = "server.key"
  client_ca = "ca.pem"
  client_auth = "optional"
}`, dir)
	file := func(a *authority, name string) string { return filepath.Join(a.dir, name) }
	for _, c := range []struct {
		name, topic string
		door        int
		args        []string
		works       bool
	}{
		{"certificate", "dt/truck-1", 0, []string{"--cert", file(a, "truck-1.pem"), "--key", file(a, "truck-1.key")}, true},
		{"certificate, another's topic", "dt/truck-2", 0, []string{"--cert", file(a, "truck-1.pem"), "--key", file(a, "truck-1.key")}, false},
		{"certificate of another authority", "dt/stranger", 0, []string{"--cert", file(other, "stranger.pem"), "--key", file(other, "stranger.key")}, false},
		{"password", "dt/anna", 0, []string{"-u", "anna", "-P", "secret"}, true},
		{"password again", "dt/anna", 1, []string{"-u", "anna", "-P", "secret"}, true},
		{"wrong password", "dt/anna", 0, []string{"-u", "anna", "-P", "secrets"}, false},
		{"no password", "dt/anna", 1, []string{"-u", "anna"}, false},
		{"unknown user", "dt/otto", 1, []string{"-u", "otto", "-P", "secret"}, false},
		{"nobody", "dt/x", 1, nil, false},
		{"a name with a wildcard", "dt/x", 1, []string{"-u", "a+b", "-P", "secret"}, false},
	} {
		args := append([]string{"-p", r.port(c.door), "-V", "311", "-q", "1", "-t", c.topic, "-m", c.name}, c.args...)
		if c.door == 0 {
			args = append(args, "--cafile", file(a, "ca.pem"), "-h", "localhost")
		}
		before := len(r.records())
		out, err := mosquitto(t, "mosquitto_pub", args...)
		if worked := len(r.records()) > before; worked != c.works {
			t.Errorf("%s: works: %v; %s %v", c.name, worked, out, err)
		}
	}
	all := strings.Join(r.records(), "\n")
	if want := "0 dt/truck-1 certificate truck-1\n0 dt/anna password anna\n0 dt/anna password again anna"; all != want {
		t.Errorf("%s\nwant\n%s", all, want)
	}
}

// TestWillAndRetained subscribes with a real client over both versions.
func TestWillAndRetained(t *testing.T) {
	r := newRig(t, 1, "listen = \"tcp://127.0.0.1:0\"\ntopic = \"dt/{device}\"", t.TempDir())
	if out, err := mosquitto(t, "mosquitto_pub", "-p", r.port(0), "-t", "state/d1", "-m", "on", "-r", "-q", "1"); err != nil {
		t.Fatal(out, err)
	}
	for _, version := range []string{"311", "5"} {
		sub := exec.Command("mosquitto_sub", "-p", r.port(0), "-V", version, "-t", "state/#", "-q", "2", "-C", "2", "-W", "10", "-F", "%t %p %q %r")
		var out bytes.Buffer
		sub.Stdout, sub.Stderr = &out, &out
		if err := sub.Start(); err != nil {
			t.Fatal(err)
		}
		for r.source.server.Stats().Subscriptions == 0 {
			time.Sleep(time.Millisecond)
		}
		dying := exec.Command("mosquitto_sub", "-p", r.port(0), "-V", version, "-t", "x", "--will-topic", "state/d2", "--will-payload", "gone", "--will-qos", "1")
		if err := dying.Start(); err != nil {
			t.Fatal(err)
		}
		for r.source.server.Stats().Subscriptions < 2 {
			time.Sleep(time.Millisecond)
		}
		dying.Process.Kill()
		dying.Wait()
		if err := sub.Wait(); err != nil || out.String() != "state/d1 on 1 1\nstate/d2 gone 1 0\n" {
			t.Errorf("version %s: %q, %v", version, out.String(), err)
		}
		for r.source.server.Stats().Subscriptions > 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func TestOpenMistakes(t *testing.T) {
	for _, c := range []struct{ users, want string }{
		{"anna:secret", "line 1, user anna: neither a bcrypt hash"},
		{"anna", "a user is name:hash"},
		{"\n\nanna:$argon2id$v=19$m=65536$x$y", "line 3, user anna: not an argon2id hash"},
		{"anna:$argon2id$v=19$m=9999999,t=3,p=4$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "would take seconds"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "users"), []byte(c.users), 0o600); err != nil {
			t.Fatal(err)
		}
		b, _ := bound(t, "listen = \"tcp://127.0.0.1:0\"\ntopic = \"a\"\nusers = \"users\"", nil, dir)
		if _, err := b.OpenSource(stage.Opening{Env: env.Real()}, stage.SourceEnv{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.users, err)
		}
	}
}
