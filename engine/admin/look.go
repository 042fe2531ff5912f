package admin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
)

// answerTime is how long a client may take to read an answer; a row of a tap
// counts as one.
const answerTime = 10 * time.Second

// staleAfter is how old the newest checkpoint of an engine with work may be
// before it is not ready.
const staleAfter = time.Minute

// Ready says whether an engine does its work.
type Ready struct {
	Ready bool     `json:"ready"`
	Why   []string `json:"why"` // it is not, or what is wrong though it is
}

// Pipelines is what runs, and how it is going.
type Pipelines struct {
	Plan   *plan.Explanation `json:"plan"`
	Status run.Status        `json:"status"`
}

// look registers what changes nothing.
func (s *Server) look(mux *http.ServeMux) {
	get := func(path string, f func(w http.ResponseWriter)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(s.Env.Clock.Now().Add(answerTime)) // not every connection has one
			f(w)
		})
	}
	get("/v1/status", func(w http.ResponseWriter) { reply(w, http.StatusOK, s.Engine.Status()) })
	get("/v1/pipelines", func(w http.ResponseWriter) {
		reply(w, http.StatusOK, Pipelines{s.Engine.Plan().Explain(), s.Engine.Status()})
	})
	get("/v1/taps", func(w http.ResponseWriter) {
		reply(w, http.StatusOK, map[string][]string{"edges": s.Engine.Edges()})
	})
	get("/healthz", func(w http.ResponseWriter) { reply(w, http.StatusOK, map[string]string{"status": "ok"}) })
	get("/readyz", func(w http.ResponseWriter) {
		ready := s.ready()
		code := http.StatusOK
		if !ready.Ready {
			code = http.StatusServiceUnavailable
		}
		reply(w, code, ready)
	})
	get("/metrics", func(w http.ResponseWriter) {
		status := s.Engine.Status()
		w.Header().Set("Content-Type", metricsType)
		_, _ = w.Write(append(metricsOf(&status), skewsOf(s.Engine.Skews())...)) // the reader may have gone
	})
	mux.HandleFunc("GET /v1/taps/{edge}", s.tap)
	mux.HandleFunc("GET /v1/devices", s.devices)
	s.lookRollouts(mux)
	mux.HandleFunc("POST /v1/query", s.query)
}

// ready tells whether the engine takes records and gets on with them.
func (s *Server) ready() Ready {
	return readiness(s.Engine.Status(), s.Engine.Plan().Config.Engine.Checkpoint, s.Stopping != nil && s.Stopping())
}

func readiness(status run.Status, every time.Duration, stopping bool) Ready {
	r := Ready{Ready: true, Why: []string{}}
	refuse := func(why string, args ...any) {
		r.Ready = false
		r.Why = append(r.Why, fmt.Sprintf(why, args...))
	}
	if stopping {
		refuse("the engine is stopping")
	}
	totals := status.Totals()
	since := status.Checkpoint.At
	if since.IsZero() {
		since = status.Began
	}
	if age := status.Time.Sub(since); totals.Lag > 0 && age > staleAfter+10*every {
		refuse("no checkpoint has been taken for %s, and records wait", age.Round(time.Second))
	}
	for i := range status.Channels {
		if c := &status.Channels[i]; c.LastError != "" {
			refuse("channel.%s takes nothing: %s", c.Name, c.LastError)
		}
	}
	if why := status.Checkpoint.LastError; why != "" {
		r.Why = append(r.Why, "the checkpoint cannot be written: "+why)
	}
	for i := range status.Ingests {
		if k := &status.Ingests[i]; k.LastError != "" {
			r.Why = append(r.Why, k.Address+" is failing: "+k.LastError)
		}
	}
	for i := range status.Sinks {
		if k := &status.Sinks[i]; k.Failing {
			r.Why = append(r.Why, strings.TrimSuffix(k.Address+" is failing: "+k.LastError, ": "))
		}
	}
	return r
}

// Listen opens the address of the HTTP listener that shows what the engine
// does. Beyond this machine it refuses to listen unless insecure is set.
func Listen(address string, insecure bool) (net.Listener, error) {
	loopback, err := config.ParseListen(address)
	switch {
	case err != nil:
		return nil, err
	case !loopback && !insecure:
		return nil, fmt.Errorf("%q can be reached from other machines, and everybody there could read the rows: listen on 127.0.0.1, or write admin_insecure = true in the engine block", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the address of admin: %w", err)
	}
	return l, nil
}

// ServeHTTP answers on l until Close, with what changes nothing. Where only this machine can come
// in, requests for another host's name are refused: a web page may have had its name lead here.
func ServeHTTP(s *Server, l net.Listener) *Control {
	mux := http.NewServeMux()
	s.look(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("there is nothing at %.100q", r.URL.Path),
			"right": "/healthz, /readyz, /metrics, /v1/status, /v1/pipelines, /v1/devices, /v1/taps, /v1/taps/EDGE; POST /v1/query"})
	})
	host, _, err := net.SplitHostPort(l.Addr().String())
	local := err == nil && config.Loopback(host)
	return serveOn(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case local && !config.Loopback(name):
			reply(w, http.StatusForbidden, map[string]string{"error": fmt.Sprintf("the request is for the host %.100q", r.Host), "right": "localhost or 127.0.0.1"})
		case r.Method != http.MethodGet && r.Method != http.MethodHead && (r.Method != http.MethodPost || r.URL.Path != "/v1/query"):
			w.Header().Set("Allow", "GET, HEAD")
			reply(w, http.StatusMethodNotAllowed, map[string]string{"error": fmt.Sprintf("the method is %.20s", r.Method), "right": "GET; changes are made by tidemill apply"})
		default:
			mux.ServeHTTP(w, r)
		}
	}))
}

// tapStatus is the status code of a tap that was refused.
func tapStatus(err error) int {
	if errors.Is(err, run.ErrTaps) {
		return http.StatusServiceUnavailable
	}
	return http.StatusNotFound
}
