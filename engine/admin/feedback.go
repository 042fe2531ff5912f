package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// feedbackPatience is how long an answer waits for a label to come to its key.
const feedbackPatience = 5 * time.Second

// feedback answers POST /v1/feedback {"stage": "anomaly.odd", "key": ["t1"], "label": "normal"}. When it
// answers 200, the label is durable in the journal; "waits": true where what came before it is not worked off yet. A key that the stage
// has had no row of is an error.
func (s *Server) feedback(w http.ResponseWriter, r *http.Request) {
	var f run.Feedback
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	in.DisallowUnknownFields()
	err := in.Decode(&f)
	code := http.StatusBadRequest
	if err == nil {
		ctx, stop := context.WithTimeout(r.Context(), feedbackPatience)
		defer stop()
		var came bool
		if came, err = s.Engine.FeedbackTo(ctx, f); err == nil {
			reply(w, http.StatusOK, map[string]any{"label": f.Label, "waits": !came})
			return
		}
		if !errors.Is(err, run.ErrFeedback) {
			code = http.StatusServiceUnavailable // the journal takes nothing now
		}
	}
	reply(w, code, map[string]string{"error": err.Error(),
		"right": `{"stage": "anomaly.NAME", "key": ["VALUE OF by"], "label": "normal" or "fault"}`})
}

// Feedback gives a label. waits says that it is in the journal, behind rows that are not worked off yet.
func (c *Client) Feedback(ctx context.Context, f run.Feedback) (waits bool, err error) {
	body, err := json.Marshal(f)
	if err != nil {
		return false, err
	}
	var said struct {
		Error string `json:"error"`
		Waits bool   `json:"waits"`
	}
	if err := c.call(ctx, http.MethodPost, "/v1/feedback", body, &said); err != nil {
		return false, err
	}
	if said.Error != "" {
		return false, errors.New(said.Error)
	}
	return said.Waits, nil
}
