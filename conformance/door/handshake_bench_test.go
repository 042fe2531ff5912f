package door

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHandshake is the floor under TestStorm: what crypto/tls takes for one mutual handshake over TCP, and a byte
// each way, of both sides together and without a server around it. A storm of n devices cannot be over in less than n
// times that, divided by the processors.
func BenchmarkHandshake(b *testing.B) {
	for _, c := range []struct {
		name    string
		resumed bool
		curves  []tls.CurveID // nil: what Go's clients agree on by themselves, which is a hybrid with ML-KEM
	}{
		{"full", false, []tls.CurveID{tls.CurveP256}},
		{"resumed", true, []tls.CurveID{tls.CurveP256}},
		{"full-hybrid", false, nil},
		{"resumed-hybrid", true, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			server, client := handshakePair(b)
			client.CurvePreferences = c.curves
			if c.resumed {
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(b, err)
			defer l.Close()
			shakeHands(b, l, server, client)
			resumed, before := 0, usedHere(b)
			for b.Loop() {
				if shakeHands(b, l, server, client) {
					resumed++
				}
			}
			b.ReportMetric(float64((usedHere(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
			if c.resumed != (resumed == b.N) || !c.resumed && resumed > 0 {
				b.Errorf("%d of %d were resumed", resumed, b.N)
			}
		})
	}
}

// usedHere is the CPU time of this process so far.
func usedHere(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func handshakePair(b *testing.B) (server, client *tls.Config) {
	ca := newAuthority(b)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	pair := func(name string) []tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(b, err)
		return []tls.Certificate{{Certificate: [][]byte{ca.issue(b, name, key)}, PrivateKey: key}}
	}
	server = &tls.Config{Certificates: pair("server"), ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	return server, &tls.Config{Certificates: pair("device"), RootCAs: pool, ServerName: "127.0.0.1"}
}

// shakeHands connects once, and says whether TLS was resumed.
func shakeHands(b *testing.B, l net.Listener, server, client *tls.Config) bool {
	done := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err == nil {
			defer nc.Close()
			s := tls.Server(nc, server)
			if _, err = io.ReadFull(s, make([]byte, 1)); err == nil {
				_, err = s.Write([]byte{0})
			}
		}
		done <- err
	}()
	nc, err := tls.Dial("tcp", l.Addr().String(), client)
	must(b, err)
	defer nc.Close()
	_, err = nc.Write([]byte{0})
	must(b, err)
	_, err = io.ReadFull(nc, make([]byte, 1))
	must(b, err)
	must(b, <-done)
	return nc.ConnectionState().DidResume
}
