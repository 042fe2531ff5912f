package influx

import (
	"net"
	"sync"
	"sync/atomic"
)

// Cut is where a Proxy cuts a connection.
type Cut int

// The stages of a request.
const (
	Through    Cut = iota // it is not cut
	Before                // before a byte of the request has gone on
	Within                // when a part of the request has gone on
	Answerless            // when all of it has, and the server has answered, of which nothing comes back
	HalfAnswer            // when a part of the answer has come back
)

// Proxy stands between a client and a server, and cuts connections as it is told.
type Proxy struct {
	listener net.Listener
	server   string
	plan     func(n int) Cut // of the n-th connection
	conns    atomic.Int64
	cuts     [5]atomic.Int64
	wg       sync.WaitGroup
}

// NewProxy listens at an address of its own. plan is called by many goroutines.
func NewProxy(server string, plan func(n int) Cut) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, server: server, plan: plan}
	p.wg.Go(p.accept)
	return p, nil
}

// URL is where the proxy is.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Cuts tells how many connections were cut there.
func (p *Proxy) Cuts(c Cut) int64 { return p.cuts[c].Load() }

// Close ends the proxy; connections end with their server's or client's side.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		cut := p.plan(int(p.conns.Add(1)) - 1)
		go p.serve(c, cut)
	}
}

// serve carries one connection. The first request passes unless the cut comes before it, so that
// a client gets on. A reset, not an end, is what it sees of a cut.
func (p *Proxy) serve(client net.Conn, cut Cut) {
	defer client.Close()
	if cut == Before {
		p.cuts[cut].Add(1)
		reset(client)
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var answers atomic.Int64 // that have come back
	go func() {
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if cut == Within && answers.Load() > 0 {
				p.cuts[cut].Add(1)
				_, _ = server.Write(buf[:n/2]) // what follows is lost with the connection
				reset(client)
				return
			}
			if _, failed := server.Write(buf[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if answers.Add(1) > 1 && (cut == Answerless || cut == HalfAnswer) {
			p.cuts[cut].Add(1)
			if cut == HalfAnswer {
				_, _ = client.Write(buf[:n/2])
			}
			reset(client)
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // close at once
	}
	_ = c.Close()
}
