package mqtt

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestAddresses: which addresses are one sender, and that nothing of those who have left is kept.
func TestAddresses(t *testing.T) {
	a := addresses{most: 1}
	var came []func()
	for _, c := range []struct {
		ip string
		ok bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", false}, {"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::ffff:0:0:1", false}, {"2001:db8:0:1::1", true},
	} {
		from, ok := a.enter(&net.TCPAddr{IP: net.ParseIP(c.ip), Port: 1})
		if ok != c.ok {
			t.Errorf("%s: %v", c.ip, ok)
		}
		if ok {
			came = append(came, func() { a.leave(from) })
		}
	}
	for _, leave := range came {
		leave()
	}
	if len(a.open) > 0 {
		t.Errorf("%d addresses are kept", len(a.open))
	}
}

// TestAddressLimit: what comes from an address that has enough is closed, whatever state those that it has are in, and others come in.
func TestAddressLimit(t *testing.T) {
	s, count := counted(t, Options{MaxPerAddress: 2})
	address := listen(t, s, Listener{})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	a := login(t, address, "a")
	for i := range 2 { // the first keeps silent, and counts
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if i == 0 {
			eventually(t, "it is counted", func() bool { return s.Stats().Connections == 2 })
			continue
		}
		nc.SetReadDeadline(time.Now().Add(longEnough))
		if _, err := nc.Read(make([]byte, 1)); err != io.EOF || count("connections_over_address_limit") != 1 {
			t.Error("a third connection:", err)
		}
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if nc, err := other.Dial("tcp", "127.0.0.1:"+port); err == nil { // a system may have but one such address
		defer nc.Close()
		eventually(t, "another address is let in", func() bool { return s.Stats().Connections == 3 })
	}
	before := s.Stats().Connections
	a.Close()
	eventually(t, "the first has left", func() bool { return s.Stats().Connections < before })
	login(t, address, "b")
}
