package ingestmqtt

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tidemill/tidemill/engine/mqtt"
)

func (a *authority) write(name string, b []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) certificate(name string) *x509.Certificate {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, name+".pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	list, err := certificates(text)
	if err != nil || len(list) != 1 {
		a.t.Fatal(list, err)
	}
	return list[0]
}

// revoke writes crl.pem with these certificates.
func (a *authority) revoke(names ...string) {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for _, name := range names {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: a.certificate(name).SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.certificate("ca"), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// again lets the ingest look at its files.
func (r *rig) again() {
	r.t.Helper()
	r.source.looked = time.Time{}
	if _, err := r.source.Step(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) counted(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[name]
}

// secure is a client's TLS configuration, with a memory of sessions to resume.
func (a *authority) secure(name string, version uint16) *tls.Config {
	a.t.Helper()
	c := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(4), MaxVersion: version}
	c.RootCAs.AddCert(a.certificate("ca"))
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

// try connects, pings and says whether that worked, and whether TLS was resumed.
func (r *rig) try(cfg *tls.Config, id, user string) (c *client, resumed bool) {
	r.t.Helper()
	nc, err := tls.Dial("tcp", "127.0.0.1:"+r.port(0), cfg)
	if err != nil {
		return nil, false
	}
	r.t.Cleanup(func() { nc.Close() })
	p := &mqtt.Packet{Type: mqtt.Connect, Login: mqtt.Login{Version: mqtt.V5, CleanStart: true, ClientID: []byte(id)}}
	if user != "" {
		p.Login.HasUser, p.Login.User, p.Login.HasPassword, p.Login.Password = true, []byte(user), true, []byte("secret")
	}
	c = &client{t: r.t, conn: nc}
	if _, err := nc.Write(mqtt.Append(nil, p, mqtt.V5)); err != nil || !c.answers(mqtt.Connack) {
		return nil, false
	}
	return c, nc.ConnectionState().DidResume
}

// answers says whether a packet of that type, and of success, comes.
func (c *client) answers(want mqtt.Type) bool {
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var p mqtt.Packet
		n, err := mqtt.Decode(c.buf, mqtt.V5, mqtt.Limits{}, &p)
		if err != nil || n > 0 {
			c.buf = c.buf[n:]
			return err == nil && p.Type == want && !p.Reason.Failed()
		}
		b := make([]byte, 4096)
		if n, err = c.conn.Read(b); err != nil {
			return false
		}
		c.buf = append(c.buf, b[:n]...)
	}
}

func (c *client) alive() bool {
	if _, err := c.conn.Write([]byte{0xC0, 0}); err != nil {
		return false
	}
	return c.answers(mqtt.Pingresp)
}

const secured = `
listen = "tls://127.0.0.1:0"
topic  = "dt/{device}"
users  = "users"
tls {
  cert = "server.pem"
  key  = "server.key"
  client_ca = "ca.pem"
  client_auth = "optional"
  crl = "crl.pem"
}`

// A certificate that is revoked lets nobody in any more, cuts those who are in, and does not help to resume.
func TestRevoked(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		dir := t.TempDir()
		a := newAuthority(t, dir)
		for _, name := range []string{"server", "truck-1", "truck-2", "truck-3"} {
			a.issue(name, false)
		}
		a.revoke("truck-3")
		a.write("users", nil)
		r := newRig(t, 1, secured, dir)
		one, two := a.secure("truck-1", version), a.secure("truck-2", version)
		c1, _ := r.try(one, "1", "")
		c2, _ := r.try(two, "2", "")
		if c1 == nil || c2 == nil || !c1.alive() || !c2.alive() {
			t.Fatal("clients that may are not let in")
		}
		if c, _ := r.try(a.secure("truck-3", version), "3", ""); c != nil {
			t.Error("one that was revoked from the beginning is let in")
		}
		if c, resumed := r.try(one, "1b", ""); c == nil || !resumed {
			t.Error("nothing is resumed, so that the test shows nothing")
		}
		a.write("crl.pem", []byte("half a fi"))
		r.again()
		if r.counted("reload_errors") != 1 || !c1.alive() {
			t.Error("a file that cannot be read changed something")
		}
		a.revoke("truck-1", "truck-3")
		r.again()
		if r.counted("reloads") != 1 || c1.alive() || !c2.alive() {
			t.Error("the wrong ones are cut")
		}
		if c, _ := r.try(one, "1c", ""); c != nil {
			t.Error("it resumes with a revoked certificate")
		}
		if c, resumed := r.try(two, "2b", ""); c == nil || !resumed {
			t.Error("another one cannot resume")
		}
		// Another authority: what the one before has signed is worth nothing, nor is what it has signed for resuming.
		other := newAuthority(t, t.TempDir())
		other.issue("server", false)
		other.revoke()
		for _, name := range []string{"ca.pem", "crl.pem", "server.pem", "server.key"} {
			b, err := os.ReadFile(filepath.Join(other.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			a.write(name, b)
		}
		r.again()
		two.RootCAs.AddCert(other.certificate("ca"))
		if c, _ := r.try(two, "2c", ""); c != nil || c2.alive() {
			t.Error("certificates of an authority that does not count any more do")
		}
		other.issue("truck-9", false)
		if c, _ := r.try(other.secure("truck-9", version), "9", ""); c == nil || !c.alive() {
			t.Error("the new authority does not count")
		}
	}
}

// A user whose password changes, or who is no more, is cut off.
func TestUsersChange(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, dir)
	a.issue("server", false)
	a.revoke()
	hash := func(password string) string {
		b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	stays := "anna:" + hash("secret") + "\n"
	a.write("users", []byte(stays+"berta:"+hash("secret")+"\nclara:"+hash("secret")+"\n"))
	r := newRig(t, 1, secured, dir)
	cfg := a.secure("server", 0)
	cfg.Certificates = nil
	clients := map[string]*client{}
	for _, name := range []string{"anna", "berta", "clara"} {
		if clients[name], _ = r.try(cfg, name, name); clients[name] == nil {
			t.Fatal(name, "is not let in")
		}
	}
	a.write("users", []byte(stays+"berta:"+hash("another")+"\n"))
	r.again()
	var in []string
	for _, name := range []string{"anna", "berta", "clara"} {
		if clients[name].alive() {
			in = append(in, name)
		}
		if c, _ := r.try(cfg, name+"2", name); c != nil {
			in = append(in, name+" again")
		}
	}
	if s := strings.Join(in, ", "); s != "anna, anna again" {
		t.Error(s)
	}
}
