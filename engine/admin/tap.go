package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// tapBeat is how often a tap that shows nothing says that it is there.
const tapBeat = 10 * time.Second

// tap streams the rows of an edge as server-sent events (the WHATWG HTML
// standard, section 9.2): an event a row, its data the row as JSON. What was too much
// for the reader is told by an event "missed" whose data is {"rows": N}.
func (s *Server) tap(w http.ResponseWriter, r *http.Request) {
	t, err := s.Engine.Tap(r.PathValue("edge"))
	if err != nil {
		reply(w, tapStatus(err), map[string]string{"error": err.Error(), "right": "an edge that GET /v1/taps lists"})
		return
	}
	defer t.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &stream{to: w, ctl: http.NewResponseController(w), now: s.Env.Clock.Now}
	if out.send([]byte(": here\n\n")) != nil {
		return
	}
	for {
		beat := make(chan struct{})
		stop := s.Env.Clock.After(tapBeat, func() { close(beat) })
		select {
		case <-r.Context().Done():
			err = r.Context().Err()
		case <-beat:
			err = out.send([]byte(": still here\n\n"))
		case x := <-t.Rows():
			err = out.send(out.rows(x.Rows, t.Missed()))
		}
		stop()
		if err != nil {
			return
		}
	}
}

// stream writes events. A reader that does not take them in time is cut.
type stream struct {
	to     http.ResponseWriter
	ctl    *http.ResponseController
	now    func() time.Time
	enc    *flow.JSONEncoder
	schema *arrow.Schema
	buf    []byte
}

// rows lays a batch out and releases it.
func (o *stream) rows(rows arrow.RecordBatch, missed int64) []byte {
	defer rows.Release()
	if s := rows.Schema(); o.schema == nil || !o.schema.Equal(s) {
		o.enc, o.schema = flow.NewJSONEncoder(s, false), s
	}
	b := o.buf[:0]
	for i := range int(rows.NumRows()) {
		b = append(o.enc.AppendRow(append(b, "data: "...), rows, i), "\n\n"...)
	}
	if missed > 0 {
		b = append(b, "event: missed\ndata: {\"rows\":"+strconv.FormatInt(missed, 10)+"}\n\n"...)
	}
	o.buf = b
	return b
}

func (o *stream) send(b []byte) error {
	if err := o.ctl.SetWriteDeadline(o.now().Add(answerTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.to.Write(b); err != nil {
		return err
	}
	return o.ctl.Flush()
}

// Tap shows the rows of an edge until show returns an error, which it passes on, or ctx
// ends. row is JSON without a line end; missed is how many rows before it were not shown; one
// of them is empty.
func (c *Client) Tap(ctx context.Context, edge string, show func(row []byte, missed int64) error) error {
	return c.tapFrom(ctx, edge, func() {}, show)
}

// tapFrom calls begin once rows can come.
func (c *Client) tapFrom(ctx context.Context, edge string, begin func(), show func(row []byte, missed int64) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/v1/taps/"+url.PathEscape(edge), nil)
	if err != nil {
		return err
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var refused struct {
			Error string `json:"error"`
		}
		if err := json.NewDecoder(res.Body).Decode(&refused); err != nil || refused.Error == "" {
			return fmt.Errorf("the running engine answered %s", res.Status)
		}
		return errors.New(refused.Error)
	}
	begin()
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, maxEvent)
	event := ""
	for in.Scan() {
		line := in.Text()
		switch name, value, _ := strings.Cut(line, ": "); {
		case line == "":
			event = ""
		case name == "event":
			event = value
		case name == "data" && event == "missed":
			var m struct {
				Rows int64 `json:"rows"`
			}
			if err := json.Unmarshal([]byte(value), &m); err != nil {
				return fmt.Errorf("the running engine said something that is not understood: %w", err)
			}
			err = show(nil, m.Rows)
		case name == "data":
			err = show([]byte(value), 0)
		}
		if err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the running engine stopped answering: %w", err)
	}
	return ctx.Err()
}

// maxEvent is how long a row may be, bytes.
const maxEvent = 128 << 20

// Pipelines asks what runs and how it is going.
func (c *Client) Pipelines(ctx context.Context) (Pipelines, error) {
	var p Pipelines
	return p, c.call(ctx, http.MethodGet, "/v1/pipelines", nil, &p)
}
