package mqtt

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// instant is an inlet that has everything at once, and fails sometimes.
type instant struct{}

func (instant) Append(batch []Inbound, done func(error)) error {
	for _, m := range batch {
		if len(m.Payload) > 2 && m.Payload[0] == 'F' {
			return io.ErrShortWrite
		}
	}
	if done != nil {
		done(nil)
	}
	return nil
}

// FuzzServer sends bytes to a server behind a CONNECT (or without one), cut in
// two, and looks that the connection comes to its end and the server lives on.
func FuzzServer(f *testing.F) {
	text, err := os.ReadFile("testdata/server/2_publish.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors(f) {
		if v.direction != "S" && len(v.bytes) < 300 {
			f.Add(v.bytes, byte(v.version), 3)
		}
	}
	for _, line := range strings.Split(string(text), "\n") {
		if _, raw, ok := strings.Cut(line, " > "); ok {
			b, err := notation(raw)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, byte(V5), len(b)/2)
		}
	}
	s := NewServer(Options{Env: env.Real(), Inlet: instant{}, MaxPacket: 4096, MaxSessions: 4, MaxRetained: 4, MaxQueued: 4, ReceiveMaximum: 4, TopicAliases: 4})
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, b []byte, version byte, cut int) {
		client, server := net.Pipe()
		s.start(server, netip.Prefix{}, Listener{})
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			io.Copy(io.Discard, client)
		}()
		if version == byte(V311) || version == byte(V5) {
			p := Packet{Type: Connect, Login: Login{Version: Version(version), CleanStart: cut%2 == 0, ClientID: []byte{'a' + byte(cut&1)}}}
			client.Write(Append(nil, &p, p.Login.Version))
		}
		cut = min(max(cut, 0), len(b))
		for _, piece := range [][]byte{b[:cut], b[cut:]} {
			client.SetWriteDeadline(time.Now().Add(5 * time.Second))
			client.Write(piece)
		}
		client.Close()
		<-drained
		for wait := time.Now(); s.Stats().Connections > 0; time.Sleep(50 * time.Microsecond) {
			if time.Since(wait) > longEnough {
				t.Fatal("the connection does not end")
			}
		}
	})
}
