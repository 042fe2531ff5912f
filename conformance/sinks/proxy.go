package sinks

import (
	"net"
	"sync"
	"sync/atomic"
)

// cut is where a proxy cuts a connection, which with this server carries one request.
type cut int

const (
	through    cut = iota
	before         // before a byte of the request has gone on
	within         // when a part of the request has gone on
	answerless     // when the server has answered, of which nothing comes back
	halfAnswer     // when a part of the answer has come back
	cutKinds
)

// proxy stands between a client and a server, and cuts connections as it is told.
type proxy struct {
	listener net.Listener
	server   string
	plan     func(n int) cut // of the n-th connection
	conns    atomic.Int64
	cuts     [cutKinds]atomic.Int64
	wg       sync.WaitGroup
}

func newProxy(server string, plan func(n int) cut) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, server: server, plan: plan}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			how := plan(int(p.conns.Add(1)) - 1)
			go p.serve(c, how)
		}
	})
	return p, nil
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) close() {
	_ = p.listener.Close() // connections end with one of their sides
	p.wg.Wait()
}

// reset breaks a connection off: what its side sees is no orderly end.
func (p *proxy) reset(c net.Conn, how cut) {
	p.cuts[how].Add(1)
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func (p *proxy) serve(client net.Conn, how cut) {
	defer client.Close()
	if how == before {
		p.reset(client, how)
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if how == within && n > 0 {
				_, _ = server.Write(buf[:n-n/3]) // what follows is lost with the connection
				p.reset(client, how)
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
		if n > 0 && (how == answerless || how == halfAnswer) {
			if how == halfAnswer {
				_, _ = client.Write(buf[:n/2])
			}
			p.reset(client, how)
			return
		}
		if _, failed := client.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}
