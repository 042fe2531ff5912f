package mqtt

import (
	"net"
	"net/netip"
	"sync"
)

// addresses counts connections, from before their handshake until nothing of them is left, by where they come from. An
// address of IPv6 stands for its network of 64 bits, all of which one sender has (RFC 6177, section 2).
type addresses struct {
	most int // of one; 0: no limit
	mu   sync.Mutex
	open map[netip.Prefix]int
}

// siteBits is how much of an address of IPv6 counts.
const siteBits = 64

// siteOf is what of a connection's address counts; none where it has none.
func siteOf(remote net.Addr) (from netip.Prefix) {
	tcp, known := remote.(*net.TCPAddr)
	if !known {
		return from
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = siteBits
	}
	from, err := ip.Prefix(bits)
	if err != nil {
		panic("BUG: the network of an address: " + err.Error())
	}
	return from
}

// enter counts a connection. false: there are as many as may be. What it returns is for leave.
func (a *addresses) enter(remote net.Addr) (from netip.Prefix, ok bool) {
	if a.most == 0 {
		return from, true
	}
	if from = siteOf(remote); !from.IsValid() {
		return from, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[from] >= a.most {
		return from, false
	}
	if a.open == nil {
		a.open = map[netip.Prefix]int{}
	}
	a.open[from]++
	return from, true
}

// leave takes a connection back.
func (a *addresses) leave(from netip.Prefix) {
	if !from.IsValid() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[from]--; a.open[from] == 0 {
		delete(a.open, from)
	}
}
