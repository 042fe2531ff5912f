package ingesthttp

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
)

// secret is a token or a password, of which only the digest is kept, so that
// comparing takes the same time whatever is offered.
type secret struct {
	name string
	user bool
	sum  [sha256.Size]byte
}

func newSecret(name, value string, user bool) secret {
	return secret{name, user, sha256.Sum256([]byte(value))}
}

// maxCredential is how long a token or password may be, bytes.
const maxCredential = 4096

// sender tells who sends a request; ok is false when nobody known does.
func (o *options) sender(r *http.Request) (name string, ok bool) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		name = r.TLS.VerifiedChains[0][0].Subject.CommonName
		return name, name != ""
	}
	if len(o.secrets) == 0 {
		return "", o.tls == nil || o.tls.ClientCA == ""
	}
	user, offered, isUser := r.BasicAuth()
	if !isUser {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		offered = strings.TrimSpace(token)
	}
	if len(offered) > maxCredential {
		return "", false
	}
	sum := sha256.Sum256([]byte(offered))
	for i := range o.secrets {
		s := &o.secrets[i]
		same := subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 1
		if same && s.user == isUser && (!isUser || s.name == user) {
			name, ok = s.name, true
		}
	}
	return name, ok
}

// fromHere tells that a request is meant for this machine by its own name: a
// web page that had its host name lead here still calls it by the other name.
func fromHere(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return config.Loopback(host)
}

// tlsConfig reads the files of a tls block.
func tlsConfig(e *env.Env, a *tlsArgs, more bool) (*tls.Config, error) {
	cert, err := readAll(e, a.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readAll(e, a.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls: %s and %s are no certificate with its key: %w", a.Cert, a.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if a.ClientCA == "" {
		return c, nil
	}
	ca, err := readAll(e, a.ClientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("tls: client_ca: %s holds no certificate", a.ClientCA)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	if more {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}

// maxPEM is how large a file of certificates may be, bytes.
const maxPEM = 4 << 20

func readAll(e *env.Env, name string) ([]byte, error) {
	f, err := e.FS.Open(name, env.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if info.Size() > maxPEM {
		return nil, fmt.Errorf("tls: %s has %d bytes; no more than %d are read", name, info.Size(), maxPEM)
	}
	b := make([]byte, info.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("tls: %s: %w", name, err)
	}
	return b, nil
}

// limited is a listener that closes connections beyond its limit at once.
type limited struct {
	net.Listener
	room    chan struct{}
	refused func()
}

func newLimited(l net.Listener, limit int, refused func()) *limited {
	return &limited{l, make(chan struct{}, limit), refused}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &counted{Conn: c, leave: func() { <-l.room }}, nil
		default:
			l.refused()
			_ = c.Close() // nothing was said on it
		}
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *counted) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
