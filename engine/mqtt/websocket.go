package mqtt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// maxUpgrade is how many bytes the HTTP request of a WebSocket may have.
const maxUpgrade = 8 << 10

// webSocket is MQTT in binary WebSocket messages; where they are cut means
// nothing (MQTT-6.0.0-2). The library writes; it is read by frames.go, which can stop within a frame.
type webSocket struct {
	*websocket.Conn
	frames
}

// upgrade takes the HTTP request that turns the connection into a WebSocket. A
// page of another site in a browser is refused: it could reach a listener on
// the loopback interface that nobody else can.
func (c *conn) upgrade() error {
	limited := &io.LimitedReader{R: c.t, N: maxUpgrade}
	r := bufio.NewReaderSize(limited, 1024)
	request, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	limited.N = 1 << 62
	up := websocket.Upgrader{ReadBufferSize: 1, WriteBufferSize: 1024, Subprotocols: []string{"mqtt"}}
	w := &hijacked{c: c, r: r, header: http.Header{}}
	if !websocket.IsWebSocketUpgrade(request) || !offers(request, "mqtt") {
		http.Error(w, "Only the WebSocket subprotocol mqtt is served here.", http.StatusBadRequest)
		return errors.New("no WebSocket")
	}
	ws, err := up.Upgrade(w, request, nil)
	if err != nil {
		return err
	}
	c.t = &webSocket{Conn: ws, frames: frames{from: c.t, reply: func(kind int, payload []byte) { _ = ws.WriteControl(kind, payload, time.Time{}) }}}
	return nil
}

func offers(r *http.Request, protocol string) bool {
	for _, p := range websocket.Subprotocols(r) {
		if p == protocol {
			return true
		}
	}
	return false
}

func (w *webSocket) Read(p []byte) (int, error) { return w.frames.Read(p) }

func (w *webSocket) Write(p []byte) (int, error) {
	return len(p), w.WriteMessage(websocket.BinaryMessage, p)
}

// hijacked is just enough of an HTTP server for the library to upgrade a connection.
type hijacked struct {
	c      *conn
	r      *bufio.Reader
	header http.Header
}

func (h *hijacked) Header() http.Header { return h.header }

func (h *hijacked) WriteHeader(status int) {
	fmt.Fprintf(h.c.t, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n", status, http.StatusText(status))
}

func (h *hijacked) Write(p []byte) (int, error) { return h.c.t.Write(p) }

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, ok := h.c.t.(net.Conn)
	if !ok {
		panic("BUG: a transport that is no connection")
	}
	return nc, bufio.NewReadWriter(h.r, bufio.NewWriterSize(nc, 1024)), nil
}
