package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"testing"
)

// The range to choose from: above the services that machines run, below what Linux gives to those who ask for no port.
const first, count = 20_000, 12_000

// Free finds an address of 127.0.0.1, as host:port, that nobody listens on and no other test gets before this one ends.
func Free(t testing.TB) string {
	t.Helper()
	address, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// Reserve is Free for those who have no testing.TB: the address is theirs until release or the end of the process.
func Reserve() (address string, release func(), err error) {
	start := rand.IntN(count)
	for i := range count {
		address, release, err = reserve(first + (start+i)%count)
		if err == nil {
			return address, release, nil
		}
	}
	return "", nil, fmt.Errorf("none of %d ports from %d on is free: %w", count, first, err)
}

// reserve takes a port unless somebody has it or listens there.
func reserve(port int) (address string, release func(), err error) {
	var sign net.Listener
	release = func() {}
	// A socket in Linux's abstract namespace says that the port is taken; it ends with its process, however that ends.
	if runtime.GOOS == "linux" {
		if sign, err = net.Listen("unix", fmt.Sprintf("@tidemill-test-port-%d", port)); err != nil {
			return "", nil, err
		}
		release = func() { _ = sign.Close() } // nothing was written to it
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return address, release, nil
}
