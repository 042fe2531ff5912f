package door

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/conformance/rig"
)

// binary is what TestMain has built.
var binary string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

func withBinary(m *testing.M) int {
	if os.Getenv(stormVar) != "" || os.Getenv(silentVar) != "" {
		return m.Run() // it is the process of a storm's devices, or of a silent crowd
	}
	dir, err := os.MkdirTemp("", "tidemill-door")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = rig.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const pipeline = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key    = device
  schema = { device = string, id = string }
}
ingest "mqtt" "plain" {
  to     = channel.c
  listen = ["tcp://PLAIN", "ws://SOCKET"]
  topic  = "dt/{device}/telemetry"
}
ingest "mqtt" "secure" {
  to     = channel.c
  listen = "tls://SECURE"
  topic  = "dt/{device}/telemetry"
  allow  = ["dt/${cn}/#", "will/#"]
  tls {
    cert      = "server.pem"
    key       = "server.key"
    client_ca = "ca.pem"
  }
}
pipeline "p" {
  from = channel.c
  sink "file" "out" {
    path = "OUT"
  }
}
`

// world is a running binary with a door of every kind.
type world struct {
	t                     testing.TB
	dir, data, out        string
	plain, secure, socket string // addresses
	ca                    *authority
	cmd                   *exec.Cmd
	said                  *text
}

// text is what a process says.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// newWorld makes the folder; data and results lie below disk, or with it where that is "".
func newWorld(t testing.TB, disk string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), plain: ports.Free(t), secure: ports.Free(t), socket: ports.Free(t), ca: newAuthority(t)}
	if disk == "" {
		disk = w.dir
	}
	w.data, w.out = filepath.Join(disk, "data"), filepath.Join(disk, "out.ndjson")
	text := strings.NewReplacer("PLAIN", w.plain, "SECURE", w.secure, "SOCKET", w.socket, "OUT", w.out).Replace(pipeline)
	must(t, os.WriteFile(filepath.Join(w.dir, "a.hcl"), []byte(text), 0o644))
	must(t, os.WriteFile(filepath.Join(w.dir, "ca.pem"), w.ca.pem, 0o644))
	w.ca.save(t, w.dir, "server")
	return w
}

func (w *world) start(environ ...string) {
	w.t.Helper()
	w.said = &text{}
	w.cmd = exec.Command(binary, "run", w.dir, "--data", w.data, "--quiet")
	w.cmd.Env, w.cmd.Stderr = append(os.Environ(), environ...), w.said
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(w.t, w.cmd.Start())
}

// listening waits until all doors are open.
func (w *world) listening() {
	w.t.Helper()
	for _, address := range []string{w.plain, w.secure, w.socket} {
		within(w.t, time.Minute, "somebody listens on "+address+": "+w.said.String(), func() bool {
			nc, err := net.Dial("tcp", address)
			if err == nil {
				nc.Close()
			}
			return err == nil
		})
	}
}

// stop ends the binary as ctrl-C does.
func (w *world) stop() {
	w.t.Helper()
	must(w.t, w.cmd.Process.Signal(os.Interrupt))
	if err := w.cmd.Wait(); err != nil {
		w.t.Fatalf("the run ends badly: %v\n%s", err, w.said)
	}
}

// rows counts the rows of the output by id.
func (w *world) rows() map[string]int {
	w.t.Helper()
	text, err := os.ReadFile(w.out)
	must(w.t, err)
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var row struct{ ID string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			w.t.Fatalf("not a row: %s", line)
		}
		out[row.ID]++
	}
	return out
}

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
	next int64
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{key: key, cert: cert, next: 2, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate for a name and the key, for this machine's own addresses.
func (a *authority) issue(t testing.TB, name string, key *ecdsa.PrivateKey) []byte {
	a.next++
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	must(t, err)
	return der
}

// save writes name.pem and name.key.
func (a *authority) save(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.issue(t, name, k)}), 0o644))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return cert, key
}

// tlsFor is how a device of that name connects.
func (w *world) tlsFor(name string) *tls.Config {
	cert, key := w.ca.save(w.t, w.dir, name)
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(w.t, err)
	pool := x509.NewCertPool()
	pool.AddCert(w.ca.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "127.0.0.1"}
}

func within(t testing.TB, d time.Duration, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s it is not so that %s", d, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
