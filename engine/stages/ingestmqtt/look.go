package ingestmqtt

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

// look is what the files of certificates and users said when they were looked at. Immutable.
type look struct {
	stamps []stamp
	rules  *mqtt.Rules
	tls    *tls.Config // nil: not at all
	ca     []byte
	trust  *trust // nil: in nobody's certificate
}

// stamp tells whether a file has changed.
type stamp struct {
	name string
	size int64
	at   time.Time
}

// revoked names a certificate, as RFC 5280 section 5.1 does: by who issued it, and its number.
type revoked struct{ issuer, serial string }

// lookEvery is how often the files are looked at.
const lookEvery = 2 * time.Second

// loadLook reads the files.
func (s *source) loadLook() (*look, error) {
	o, fs := &s.opts, s.op.Env.FS
	l := &look{stamps: s.stamps(), rules: &mqtt.Rules{NeedLogin: o.needs, Publishes: o.allowed[0], Subscribes: o.allowed[1]}}
	if o.users != "" {
		text, err := read(fs, o.users)
		if err != nil {
			return nil, err
		}
		if l.rules.Users, err = mqtt.ParseUsers(string(text)); err != nil {
			return nil, fmt.Errorf("%s, %w", o.users, err)
		}
	}
	if o.tls == nil {
		return l, nil
	}
	return l, s.loadTLS(l)
}

func (s *source) stamps() []stamp {
	names := []string{s.opts.users}
	if t := s.opts.tls; t != nil {
		names = append(names, t.Cert, t.Key, t.ClientCA, t.CRL)
	}
	var out []stamp
	for _, name := range names {
		if name == "" {
			continue
		}
		st := stamp{name: name}
		if f, err := s.op.Env.FS.Open(name, env.ReadOnly); err == nil {
			if info, err := f.Stat(); err == nil {
				st.size, st.at = info.Size(), info.ModTime()
			}
			_ = f.Close() // it was only looked at
		}
		out = append(out, st)
	}
	return out
}

func (s *source) loadTLS(l *look) error {
	o, fs := &s.opts, s.op.Env.FS
	t := o.tls
	cert, err := read(fs, t.Cert)
	if err != nil {
		return err
	}
	key, err := read(fs, t.Key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", t.Cert, t.Key, err)
	}
	l.tls = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.ClientCA == "" {
		return nil
	}
	if l.ca, err = read(fs, t.ClientCA); err != nil {
		return err
	}
	l.trust = &trust{roots: x509.NewCertPool(), revoked: map[revoked]struct{}{}, now: s.op.Env.Clock.Now}
	if !l.trust.roots.AppendCertsFromPEM(l.ca) {
		return fmt.Errorf("%s holds no certificate in PEM", t.ClientCA)
	}
	if err := l.loadCRL(fs, t); err != nil {
		return err
	}
	l.trust.ask(l.tls, o.optional)
	return nil
}

// loadCRL reads lists of revoked certificates. Each must be signed by a certificate of client_ca.
func (l *look) loadCRL(fs env.FS, t *tlsArgs) error {
	if t.CRL == "" {
		return nil
	}
	text, err := read(fs, t.CRL)
	if err != nil {
		return err
	}
	signers, err := certificates(l.ca)
	if err != nil {
		return fmt.Errorf("%s: %w", t.ClientCA, err)
	}
	lists := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		lists++
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s, list %d: %w", t.CRL, lists, err)
		}
		if !signed(list, signers) {
			return fmt.Errorf("%s, list %d: it is signed by none of the certificates in %s", t.CRL, lists, t.ClientCA)
		}
		for _, e := range list.RevokedCertificateEntries {
			l.trust.revoked[revoked{string(list.RawIssuer), e.SerialNumber.String()}] = struct{}{}
		}
	}
	if lists == 0 {
		return fmt.Errorf("%s holds no list of revoked certificates in PEM (X509 CRL)", t.CRL)
	}
	return nil
}

func signed(list *x509.RevocationList, by []*x509.Certificate) bool {
	for _, c := range by {
		if bytes.Equal(c.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(c) == nil {
			return true
		}
	}
	return false
}

func certificates(text []byte) (out []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// hasRevoked says whether a client's certificate, or one that signs it, is revoked by now.
func (l *look) hasRevoked(chain []*x509.Certificate) bool {
	return l.trust != nil && l.trust.hasRevoked(chain)
}

// dynamicTLS is a configuration that asks for what was looked at last. It has the key of
// session tickets, so that clients resume also after the files have changed.
func (s *source) dynamicTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return s.look.Load().tls, nil
	}}
}

// lookAgain reads the files when one has changed, and cuts the clients off that may no longer be here. While
// they cannot be read, what they said before counts: half a file must not lock a fleet out.
func (s *source) lookAgain() {
	now := s.op.Env.Clock.Now()
	if now.Sub(s.looked) < lookEvery {
		return
	}
	s.looked = now
	old := s.look.Load()
	if s.recut { // who was coming in while the others were cut off
		s.recut = false
		s.server.Disconnect(mqtt.NotAuthorized, func(c *mqtt.Client) bool { return old.hasRevoked(c.Chain) })
	}
	same := true
	for i, st := range s.stamps() {
		same = same && st == old.stamps[i]
	}
	if same {
		return
	}
	fresh, err := s.loadLook()
	if err != nil {
		if s.told != err.Error() {
			s.told = err.Error()
			s.op.Reject(stage.Reject{Reason: "changed files of certificates or users cannot be used, and those before still count: " + err.Error()})
		}
		s.op.Count("reload_errors", 1)
		return
	}
	s.told, s.recut = "", true
	s.look.Store(fresh)
	s.op.Count("reloads", 1)
	s.server.Disconnect(mqtt.NotAuthorized, func(c *mqtt.Client) bool { return !fresh.keeps(c, old) })
}

// keeps says whether a client that came in under an old look may stay.
func (l *look) keeps(c *mqtt.Client, old *look) bool {
	if len(c.Chain) > 0 && (l.trust == nil || l.hasRevoked(c.Chain)) {
		return false
	}
	if len(c.Chain) > 0 && !bytes.Equal(l.ca, old.ca) {
		if _, err := l.trust.chain(c.Chain); err != nil {
			return false
		}
	}
	return c.Username == "" || l.rules.Users == nil || l.rules.Users.Same(old.rules.Users, c.Username)
}

// chainOf is how a connection's client certificate came to be trusted, by the look that counts now.
func (s *source) chainOf(sent []*x509.Certificate) ([]*x509.Certificate, error) {
	if t := s.look.Load().trust; t != nil {
		return t.chain(sent)
	}
	return nil, errUntrusted
}

// Gauges tells how many there are of what.
func (s *source) Gauges() map[string]int64 {
	n := s.server.Stats()
	return map[string]int64{"connections": int64(n.Connections), "sessions": int64(n.Sessions),
		"subscriptions": int64(n.Subscriptions), "retained": int64(n.Retained)}
}

// Connect implements mqtt.Access.
func (s *source) Connect(c *mqtt.Client) mqtt.Reason {
	l := s.look.Load()
	if l.hasRevoked(c.Chain) { // since its handshake
		return mqtt.NotAuthorized
	}
	return l.rules.Connect(c)
}

// Publish implements mqtt.Access.
func (s *source) Publish(c *mqtt.Client, topic string) bool {
	return s.look.Load().rules.Publish(c, topic)
}

// Subscribe implements mqtt.Access.
func (s *source) Subscribe(c *mqtt.Client, filter string) bool {
	return s.look.Load().rules.Subscribe(c, filter)
}

var _ mqtt.Access = (*source)(nil)
