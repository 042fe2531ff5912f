package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"runtime"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/query"
)

// Limits of statements that come by HTTP. They share the machine with the engine.
const (
	queriesAtOnce = 2
	queryMemory   = 256 << 20
	queryCache    = 1 << 30
	queryRows     = 10_000 // unless the request says otherwise
	queryMostRows = 1_000_000
	queryTime     = 30 * time.Second // unless the request says otherwise
	queryMostTime = 2 * time.Minute
	queryWidth    = 120
	queryHeight   = 15
)

// QueryRequest asks for the answer to a statement over the lake.
type QueryRequest struct {
	SQL     string `json:"sql"`
	Format  string `json:"format"`  // of query.Formats; "" is document
	Rows    int64  `json:"rows"`    // at most; 0: as many as there may be without asking
	Timeout string `json:"timeout"` // such as "10s"
}

// request is a QueryRequest within the limits.
func (q *QueryRequest) request() (*query.Request, error) {
	r := &query.Request{
		SQL: q.SQL, Format: q.Format, Rows: q.Rows, Memory: queryMemory, Threads: max(1, runtime.NumCPU()/2), Timeout: queryTime,
		Width: queryWidth, Height: queryHeight, CacheLimit: queryCache, Polite: true,
	}
	if r.Format == "" {
		r.Format = query.FormatDocument
	}
	if r.Rows == 0 {
		r.Rows = queryRows
	}
	if r.Rows > queryMostRows {
		return nil, &query.Problem{Message: fmt.Sprintf("rows is %d", r.Rows), Right: fmt.Sprintf("at most %d, or tidemill query, which has no limit", queryMostRows)}
	}
	if q.Timeout != "" {
		d, err := config.ParseDuration(q.Timeout)
		if err != nil || d <= 0 || d > queryMostTime {
			return nil, &query.Problem{Message: fmt.Sprintf("timeout is %.40q", q.Timeout), Right: fmt.Sprintf("a time up to %s, such as \"10s\"", queryMostTime)}
		}
		r.Timeout = d
	}
	return r, r.Check()
}

// query answers POST /v1/query.
//
// A web page of somebody else's cannot ask: browsers send this content type only after
// a question of their own, which is answered with 405.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, p error) { reply(w, code, p) }
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(http.StatusUnsupportedMediaType, &query.Problem{Message: "the request is not JSON by its Content-Type", Right: `Content-Type: application/json and {"sql": "SELECT ..."}`})
		return
	}
	if s.Query == nil {
		refuse(http.StatusNotImplemented, &query.Problem{Message: query.ErrUnavailable.Error(), Ours: true})
		return
	}
	var ask QueryRequest
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	in.DisallowUnknownFields()
	if err := in.Decode(&ask); err != nil {
		refuse(http.StatusBadRequest, &query.Problem{Message: "the request is not understood: " + err.Error(), Right: `{"sql": "SELECT ...", "format": "document", "rows": 1000, "timeout": "10s"}`})
		return
	}
	q, err := ask.request()
	if err != nil {
		refuse(http.StatusBadRequest, err)
		return
	}
	if n := s.queries.Add(1); n > queriesAtOnce {
		s.queries.Add(-1)
		w.Header().Set("Retry-After", "1")
		refuse(http.StatusServiceUnavailable, &query.Problem{Message: fmt.Sprintf("%d statements are being answered already", queriesAtOnce), Right: "ask again", Ours: true})
		return
	}
	defer s.queries.Add(-1)
	out := &answer{w: w, s: s, kind: contentType(q.Format)}
	sum, err := s.Query(r.Context(), q, out)
	switch p := (*query.Problem)(nil); {
	case err == nil:
		out.begin() // of an answer without a byte
		tail, _ := json.Marshal(sum)
		w.Header().Set(summaryTrailer, string(tail))
	case out.begun && q.Format == query.FormatDocument: // which says itself what has gone wrong
	case out.begun:
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	case errors.As(err, &p) && !p.Ours:
		refuse(http.StatusBadRequest, p)
	case p != nil:
		refuse(http.StatusInternalServerError, p)
	default:
		refuse(http.StatusInternalServerError, &query.Problem{Message: err.Error(), Ours: true})
	}
}

// summaryTrailer is an HTTP trailer with a query.Summary: also whether there were more rows than asked for.
const summaryTrailer = "Tidemill-Summary"

// answer is a response that begins with its first byte: until then it can be a refusal.
type answer struct {
	w     http.ResponseWriter
	s     *Server
	kind  string
	begun bool
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.w.Header().Set("Content-Type", a.kind)
		a.w.Header().Set("Trailer", summaryTrailer)
		a.w.WriteHeader(http.StatusOK)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	_ = http.NewResponseController(a.w).SetWriteDeadline(a.s.Env.Clock.Now().Add(answerTime)) // not every connection has one
	return a.w.Write(p)
}

func contentType(format string) string {
	switch format {
	case query.FormatCSV:
		return "text/csv; charset=utf-8"
	case query.FormatJSON:
		return "application/x-ndjson"
	case query.FormatDocument:
		return "application/json"
	case query.FormatParquet:
		return "application/vnd.apache.parquet"
	}
	return "text/plain; charset=utf-8"
}
