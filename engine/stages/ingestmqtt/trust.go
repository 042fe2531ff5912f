package ingestmqtt

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// mostTrusted is how many client certificates are remembered to be signed as they should be, twice over.
const mostTrusted = 32 << 10

// trust tells whether clients' certificates are signed by those of client_ca and not revoked. It
// remembers which it has found to be, since finding out again costs more than the rest of a resumed
// handshake: the fleet that comes back is the one that was here. Safe for concurrent use.
type trust struct {
	roots   *x509.CertPool
	revoked map[revoked]struct{}
	now     func() time.Time

	mu          sync.Mutex
	known, past map[[sha256.Size]byte]*voucher // past is given up when known is full
}

// voucher is what is remembered of a certificate that is signed as it should be.
type voucher struct {
	above           []*x509.Certificate // those that sign it, up to one of client_ca
	notBefore, last int64               // seconds since 1970 between which all of them are valid
}

var (
	errRevoked   = errors.New("the client's certificate is revoked")
	errUntrusted = errors.New("the client's certificate is no longer trusted")
)

// chain returns the certificates from the client's to one of client_ca, none of which is revoked. sent is what the client has
// shown, its own first; that it holds its key is the handshake's to prove.
func (t *trust) chain(sent []*x509.Certificate) ([]*x509.Certificate, error) {
	now, key := t.now(), fingerprint(sent)
	if v := t.find(key); v != nil && v.notBefore <= now.Unix() && now.Unix() < v.last {
		chain := append([]*x509.Certificate{sent[0]}, v.above...)
		if t.hasRevoked(chain) {
			panic("BUG: a revoked certificate is remembered as one that is not")
		}
		return chain, nil
	}
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	chains, err := sent[0].Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, fmt.Errorf("the client's certificate: %w", err)
	}
	for _, chain := range chains {
		if !t.hasRevoked(chain) {
			t.keep(key, chain)
			return chain, nil
		}
	}
	return nil, errRevoked
}

// fingerprint is of all certificates that were sent: which chains there are depends on each. Lengths stand in
// DER itself, so that no two lists have the same bytes.
func fingerprint(sent []*x509.Certificate) (sum [sha256.Size]byte) {
	if len(sent) == 1 {
		return sha256.Sum256(sent[0].Raw)
	}
	h := sha256.New()
	for _, c := range sent {
		h.Write(c.Raw)
	}
	h.Sum(sum[:0])
	return sum
}

func (t *trust) find(key [sha256.Size]byte) *voucher {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.known[key]; v != nil {
		return v
	}
	v := t.past[key]
	if v != nil {
		t.put(key, v)
	}
	return v
}

func (t *trust) keep(key [sha256.Size]byte, chain []*x509.Certificate) {
	v := &voucher{above: chain[1:], last: 1<<63 - 1}
	for _, c := range chain {
		v.notBefore = max(v.notBefore, c.NotBefore.Unix())
		v.last = min(v.last, c.NotAfter.Unix())
	}
	// The slice that Verify returns would keep the client's own certificate.
	v.above = append([]*x509.Certificate(nil), v.above...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(key, v)
}

// put remembers v, and forgets what was not asked for since half of what fits came. t.mu is held.
func (t *trust) put(key [sha256.Size]byte, v *voucher) {
	if t.known == nil || len(t.known) >= mostTrusted {
		t.known, t.past = map[[sha256.Size]byte]*voucher{}, t.known
	}
	t.known[key] = v
}

func (t *trust) hasRevoked(chain []*x509.Certificate) bool {
	if len(t.revoked) == 0 {
		return false
	}
	for _, c := range chain {
		if _, gone := t.revoked[revoked{string(c.RawIssuer), c.SerialNumber.String()}]; gone {
			return true
		}
	}
	return false
}

// ask makes cfg ask for client certificates that are trusted. The configuration asks for any, and what
// it then asks VerifyConnection is answered here: unlike VerifyPeerCertificate that is also asked where a session
// is resumed, and unlike crypto/tls's own check it need not verify signatures again.
func (t *trust) ask(cfg *tls.Config, optional bool) {
	cfg.ClientCAs, cfg.ClientAuth = t.roots, tls.RequireAnyClientCert
	if optional {
		cfg.ClientAuth = tls.RequestClientCert
	}
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil // where they are required, crypto/tls has seen to it
		}
		_, err := t.chain(state.PeerCertificates)
		return err
	}
}
