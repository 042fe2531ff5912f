package sinkinfluxdb

import (
	"context"
	"net/http"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	influx "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/klauspost/compress/gzip"

	"github.com/tidemill/tidemill/engine/lineproto"
	"github.com/tidemill/tidemill/engine/stage"
)

// sink holds lines until there are enough for a request, and the rows that they were made of
// until the server has taken them, so that a refused line is a rejected row.
//
//	held     | batch | batch      |
//	lines    | l l l | l l l l l  |
//	done  ---------^ lines before it need no more
type sink struct {
	op     stage.Opening
	opts   *options
	inputs []*input
	client *http.Client
	server influx.Service
	zip    *gzip.Writer
	body   []byte // compressed
	guard  guard

	lines  lineproto.Lines
	held   []batch
	done   int
	size   int       // rows a request, less than options.rows where the server refused some
	oldest time.Time // when the first line that waits was taken

	until time.Time     // the server is left alone
	pause time.Duration // the last one's length
	tries uint64
	why   error // the last attempt's
}

// batch is rows that are held; their lines begin at first.
type batch struct {
	rows  arrow.RecordBatch
	first int
}

func newSink(op stage.Opening, o *options, inputs []*input) *sink {
	s := &sink{op: op, opts: o, inputs: inputs, size: o.rows, guard: newGuard(o.series)}
	s.client = &http.Client{
		Timeout:       o.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: o.timeout,
			MaxResponseHeaderBytes: maxHead, ForceAttemptHTTP2: true, DisableCompression: true,
		},
	}
	s.server = influx.NewService(o.base, o.auth, influx.DefaultOptions().SetHTTPDoer(s.client).SetApplicationName("tidemill"))
	return s
}

// Write takes rows. What may fail comes before they are taken, so that they can come again.
func (s *sink) Write(ctx context.Context, in int, rows arrow.RecordBatch) error {
	for s.waiting() >= s.opts.rows || s.waitingBytes() >= s.opts.bytes {
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	return s.take(in, rows)
}

// take makes lines of rows.
func (s *sink) take(at int, rows arrow.RecordBatch) error {
	if s.waiting() == 0 {
		s.drop()
		s.oldest = s.op.Env.Clock.Now()
	}
	in, first := s.inputs[at], len(s.lines.Ends)
	problems, err := in.encode(&s.lines, rows, s.op.Alloc)
	if err != nil {
		s.op.Count("rejected", rows.NumRows())
		for i := range int(rows.NumRows()) {
			s.op.Reject(stage.Reject{Rows: rows, Row: i, Reason: err.Error()})
		}
		return nil
	}
	defer in.release()
	for _, p := range problems {
		if p.Field == "" {
			s.op.Count("rejected", 1)
		} else {
			s.op.Count("values_left_out", 1)
		}
		s.op.Reject(stage.Reject{Rows: rows, Row: p.Row, Field: p.Field, Reason: p.Reason})
	}
	rows.Retain()
	s.held = append(s.held, batch{rows, first})
	s.guard.look(s, in, first)
	return nil
}

func (s *sink) waiting() int { return len(s.lines.Ends) - s.done }

func (s *sink) waitingBytes() int { return len(s.lines.Text) - s.start(s.done) }

// start is where a line begins.
func (s *sink) start(line int) int {
	if line == 0 {
		return 0
	}
	return s.lines.Ends[line-1]
}

// drop lets go of lines and rows; all have been sent.
func (s *sink) drop() {
	for _, b := range s.held {
		b.rows.Release()
	}
	clear(s.held)
	s.held, s.done = s.held[:0], 0
	s.lines.Reset()
}

// compact lets go of the batches that are through, when they are many.
func (s *sink) compact() {
	n := 0
	for n+1 < len(s.held) && s.held[n+1].first <= s.done {
		s.held[n].rows.Release()
		n++
	}
	if n == 0 {
		return
	}
	lines := s.held[n].first
	bytes := s.start(lines)
	s.lines.Text = s.lines.Text[:copy(s.lines.Text, s.lines.Text[bytes:])]
	s.lines.Ends = s.lines.Ends[:copy(s.lines.Ends, s.lines.Ends[lines:])]
	s.lines.Heads = s.lines.Heads[:copy(s.lines.Heads, s.lines.Heads[lines:])]
	for i := range s.lines.Ends {
		s.lines.Ends[i] -= bytes
	}
	left := copy(s.held, s.held[n:])
	clear(s.held[left:])
	s.held, s.done = s.held[:left], s.done-lines
	for i := range s.held {
		s.held[i].first -= lines
	}
}

// reject gives up a line that stands in a request.
func (s *sink) reject(line int, reason string) {
	at := len(s.held) - 1
	for s.held[at].first > line {
		at--
	}
	s.op.Count("rejected", 1)
	s.op.Reject(stage.Reject{Rows: s.held[at].rows, Row: line - s.held[at].first, Reason: reason})
}

// cut returns the end of the next request; what has no line costs nothing.
func (s *sink) cut() int {
	end, from := s.done, s.start(s.done)
	for end < len(s.lines.Ends) && end-s.done < s.size && (end == s.done || s.lines.Ends[end]-from <= s.opts.bytes) {
		end++
	}
	return end
}

// Due puts Prepare off until rows have waited for batch_age; see stage.Gatherer.
func (s *sink) Due() time.Time {
	if s.waiting() == 0 {
		return time.Time{}
	}
	return s.oldest.Add(s.opts.age)
}

// Prepare sends what waits: the spool may then forget it.
func (s *sink) Prepare(ctx context.Context, _ uint64) ([]byte, error) {
	for s.waiting() > 0 {
		if err := s.send(ctx); err != nil {
			return nil, err
		}
	}
	return []byte{1}, nil
}

func (s *sink) Commit(context.Context, []byte) error  { return nil }
func (s *sink) Recover(context.Context, []byte) error { return nil }

func (s *sink) Close() error {
	s.drop()
	s.client.CloseIdleConnections()
	return nil
}

var (
	_ stage.Sink     = (*sink)(nil)
	_ stage.Gatherer = (*sink)(nil)
)
