package ingestmqtt

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

// TestTrust looks at what is remembered of certificates, and for how long that counts.
func TestTrust(t *testing.T) {
	a := newAuthority(t, t.TempDir())
	stranger := newAuthority(t, t.TempDir())
	a.issue("truck-1", false)
	a.issue("truck-2", false)
	stranger.issue("truck-3", false)
	now := time.Now()
	tr := &trust{roots: x509.NewCertPool(), revoked: map[revoked]struct{}{}, now: func() time.Time { return now }}
	tr.roots.AddCert(a.certificate("ca"))
	gone := a.certificate("truck-2")
	tr.revoked[revoked{string(gone.RawIssuer), gone.SerialNumber.String()}] = struct{}{}

	one := []*x509.Certificate{a.certificate("truck-1")}
	for _, name := range []string{"first", "remembered"} {
		chain, err := tr.chain(one)
		if err != nil || len(chain) != 2 || chain[0] != one[0] || !chain[1].Equal(a.certificate("ca")) {
			t.Fatal(name, len(chain), err)
		}
		tr.roots = x509.NewCertPool() // what is asked for again is not verified again
	}
	tr.roots.AddCert(a.certificate("ca"))
	for range 2 {
		if _, err := tr.chain([]*x509.Certificate{gone}); !errors.Is(err, errRevoked) {
			t.Error("a revoked one:", err)
		}
		if _, err := tr.chain([]*x509.Certificate{stranger.certificate("truck-3")}); err == nil {
			t.Error("a stranger's is trusted")
		}
	}
	if len(tr.known) != 1 {
		t.Errorf("%d are remembered", len(tr.known))
	}
	for _, at := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		now = time.Now().Add(at)
		if _, err := tr.chain(one); err == nil {
			t.Error("trusted outside of its time:", at)
		}
	}
}

// TestTrustForgets fills the memory: what is asked for stays, and the rest goes.
func TestTrustForgets(t *testing.T) {
	tr := &trust{}
	key := func(n int) (k [32]byte) {
		k[0], k[1], k[2] = byte(n), byte(n>>8), byte(n>>16)
		return k
	}
	for n := range 3 * mostTrusted {
		tr.mu.Lock()
		tr.put(key(n), &voucher{})
		tr.mu.Unlock()
		if tr.find(key(0)) == nil {
			t.Fatalf("forgotten after %d others, though it was asked for all the while", n)
		}
	}
	if n := len(tr.known) + len(tr.past); n > 2*mostTrusted || tr.find(key(1)) != nil {
		t.Errorf("%d are remembered", n)
	}
}
