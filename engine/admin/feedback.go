package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tidemill/tidemill/engine/run"
)

// feedback answers POST /v1/feedback {"stage": "anomaly.odd", "key": ["t1"], "label": "normal"}. When it
// answers 200, the label is durable in the journal.
func (s *Server) feedback(w http.ResponseWriter, r *http.Request) {
	var f run.Feedback
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	in.DisallowUnknownFields()
	err := in.Decode(&f)
	code := http.StatusBadRequest
	if err == nil {
		if err = s.Engine.Feedback(f); err == nil {
			reply(w, http.StatusOK, map[string]string{"label": f.Label})
			return
		}
		if !errors.Is(err, run.ErrFeedback) {
			code = http.StatusServiceUnavailable // the journal takes nothing now
		}
	}
	reply(w, code, map[string]string{"error": err.Error(),
		"right": `{"stage": "anomaly.NAME", "key": ["VALUE OF by"], "label": "normal" or "fault"}`})
}

// Feedback gives a label.
func (c *Client) Feedback(ctx context.Context, f run.Feedback) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var said struct {
		Error string `json:"error"`
	}
	if err := c.call(ctx, http.MethodPost, "/v1/feedback", body, &said); err != nil {
		return err
	}
	if said.Error != "" {
		return errors.New(said.Error)
	}
	return nil
}
