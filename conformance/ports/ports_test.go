package ports

import (
	"net"
	"strconv"
	"testing"
)

// TestReserve: a port is one caller's until it is released, also while nobody listens there, and one where somebody
// listens is nobody's.
func TestReserve(t *testing.T) {
	address := Free(t)
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < first || port >= first+count {
		t.Fatalf("%s: %v", address, err)
	}
	if _, _, err := reserve(port); err == nil {
		t.Errorf("%d was given away twice", port)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	other, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", other)
	if err != nil {
		t.Fatal(err)
	}
	release()
	_, text, _ = net.SplitHostPort(other)
	port, _ = strconv.Atoi(text)
	if _, _, err := reserve(port); err == nil {
		t.Errorf("%d was given away while somebody listens there", port)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if _, again, err := reserve(port); err != nil {
		t.Errorf("%d is not free again: %v", port, err)
	} else {
		again()
	}
}
