package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/query"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
)

// SocketName is the socket's name in the data folder.
const SocketName = "control.sock"

// Limits of the socket: it is for one person at a time.
const (
	maxRequest    = 1 << 20
	headerTimeout = 5 * time.Second
)

// Server answers for one engine.
type Server struct {
	Engine *run.Engine
	Env    *env.Env
	Specs  []stage.Spec
	// Vars are the variables that the engine was started with; those of a
	// request stand before them.
	Vars map[string]string
	// Stopping tells that the engine is about to end. May be nil.
	Stopping func() bool
	// Query answers a request over the lake, all but its Sources and Cache being set; nil where this program cannot.
	Query   func(ctx context.Context, q *query.Request, out io.Writer) (query.Summary, error)
	one     sync.Mutex   // one change at a time
	queries atomic.Int64 // being answered
}

// Control is a socket that is being served.
type Control struct {
	http *http.Server
	end  context.CancelFunc
	done chan struct{}
}

// Serve makes the socket and answers on it until Close. A socket that a dead
// process left is replaced; the caller holds the folder's lock.
func Serve(s *Server, socket string) (*Control, error) {
	l, err := listen(socket)
	if err != nil {
		return nil, err
	}
	return serveOn(l, s.handler()), nil
}

// serveOn answers on l until Close.
func serveOn(l net.Listener, h http.Handler) *Control {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Control{end: cancel, done: make(chan struct{})}
	c.http = &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(c.done)
		_ = c.http.Serve(l) // ends with Close; there is nobody to tell otherwise
	}()
	return c
}

// Close ends open requests and removes the socket.
func (c *Control) Close() error {
	c.end()
	err := c.http.Close()
	<-c.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	s.look(mux)
	s.changeRollouts(mux)
	mux.HandleFunc("POST /v1/feedback", s.feedback)
	mux.HandleFunc("POST /v1/apply", func(w http.ResponseWriter, r *http.Request) {
		var q ApplyRequest
		in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		in.DisallowUnknownFields()
		if err := in.Decode(&q); err != nil {
			reply(w, http.StatusBadRequest, ApplyReply{Error: "the request is not understood: " + err.Error()})
			return
		}
		s.one.Lock()
		defer s.one.Unlock()
		reply(w, http.StatusOK, s.apply(r.Context(), q))
	})
	return mux
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the other side has gone
}
