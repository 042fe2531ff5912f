package enrich

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// servers is where the partitions of a stage find the server that they ask together. Each partition is bound by itself, and so what they share
// belongs to the stage's entry in the list of all. While a configuration is applied, those of the one before are among them.
type servers struct {
	mu   sync.Mutex
	open map[string]*server // by what is asked, and for which stage
}

func newServers() *servers { return &servers{open: map[string]*server{}} }

// question is what is asked, and for which stage: who has the same one may share the answers.
func (p *program) question(address string) string {
	text := fmt.Sprintf("%q %q %d %d %d", address, p.url, p.timeout, p.bytes, p.refresh)
	for _, name := range slices.Sorted(maps.Keys(p.headers)) {
		text += fmt.Sprintf(" %q %q", name, p.headers[name])
	}
	return text
}

// join returns what a partition of the stage at an address sees of the server.
func (x *servers) join(p *program, address string) *asker {
	x.mu.Lock()
	defer x.mu.Unlock()
	question := p.question(address)
	s := x.open[question]
	if s == nil {
		s = newServer(p)
		x.open[question] = s
	}
	s.users++
	s.mu.Lock()
	defer s.mu.Unlock()
	return &asker{server: s, all: x, question: question, joined: s.answers}
}

// server is a table that a web server gives out. A goroutine of its own asks for it, so that a server that hangs
// holds nobody up; one for all partitions of a stage, so that they get the same table for one request.
type server struct {
	p      *program
	client *http.Client
	stop   context.CancelFunc
	done   chan struct{}
	asks   chan struct{}
	users  int // partitions; servers.mu guards it
	tag    string

	mu      sync.Mutex
	data    []byte // the latest table; nil: none came yet
	err     error  // of the latest answer
	answers uint64 // so many came, errors among them
	changed uint64 // the last of them that was a table
	busy    bool
	tick    int64         // at which it was asked last
	next    chan struct{} // closed when the next answer is there
}

func newServer(p *program) *server {
	ctx, stop := context.WithCancel(context.Background())
	// A client of its own keeps no connection beyond the last partition.
	client := &http.Client{Timeout: p.timeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: p.timeout, ForceAttemptHTTP2: true,
	}}
	s := &server{p: p, client: client, stop: stop, done: make(chan struct{}), asks: make(chan struct{}, 1), next: make(chan struct{})}
	go s.run(ctx)
	return s
}

// request asks unless it is being asked; whoever calls holds the lock.
func (s *server) request() {
	if !s.busy {
		s.busy = true
		s.asks <- struct{}{}
	}
}

func (s *server) run(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.asks:
		}
		data, err := s.get(ctx)
		s.mu.Lock()
		s.answers++
		if s.err, s.busy = err, false; data != nil {
			s.data, s.changed = data, s.answers
		}
		close(s.next)
		s.next = make(chan struct{})
		s.mu.Unlock()
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
			return nil, s.p.silent()
		}
		return nil, errUnreachable
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && s.tag != "" {
		return nil, nil
	}
	data, err := s.p.read(resp.StatusCode, resp.Body)
	if err != nil {
		return nil, err
	}
	s.tag = resp.Header.Get("ETag")
	return data, nil
}

// asker is what one partition sees of a server.
type asker struct {
	*server
	all      *servers
	question string
	joined   uint64 // so many answers had come before
	taken    uint64 // so many were taken
}

// wait returns the table that another partition has begun with, or asks for one.
func (a *asker) wait() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.data == nil {
		next := a.next
		a.request()
		a.mu.Unlock()
		<-next
		a.mu.Lock()
	}
	a.taken = a.answers
	if a.data == nil {
		return nil, a.err
	}
	return a.data, nil
}

// ask asks if no partition has within the time between two looks: the answer is for all.
func (a *asker) ask(tick int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tick == 0 || tick >= a.tick+a.p.refresh {
		a.tick = tick
		a.request()
	}
}

func (a *asker) answer(int64) (data []byte, came bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken == a.answers {
		return nil, false, nil
	}
	if a.changed > a.taken {
		data = a.data
	}
	a.taken = a.answers
	if a.answers == a.joined { // others have told of a failure
		return data, data != nil, nil
	}
	return data, true, a.err
}

// close ends the server with its last partition.
func (a *asker) close() error {
	a.all.mu.Lock()
	a.users--
	last := a.users == 0
	if last {
		delete(a.all.open, a.question)
	}
	a.all.mu.Unlock()
	if last {
		a.stop()
		<-a.done
		a.client.CloseIdleConnections()
	}
	return nil
}
