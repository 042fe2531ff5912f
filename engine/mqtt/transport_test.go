package mqtt

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tidemill/tidemill/engine/env"
)

// selfSigned is a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t testing.TB) (*tls.Config, *tls.Config) {
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
	return &tls.Config{Certificates: pair, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven},
		&tls.Config{Certificates: pair, RootCAs: pool, ServerName: "127.0.0.1"}
}

func listen(t testing.TB, s *Server, l Listener) string {
	t.Helper()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nl.Addr().String()
	if l.Listener != nil {
		l.Listener.(*shyListener).Listener = nl
		nl = l.Listener
	}
	l.Listener = nl
	s.Listen(l)
	return address
}

// conversation publishes and subscribes over a connection, in messages larger
// than any buffer on the way.
func conversation(nc io.ReadWriter, id string) error {
	r := bufio.NewReader(nc)
	expect := func(want []byte) error {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("% .20x came, not % .20x", got, want)
		}
		return nil
	}
	connect := Packet{Type: Connect, Login: Login{Version: V311, CleanStart: true, ClientID: []byte(id), KeepAlive: 10}}
	big := Packet{Type: Publish, QoS: 1, ID: 7, Topic: []byte("t/" + id), Payload: bytes.Repeat([]byte(id), 100_000)}
	delivered := big
	delivered.ID = 1
	for _, step := range []struct {
		send *Packet
		want []*Packet
	}{
		{&connect, []*Packet{{Type: Connack}}},
		{&Packet{Type: Subscribe, ID: 1, Filters: []Filter{{Name: []byte("t/" + id), QoS: 1}}}, []*Packet{{Type: Suback, ID: 1, Reasons: []byte{1}}}},
		{&big, []*Packet{&delivered, {Type: Puback, ID: 7}}},
		{&Packet{Type: Pingreq}, []*Packet{{Type: Pingresp}}},
	} {
		if _, err := nc.Write(Append(nil, step.send, V311)); err != nil {
			return err
		}
		for _, w := range step.want {
			if err := expect(Append(nil, w, V311)); err != nil {
				return err
			}
		}
	}
	return nil
}

// principals remembers who came.
type principals struct {
	open
	mu  sync.Mutex
	who []string
}

func (p *principals) Connect(c *Client) Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.who = append(p.who, fmt.Sprintf("%s cn=%s encrypted=%v", c.ID, c.CN, c.Encrypted))
	return Success
}

// socket is a WebSocket client that cuts what it writes as it likes.
type socket struct {
	*websocket.Conn
	piece int
	rest  []byte
}

func (s *socket) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(s.piece, len(rest))
		if err := s.WriteMessage(websocket.BinaryMessage, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func (s *socket) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		_, b, err := s.ReadMessage()
		if err != nil {
			return 0, err
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func TestTransports(t *testing.T) {
	serverTLS, clientTLS := selfSigned(t)
	who := &principals{}
	s := NewServer(Options{Env: env.Real(), Access: who, Inlet: newInlet(), Handshakes: 1})
	defer s.Close()
	nobody := clientTLS.Clone()
	nobody.Certificates = nil
	plain, secure := listen(t, s, Listener{}), listen(t, s, Listener{TLS: serverTLS})
	ws, wss := listen(t, s, Listener{WebSocket: true}), listen(t, s, Listener{WebSocket: true, TLS: serverTLS})
	dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}, TLSClientConfig: clientTLS}
	overSocket := func(url string, piece int) (io.ReadWriteCloser, error) {
		c, _, err := dialer.Dial(url, nil)
		return &socket{Conn: c, piece: piece}, err
	}
	for id, dial := range map[string]func() (io.ReadWriteCloser, error){
		"tcp":    func() (io.ReadWriteCloser, error) { return net.Dial("tcp", plain) },
		"tls":    func() (io.ReadWriteCloser, error) { return tls.Dial("tcp", secure, clientTLS) },
		"nobody": func() (io.ReadWriteCloser, error) { return tls.Dial("tcp", secure, nobody) },
		"ws":     func() (io.ReadWriteCloser, error) { return overSocket("ws://"+ws+"/mqtt", 1000) },
		"wsbyte": func() (io.ReadWriteCloser, error) { return overSocket("ws://"+ws+"/mqtt", 37) },
		"wss":    func() (io.ReadWriteCloser, error) { return overSocket("wss://"+wss+"/mqtt", 1<<20) },
	} {
		nc, err := dial()
		if err == nil {
			err = conversation(nc, id)
			nc.Close()
		}
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	all := strings.Join(who.who, "\n")
	for _, want := range []string{"tcp cn= encrypted=false", "tls cn=d1 encrypted=true", "nobody cn= encrypted=true", "ws cn= encrypted=false", "wss cn=d1 encrypted=true"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
}

func TestWebSocketRefusals(t *testing.T) {
	s := NewServer(Options{Env: env.Real()})
	defer s.Close()
	address := listen(t, s, Listener{WebSocket: true})
	for _, c := range []struct {
		name     string
		header   http.Header
		protocol []string
		want     int
	}{
		{"no subprotocol", nil, nil, 400},
		{"another subprotocol", nil, []string{"chat"}, 400},
		{"a page of another site", http.Header{"Origin": {"https://evil.example"}}, []string{"mqtt"}, 403},
		{"a page of this site", http.Header{"Origin": {"http://" + address}}, []string{"mqtt"}, 101},
	} {
		d := websocket.Dialer{Subprotocols: c.protocol}
		conn, response, err := d.Dial("ws://"+address+"/mqtt", c.header)
		if response == nil || response.StatusCode != c.want {
			t.Errorf("%s: %v, %v", c.name, response, err)
		}
		if conn != nil {
			conn.Close()
		}
	}
	if r, err := http.Get("http://" + address + "/"); err != nil || r.StatusCode != 400 {
		t.Errorf("no WebSocket at all: %v, %v", r, err)
	}
	c, _, err := (&websocket.Dialer{Subprotocols: []string{"mqtt"}}).Dial("ws://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.WriteMessage(websocket.TextMessage, []byte{0xC0, 0})
	if _, _, err := c.ReadMessage(); err == nil {
		t.Error("a text message is taken [MQTT-6.0.0-1]")
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go nc.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\nX: "), 100_000))
	nc.SetReadDeadline(time.Now().Add(longEnough))
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// shyListener fails as a system without free descriptors does, at first.
type shyListener struct {
	net.Listener
	mu    sync.Mutex
	fails int
}

func (l *shyListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestAcceptSurvives runs out of descriptors.
func TestAcceptSurvives(t *testing.T) {
	var told sync.Map
	s := NewServer(Options{Env: env.Real(), Report: func(line string) { told.Store(line, true) }})
	defer s.Close()
	address := listen(t, s, Listener{Listener: &shyListener{fails: 4}})
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := conversation(nc, "x"); err != nil {
		t.Error(err)
	}
	n := 0
	told.Range(func(k, _ any) bool { n++; return strings.Contains(k.(string), "too many open files") })
	if n != 1 {
		t.Errorf("told %d times", n)
	}
}
