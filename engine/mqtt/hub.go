package mqtt

import "sync"

// Hub is where those who publish find the servers of an engine, by name. Safe for
// concurrent use. A nil Hub has no servers.
type Hub struct {
	mu      sync.Mutex
	servers map[string]*Server
}

// NewHub makes a hub without servers.
func NewHub() *Hub { return &Hub{servers: map[string]*Server{}} }

// Join makes s the server of that name, in the place of another one, until leave
// is called.
func (h *Hub) Join(name string, s *Server) (leave func()) {
	if h == nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers[name] = s
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.servers[name] == s {
			delete(h.servers, name)
		}
	}
}

// Publish has the server of that name publish m; false when there is none. See
// Server.Publish.
func (h *Hub) Publish(name string, m *Message) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	s := h.servers[name]
	h.mu.Unlock()
	if s == nil {
		return false
	}
	s.Publish(m)
	return true
}
