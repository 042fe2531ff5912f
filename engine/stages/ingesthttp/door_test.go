package ingesthttp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestBind: who may listen where. Secrets are never told.
func TestBind(t *testing.T) {
	const tls = "tls {\n cert = \"c.pem\"\n key = \"k.pem\"\n}\n"
	const ca = "tls {\n cert = \"c.pem\"\n key = \"k.pem\"\n client_ca = \"ca.pem\"\n}\n"
	const tokens = "tokens = { a = \"hunter2-long\" }\n"
	far := "listen = \"0.0.0.0:8080\"\n"
	for _, c := range []struct{ args, says string }{
		{open0, ""},
		{"listen = \"[::1]:8080\"\n", ""},
		{far, "Open to everybody"},
		{"listen = \":8080\"\n", "Open to everybody"},
		{far + tokens, "Secrets in the clear"},
		{far + tls, "Say who may send"},
		{far + tls + tokens, ""},
		{far + ca, ""},
		{far + "insecure = true\n", ""},
		{"listen = \"8080\"\n", "has no port"},
		{open0 + "path = \"in\"\n", `"/in"`},
		{open0 + "path = \"/a/../b\"\n", `"/b"`},
		{open0 + "tokens = { a = \"hunter2\" }\n", "shorter than 8"},
		{open0 + "users = { \"a:b\" = \"hunter2-long\" }\n", "colon"},
		{open0 + "tokens = { \"\" = \"hunter2-long\" }\n", "Not a name"},
		{open0 + tokens + "users = { a = \"hunter2-long\" }\n", "used twice"},
		{open0 + "max_body = \"1GiB\"\n", "15MiB"},
		{open0 + "max_connections = 0\n", "max_connections goes"},
		{open0 + "keys_for = \"2d\"\n", "keys_for goes"},
		{open0 + "wait = \"1ms\"\n", "wait goes"},
		{open0 + "timeout = \"2h\"\n", "timeout goes"},
	} {
		_, diags := bind(t, c.args)
		if strings.Contains(diags.Error(), "hunter2") {
			t.Errorf("%s: a secret is told: %v", c.args, diags)
		}
		switch {
		case c.says == "" && diags.HasErrors():
			t.Errorf("%s: %v", c.args, diags)
		case c.says != "" && (len(diags) != 1 || !strings.Contains(diags.Error(), c.says)):
			t.Errorf("%s: %v, want %q", c.args, diags, c.says)
		}
	}
}

func TestSenders(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0+"tokens = { gate = \"token-of-gate\" }\nusers = { kiel = \"password-of-kiel\" }\n", journal.Options{})
	basic := func(user, password string) string {
		req, _ := http.NewRequest("POST", "http://x", nil)
		req.SetBasicAuth(user, password)
		return req.Header.Get("Authorization")
	}
	for i, c := range []struct {
		header string
		code   int
	}{
		{"", 401}, {"Bearer", 401}, {"Bearer wrong", 401}, {"Bearer token-of-gate", 200}, {"bearer  token-of-gate", 200},
		{"Bearer password-of-kiel", 401}, {basic("kiel", "password-of-kiel"), 200}, {basic("gate", "token-of-gate"), 401},
		{basic("kiel", "wrong"), 401}, {basic("Kiel", "password-of-kiel"), 401}, {"Basic !!", 401}, {"Digest x", 401},
		{"Bearer " + strings.Repeat("x", 8000), 401},
	} {
		a := mustPost(t, r.url(), fmt.Sprint(i), "Authorization", c.header)
		if a.code != c.code {
			t.Errorf("%.40s: %d %s", c.header, a.code, a.text)
		}
		if a.code == 401 && a.header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
	r.close2(func() {
		got := map[string]string{}
		for p := range testPartitions {
			in, err := r.log.Read(p, 0)
			if err != nil {
				t.Fatal(err)
			}
			for b, err := in.Next(); b != nil && err == nil; b, err = in.Next() {
				for i := range b.Count {
					got[string(b.Record(i))] = nameOf(b.Principals, b.PrincipalOf, i)
				}
				b.Release()
			}
		}
		if len(got) != 3 || got["3"] != "gate" || got["4"] != "gate" || got["6"] != "kiel" {
			t.Errorf("principals: %v", got)
		}
	})
}

// issue makes a certificate signed by parent, or by itself, as PEM files NAME.pem and NAME.key.
func issue(t *testing.T, dir, name string, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: strings.TrimPrefix(name, "nameless")}, IsCA: parent == nil, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// TestTLS: a certificate of the CA, and one with a name, lets a client in.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := issue(t, dir, "ca", nil, nil)
	other, otherKey := issue(t, dir, "other", nil, nil)
	issue(t, dir, "server", ca, caKey)
	issue(t, dir, "trailer-7", ca, caKey)
	issue(t, dir, "nameless", ca, caKey)
	issue(t, dir, "stranger", other, otherKey)
	args := open0 + fmt.Sprintf("tls {\n cert = %q\n key = %q\n client_ca = %q\n}\n", dir+"/server.pem", dir+"/server.key", dir+"/ca.pem")
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	ask := func(r *rig, name string, most uint16, headers ...string) (reply, error) {
		c := &tls.Config{RootCAs: roots, MaxVersion: most}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
		}
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
		return post(client, r.url(), "{}", headers...)
	}
	r := start(t, env.Real(), t.TempDir(), args, journal.Options{})
	for _, c := range []struct {
		name string
		most uint16
		code int // 0: the handshake fails
	}{{"trailer-7", 0, 200}, {"trailer-7", tls.VersionTLS12, 200}, {"trailer-7", tls.VersionTLS11, 0}, {"nameless", 0, 401}, {"stranger", 0, 0}, {"", 0, 0}} {
		a, err := ask(r, c.name, c.most)
		if (err == nil) != (c.code > 0) || err == nil && a.code != c.code {
			t.Errorf("%s, %x: %d %s %v", c.name, c.most, a.code, a.text, err)
		}
	}
	r.close()
	r = start(t, env.Real(), t.TempDir(), args+"tokens = { a = \"token-of-a\" }\n", journal.Options{})
	for _, c := range []struct {
		name, token string
		code        int
	}{{"trailer-7", "", 200}, {"", "token-of-a", 200}, {"", "", 401}, {"", "wrong", 401}} {
		if a, err := ask(r, c.name, 0, "Authorization", "Bearer "+c.token); err != nil || a.code != c.code {
			t.Errorf("%s, %s: %d %s %v", c.name, c.token, a.code, a.text, err)
		}
	}
	r.close()
	b, _ := bind(t, strings.Replace(args, "server.key", "ca.key", 1))
	if _, err := b.OpenSource(stage.Opening{Env: env.Real()}, stage.SourceEnv{NewPartition: func() func([]byte) int { return nil }}); err == nil || !strings.Contains(err.Error(), "certificate with its key") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

// TestSlow: clients that stall are cut, and hinder nobody meanwhile; those
// beyond the limit are closed at once.
func TestSlow(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0+"timeout = \"2s\"\nmax_connections = 20\n", journal.Options{})
	defer r.close()
	addr := (*r.src.address.Load()).String()
	var conns []net.Conn
	for i := range 19 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		if i%2 == 0 {
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n{")
		} else {
			fmt.Fprintf(c, "POST / HT")
		}
	}
	if a := mustPost(t, r.url(), "{}"); a.code != 200 {
		t.Errorf("beside slow clients: %d %s", a.code, a.text)
	}
	for range 10 { // beyond the limit
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	began := time.Now()
	for i, c := range conns {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		text, err := io.ReadAll(c)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatalf("connection %d was not cut within %s", i, time.Since(began))
		}
		if i < 19 && i%2 == 0 && !strings.HasPrefix(string(text), "HTTP/1.1 408 ") {
			t.Errorf("a body that stalls: %q", text)
		}
	}
	if r.count("connections_refused") == 0 {
		t.Error("no connection was refused")
	}
	if free := r.src.body.free.Load(); free != bodyBudget {
		t.Errorf("%d bytes of the budget are gone", bodyBudget-free)
	}
	if a := mustPost(t, r.url(), "{}"); a.code != 200 {
		t.Errorf("afterwards: %d %s", a.code, a.text)
	}
}

// TestRefusedWhileSending: a client that sends all of a large body before it reads is told why it is refused, also when the body is larger than any may
// be; one that stops in the middle is answered all the same.
func TestRefusedWhileSending(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0+"max_body = \"1MiB\"\ntimeout = \"1s\"\n", journal.Options{})
	defer r.close()
	for _, c := range []struct{ kind, path, length, sent, want string }{
		{"text/plain", "/", "4000000", strings.Repeat("x", 4_000_000), "HTTP/1.1 415 "},
		{"application/json", "/", "8000000", strings.Repeat("x", 8_000_000), "HTTP/1.1 413 "},
		{"application/json", "/nowhere", "4000000", strings.Repeat("x", 4_000_000), "HTTP/1.1 404 "},
		{"text/plain", "/", "4000000", "x", "HTTP/1.1 415 "},
	} {
		conn, err := net.Dial("tcp", (*r.src.address.Load()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n", c.path, c.kind, c.length)
		if _, err := io.WriteString(conn, c.sent); err != nil {
			t.Errorf("%s: it could not be sent: %v", c.want, err)
		}
		got := make([]byte, len(c.want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != c.want {
			t.Errorf("%s: the answer is %q, %v", c.want, got, err)
		}
	}
}

// TestHeaders: more header than is allowed, and what is no HTTP, is refused in HTTP's words.
func TestHeaders(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	defer r.close()
	for _, c := range []struct{ text, want string }{
		{"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345", "400"},
		{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999999\r\n\r\n", "413"},
		{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", "100"},
	} {
		conn, err := net.Dial("tcp", (*r.src.address.Load()).String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		go io.WriteString(conn, c.text)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
			t.Errorf("%.60q: %q %v, want %s", c.text, line, err, c.want)
		}
		conn.Close()
	}
}

// TestBusy: a journal that has no room at once is waited for, but not for ever.
func TestBusy(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0+"wait = \"200ms\"\n", journal.Options{})
	r.gate().set(journal.ErrBusy)
	if a := mustPost(t, r.url(), "1"); a.code != 429 || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", a.code, a.text)
	}
	r.gate().set(nil)
	r.close()
	r = start(t, env.Real(), t.TempDir(), open0+"wait = \"20s\"\n", journal.Options{})
	defer r.close()
	r.gate().set(journal.ErrBusy)
	timer := time.AfterFunc(50*time.Millisecond, func() { r.gate().set(nil) })
	defer timer.Stop()
	if a := mustPost(t, r.url(), "2"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	r.gate().set(journal.ErrFenced)
	if a := mustPost(t, r.url(), "3"); a.code != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", a.code, a.text)
	}
	if got := r.records(); len(got) != 1 || got[0] != "2" {
		t.Errorf("in the journal: %q", got)
	}
}

// TestNotDurable: nothing is said to be accepted before it is on disk; Close
// makes durable what was taken, and the answer still goes out.
func TestNotDurable(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0+"wait = \"1500ms\"\n", journal.Options{})
	r.halt() // nobody flushes
	if a := mustPost(t, r.url(), "1"); a.code != 503 || !strings.Contains(a.text, "not on disk") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := mustPost(t, r.url(), "2", "Idempotency-Key", "two"); a.code != 503 {
		t.Errorf("%d %s", a.code, a.text)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if a := mustPost(t, r.url(), "2", "Idempotency-Key", "two"); a.code != 200 {
				t.Errorf("closed meanwhile: %d %s", a.code, a.text)
			}
		})
	}
	for r.count("requests") < 2 || r.src.body.free.Load() != bodyBudget-3*2*readStep {
		time.Sleep(time.Millisecond)
	}
	if err := r.src.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got := r.records(); len(got) != 2 {
		t.Errorf("in the journal: %q", got)
	}
	if _, err := net.Dial("tcp", (*r.src.address.Load()).String()); err == nil {
		t.Error("it still listens")
	}
	if err := r.log.Close(); err != nil {
		t.Error(err)
	}
}

// TestStep: a taken address is tried again; with Once there is nothing to wait for.
func TestStep(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, diags := bind(t, fmt.Sprintf("listen = %q\n", l.Addr()))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	log, err := journal.Open(env.Real(), t.TempDir(), journal.Options{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	opening := func(once bool) stage.Source {
		src, err := b.OpenSource(stage.Opening{Env: env.Real(), Count: func(string, int64) {}},
			stage.SourceEnv{Journal: log.Appender(), NewPartition: func() func([]byte) int { return func([]byte) int { return 0 } }, Once: once})
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	src := opening(false)
	if _, err := src.Step(); err == nil {
		t.Error("the address is taken, and Step says nothing")
	}
	l.Close()
	if s, err := src.Step(); err != nil || s != stage.Idle {
		t.Error(s, err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	once := opening(true)
	if s, err := once.Step(); err != nil || s != stage.Ended {
		t.Error(s, err)
	}
	if err := once.Close(); err != nil {
		t.Error(err)
	}
}
