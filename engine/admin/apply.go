package admin

import (
	"context"
	"maps"
	"strings"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
)

// ApplyRequest asks an engine to run another configuration.
type ApplyRequest struct {
	Dir  string            `json:"dir"` // absolute, or as the engine sees it
	Vars map[string]string `json:"vars,omitempty"`
	// Preview only says what would change.
	Preview bool `json:"preview,omitempty"`
	// Digest is the ApplyReply.Digest that was agreed to; "" agrees to anything.
	Digest string `json:"digest,omitempty"`
	// Colour writes Text for a terminal.
	Colour bool `json:"colour,omitempty"`
}

// ApplyReply says what changes, or has changed.
type ApplyReply struct {
	Digest  string        `json:"digest,omitempty"` // of files and outcome; "" when there are errors
	Changes []plan.Change `json:"changes"`
	// Same says that the new configuration does what the running one does.
	Same     bool             `json:"same"`
	Applied  bool             `json:"applied"`
	Problems []config.Problem `json:"problems,omitempty"` // of the configuration
	Invalid  bool             `json:"invalid,omitempty"`  // there are errors among them
	Text     string           `json:"text,omitempty"`     // Problems, for a person
	// Error says why nothing was applied although the configuration is valid.
	Error string `json:"error,omitempty"`
}

// variables are those of the request and, where the files still have such a
// variable, those that the engine was started with.
func (s *Server) variables(q ApplyRequest) map[string]string {
	vars := map[string]string{}
	if c, _ := config.Load(s.Env, q.Dir, config.Options{Vars: q.Vars, Modules: s.Engine.Modules().Get, Signatures: s.Engine.Modules().Signatures}); c != nil {
		for _, v := range c.Variables {
			if value, ok := s.Vars[v.Name]; ok {
				vars[v.Name] = value
			}
		}
	}
	maps.Copy(vars, q.Vars)
	return vars
}

func (s *Server) apply(ctx context.Context, q ApplyRequest) ApplyReply {
	vars := s.variables(q)
	r := ApplyReply{Changes: []plan.Change{}}
	c, diags := config.Load(s.Env, q.Dir, config.Options{Vars: vars, Modules: s.Engine.Modules().Get, Signatures: s.Engine.Modules().Signatures})
	var p *plan.Plan
	if c != nil && !diags.HasErrors() {
		built, more := plan.Build(c, s.Specs, nil)
		p, diags = built, config.Sort(append(diags, more...))
	}
	if len(diags) > 0 {
		var text strings.Builder
		if c != nil {
			_ = config.Print(&text, diags, c.Files, q.Colour) // a Builder does not fail
		} else {
			_ = config.Print(&text, diags, nil, q.Colour)
		}
		r.Problems, r.Text = config.Problems(diags), text.String()
	}
	if p == nil {
		r.Invalid = true
		return r
	}
	r.Digest = c.Digest + p.Digest
	held := s.Engine.Held()
	r.Changes = p.Diff(held)
	r.Same = !plan.Differs(r.Changes)
	if why := plan.RefusedWhy(r.Changes); why != "" {
		r.Error = why
		return r
	}
	if q.Preview {
		return r
	}
	if q.Digest != "" && q.Digest != r.Digest {
		r.Error = "the files have changed since the change was shown; look at it again"
		return r
	}
	if err := s.Engine.Apply(ctx, p); err != nil {
		r.Error = err.Error()
		return r
	}
	s.Vars = vars
	r.Applied = true
	return r
}
