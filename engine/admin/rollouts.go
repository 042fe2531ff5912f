package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/run"
)

// maxDevices limits a change of the registry, bytes.
const maxDevices = 256 << 20

// Rollouts is what runs where, and what was decided.
type Rollouts struct {
	Rollouts []run.RolloutView  `json:"rollouts"`
	History  []run.RolloutEvent `json:"history,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// Registry is the registry of devices, or what of it is to change.
type Registry struct {
	Devices []device.Device `json:"devices"`
	Error   string          `json:"error,omitempty"`
}

// lookRollouts registers what shows rollouts and devices.
func (s *Server) lookRollouts(mux *http.ServeMux) {
	show := func(path string, f func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(s.Env.Clock.Now().Add(answerTime)) // not every connection has one
			reply(w, http.StatusOK, f())
		})
	}
	show("/v1/rollouts", func() any { return Rollouts{Rollouts: s.Engine.Rollouts(false)} })
	show("/v1/rollouts/diff", func() any { return Rollouts{Rollouts: s.Engine.Rollouts(true)} })
	show("/v1/rollouts/history", func() any {
		return Rollouts{Rollouts: s.Engine.Rollouts(false), History: s.Engine.RolloutHistory()}
	})
	show("/v1/registry", func() any { return Registry{Devices: s.Engine.RegisteredDevices()} })
}

// changeRollouts registers what changes them.
func (s *Server) changeRollouts(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/rollouts", func(w http.ResponseWriter, r *http.Request) {
		var c run.RolloutCommand
		if problem := decode(w, r, maxRequest, &c); problem != "" {
			reply(w, http.StatusBadRequest, Rollouts{Error: problem})
			return
		}
		out := Rollouts{}
		if err := s.Engine.Rollout(c); err != nil {
			out.Error = err.Error()
		}
		out.Rollouts = s.Engine.Rollouts(false)
		reply(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST /v1/registry", func(w http.ResponseWriter, r *http.Request) {
		var q Registry
		problem := decode(w, r, maxDevices, &q)
		if problem == "" {
			if err := s.Engine.SetDevices(q.Devices); err != nil {
				problem = err.Error()
			}
		}
		reply(w, http.StatusOK, Registry{Devices: []device.Device{}, Error: problem})
	})
}

// decode reads a request; it returns what is wrong with it.
func decode(w http.ResponseWriter, r *http.Request, most int64, into any) (problem string) {
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return "the request is not understood: " + err.Error()
	}
	return ""
}

// Rollout sends a command. A refusal is in the answer.
func (c *Client) Rollout(ctx context.Context, command run.RolloutCommand) (Rollouts, error) {
	var r Rollouts
	body, err := json.Marshal(command)
	if err != nil {
		return r, err
	}
	return r, c.call(ctx, http.MethodPost, "/v1/rollouts", body, &r)
}

// Rollouts asks what runs where: of is "", "history" or "diff".
func (c *Client) Rollouts(ctx context.Context, of string) (Rollouts, error) {
	var r Rollouts
	path := "/v1/rollouts"
	if of != "" {
		path += "/" + of
	}
	return r, c.call(ctx, http.MethodGet, path, nil, &r)
}

// Registry asks for all devices.
func (c *Client) Registry(ctx context.Context) (Registry, error) {
	var r Registry
	return r, c.call(ctx, http.MethodGet, "/v1/registry", nil, &r)
}

// SetDevices changes devices. A refusal is in the answer.
func (c *Client) SetDevices(ctx context.Context, devices []device.Device) (Registry, error) {
	var r Registry
	body, err := json.Marshal(Registry{Devices: devices})
	if err != nil {
		return r, err
	}
	return r, c.call(ctx, http.MethodPost, "/v1/registry", body, &r)
}
