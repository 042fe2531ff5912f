package influx

import (
	"context"
	"net"
	"net/http"
)

// controlSocket reaches the engine's admin by its socket.
func controlSocket(name string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", name)
	}}
}
