package admin

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

type refusing struct{ err error }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// TestOtherUser: an engine of another user is told from one that does not answer, and from none.
func TestOtherUser(t *testing.T) {
	socket := &net.UnixAddr{Name: "data/control.sock", Net: "unix"}
	for cause, want := range map[error]string{
		syscall.EACCES:       "another user, and only that one may ask it: data/control.sock: permission denied",
		syscall.ECONNREFUSED: ErrNotRunning.Error(),
		syscall.ECONNRESET:   "the running engine did not answer",
	} {
		c := &Client{&http.Client{Transport: refusing{&net.OpError{Op: "dial", Net: "unix", Addr: socket, Err: cause}}}}
		_, err := c.Rollouts(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrPermission) != (cause == syscall.EACCES) {
			t.Errorf("%v: %v, want %s", cause, err, want)
		}
	}
}
