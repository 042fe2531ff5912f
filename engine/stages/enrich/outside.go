package enrich

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// file is a table in a file.
type file struct {
	env  *env.Env
	path string
	most int64
}

func (f *file) newest(bool) ([]byte, error) { return readFile(f.env, f.path, f.most) }
func (f *file) close() error                { return nil }

// server is a table that a web server gives out. A goroutine of its own asks for it, so that a server that hangs
// holds nobody up.
type server struct {
	p      *program
	client *http.Client
	stop   context.CancelFunc
	done   chan struct{}
	ask    chan struct{}

	mu    sync.Mutex
	data  []byte
	err   error
	asked chan struct{} // closed when an answer or an error is there
	tag   string
}

func newServer(p *program) *server {
	ctx, stop := context.WithCancel(context.Background())
	s := &server{p: p, client: &http.Client{Timeout: p.timeout}, stop: stop, done: make(chan struct{}), ask: make(chan struct{}, 1), asked: make(chan struct{})}
	go s.run(ctx)
	return s
}

// newest asks for the table, and returns the answer to the question before; with wait, to this one.
func (s *server) newest(wait bool) ([]byte, error) {
	select {
	case s.ask <- struct{}{}:
	default: // it is being asked
	}
	if wait {
		<-s.asked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.data, s.err
	s.data, s.err = nil, nil
	return data, err
}

func (s *server) run(ctx context.Context) {
	defer close(s.done)
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ask:
		}
		data, err := s.get(ctx)
		s.mu.Lock()
		if s.err = err; data != nil {
			s.data = data
		}
		s.mu.Unlock()
		if first {
			close(s.asked)
			first = false
		}
	}
}

// get asks once. nil without an error says that nothing has changed.
func (s *server) get(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, max(s.p.timeout, 100*time.Millisecond))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.p.url, nil)
	if err != nil {
		return nil, errors.New("no request can be made of the URL")
	}
	for name, value := range s.p.headers {
		req.Header.Set(name, value)
	}
	if s.tag != "" {
		req.Header.Set("If-None-Match", s.tag)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no answer in %s", s.p.timeout)
		}
		return nil, errors.New("the server cannot be reached")
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && s.tag != "":
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, s.p.bytes+1))
	if err != nil {
		return nil, fmt.Errorf("the answer breaks off after %d bytes", len(data))
	}
	if int64(len(data)) > s.p.bytes {
		return nil, fmt.Errorf("the answer has more than max_bytes = %d bytes", s.p.bytes)
	}
	s.tag = resp.Header.Get("ETag")
	return data, nil
}

func (s *server) close() error {
	s.stop()
	<-s.done
	return nil
}
