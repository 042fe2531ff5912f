package publish

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/mqtt"
)

// TestTLS: over TLS with certificates on both sides messages arrive; a broker
// whose certificate nobody signed gets none.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "d1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	pair := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}

	in := newInlet(t)
	s := mqtt.NewServer(mqtt.Options{Env: env.Real(), Inlet: in})
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listen(mqtt.Listener{Listener: l, TLS: &tls.Config{Certificates: pair, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}})
	good := crowd(t, Options{Address: l.Addr().String(), QoS: 1, KeepAlive: 2 * time.Second, TLS: &tls.Config{Certificates: pair, RootCAs: pool}})
	member := good.Client("a")
	publishAll(t, good, []*Client{member}, 0, 50, nil)
	time.Sleep(2400 * time.Millisecond) // a deadline passes while nothing comes, and the connection is as good as before
	publishAll(t, good, []*Client{member}, 50, 50, nil)
	if got := in.got["t/0"]; !slices.Equal(got, numbers(100)) || good.Stats().Connects != 1 {
		t.Errorf("%q, %+v", got, good.Stats())
	}
	bad := crowd(t, Options{Address: l.Addr().String(), QoS: 1, TLS: &tls.Config{Certificates: pair, RootCAs: x509.NewCertPool()}})
	bad.Client("b")
	for end := time.Now().Add(patience); bad.Stats().Failed == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if st := bad.Stats(); st.Connects != 0 || !strings.Contains(st.Trouble, "certificate signed by unknown authority") {
		t.Errorf("%+v", st)
	}
}
