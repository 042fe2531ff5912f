package ingesthttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tidemill/tidemill/engine/journal"
)

// answer is how a request ends.
type answer struct {
	code  int
	found string // what was found
	right string // what would be right
	count int    // accepted, with 200
}

// body is the JSON of an answer that is not 200.
type problem struct {
	Error string `json:"error"`
	Right string `json:"right"`
}

// retryAfter is how many seconds a client is asked to wait.
const retryAfter = "1"

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.answer(w, r)
	s.op.Count("requests", 1)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	var text []byte
	if a.code == http.StatusOK {
		text = fmt.Appendf(nil, `{"accepted":%d}`+"\n", a.count)
	} else {
		s.op.Count("refused_"+strconv.Itoa(a.code), 1)
		s.drain(w, r)
		text, _ = json.Marshal(problem{a.found, a.right}) // two strings
		text = append(text, '\n')
	}
	switch a.code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer, Basic realm="tidemill", charset="UTF-8"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusUnsupportedMediaType:
		h.Set("Accept", "application/json, application/x-ndjson")
		h.Set("Accept-Encoding", "gzip")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(text) // the client may have gone
}

const (
	// mostDrained is how much of a refused request's body is read and thrown away, bytes.
	mostDrained = 16 << 20
	// drainFor is for how long.
	drainFor = 5 * time.Second
)

// drain reads what is left of the body of a request that is refused: many clients read no answer before they have sent it all, and
// would find the connection closed in place of the reason. One that has asked with Expect waits for the answer.
func (s *source) drain(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return
	}
	if err := http.NewResponseController(w).SetReadDeadline(s.op.Env.Clock.Now().Add(min(drainFor, s.opts.timeout))); err != nil {
		return // as before: the connection is closed behind the answer
	}
	_, _ = io.CopyN(io.Discard, r.Body, mostDrained) // whatever ends it, the answer goes out
}

// answer does what a request asks for.
func (s *source) answer(w http.ResponseWriter, r *http.Request) answer {
	sender, refused := s.admit(r)
	if refused != nil {
		return *refused
	}
	lines, refused := format(r, s.opts.whole)
	if refused != nil {
		return *refused
	}
	key := r.Header.Get("Idempotency-Key")
	if values := r.Header.Values("Idempotency-Key"); len(values) > 1 || len(values) == 1 && !goodKey(key) {
		return answer{code: 400, found: "the Idempotency-Key is empty, too long, there twice, or has characters that no key has",
			right: fmt.Sprintf("one key of 1 to %d visible ASCII characters", maxKey)}
	}
	body, taken, refused := s.read(w, r)
	defer func() { s.body.give(taken) }()
	if refused != nil {
		return *refused
	}
	var payloads [][]byte
	var err error
	if s.opts.whole && len(body) > 0 {
		payloads = [][]byte{body}
	} else {
		payloads, err = split(body, lines)
	}
	switch {
	case errors.Is(err, errMany):
		return answer{code: 413, found: fmt.Sprintf("the body holds more than %d records", maxRecords), right: "fewer records a request"}
	case err != nil:
		return answer{code: 400, found: err.Error(), right: "a JSON value, JSON values one a line, or an array of them; nothing of this request was taken"}
	case len(payloads) == 0 && len(body) == 0:
		return answer{code: 400, found: "the body is empty", right: "a JSON value, JSON values one a line, or an array of them"}
	case len(payloads) == 0:
		return answer{code: 200}
	case key == "":
		return s.take(r.Context(), sender, payloads)
	}
	return s.takeKeyed(r.Context(), sender, key, sumOf(body), payloads)
}

// admit checks that the request may come in, and from whom.
func (s *source) admit(r *http.Request) (sender string, refused *answer) {
	switch {
	case r.URL.Path != s.opts.path:
		return "", &answer{code: 404, found: fmt.Sprintf("there is nothing at %.100q", r.URL.Path), right: "POST " + s.opts.path}
	case r.Method != http.MethodPost:
		return "", &answer{code: 405, found: fmt.Sprintf("the method is %.20s", r.Method), right: "POST"}
	case s.opts.local && !fromHere(r):
		return "", &answer{code: 403, found: fmt.Sprintf("the request is for the host %.100q", r.Host), right: "localhost or 127.0.0.1: senders are not known here, so that only this machine may send"}
	case http.NewCrossOriginProtection().Check(r) != nil:
		return "", &answer{code: 403, found: "the request comes from a web page of another origin", right: "a client that is no browser"}
	}
	sender, ok := s.opts.sender(r)
	if !ok {
		return "", &answer{code: 401, found: "no token, password or certificate that is known came with the request",
			right: "Authorization: Bearer TOKEN, Authorization: Basic, or a client certificate, as the ingest is configured"}
	}
	return sender, nil
}

// format reads the headers that say what the body is. whole says that it is one record, of whatever kind.
func format(r *http.Request, whole bool) (lines bool, refused *answer) {
	const right = "Content-Type: application/json or application/x-ndjson"
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case whole:
	case err == nil && (kind == "application/x-ndjson" || kind == "application/ndjson" || kind == "application/jsonl" || kind == "application/x-jsonlines"):
		lines = true
	case err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")):
	case r.Header.Get("Content-Type") == "":
		return false, &answer{code: 415, found: "the request has no Content-Type", right: right}
	default:
		return false, &answer{code: 415, found: fmt.Sprintf("the Content-Type is %.100q", r.Header.Get("Content-Type")), right: right}
	}
	switch packed := strings.ToLower(r.Header.Get("Content-Encoding")); packed {
	case "", "identity", "gzip", "x-gzip":
		return lines, nil
	default:
		return false, &answer{code: 415, found: fmt.Sprintf("the Content-Encoding is %.100q", packed), right: "gzip, or none"}
	}
}

func goodKey(key string) bool {
	if len(key) < 1 || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// readStep is how much of a body is read at once, bytes; nothing is allocated
// for what a client only claims to send.
const readStep = 32 << 10

// read reads and unpacks a body. taken is what it holds of the budget.
func (s *source) read(w http.ResponseWriter, r *http.Request) (body []byte, taken int64, refused *answer) {
	limit := s.opts.maxBody
	tooLarge := &answer{code: 413, found: fmt.Sprintf("the body has more than %d bytes, unpacked", limit), right: "smaller requests, or a larger max_body"}
	if r.ContentLength > limit {
		return nil, 0, tooLarge
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, limit)
	if e := strings.ToLower(r.Header.Get("Content-Encoding")); strings.HasSuffix(e, "gzip") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, 0, unread(err)
		}
		defer z.Close()
		in = z
	}
	for {
		if cap(body)-len(body) < readStep {
			grown := max(2*int64(cap(body)), 2*readStep)
			if !s.body.take(grown) {
				return nil, taken, &answer{code: 429, found: "too many requests are being read", right: "the same request a little later"}
			}
			body = append(make([]byte, 0, grown), body...)
			s.body.give(taken)
			taken = grown
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, taken, tooLarge
		case err == io.EOF:
			return body, taken, nil
		case err != nil:
			return nil, taken, unread(err)
		}
	}
}

// unread tells why a body could not be read.
func unread(err error) *answer {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &answer{code: 413, found: fmt.Sprintf("the body has more than %d bytes", large.Limit), right: "smaller requests, or a larger max_body"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), isTimeout(err):
		return &answer{code: 408, found: "the body did not come in time", right: "the same request, without pauses"}
	}
	return &answer{code: 400, found: "the body cannot be read: " + err.Error(), right: "a whole body, and one that is gzip where Content-Encoding says so"}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// takeKeyed appends what was not appended under this key before.
func (s *source) takeKeyed(ctx context.Context, sender, key string, sum uint64, payloads [][]byte) answer {
	ctx, cancel := context.WithTimeout(ctx, s.opts.wait)
	defer cancel()
	select {
	case <-s.ready:
	case <-ctx.Done():
		return answer{code: 503, found: "the engine has just started and is still looking for earlier Idempotency-Keys", right: "the same request a little later"}
	}
	q, mine := s.keys.claim(idOf(sender, key), sum, len(payloads), s.op.Env.Clock.Now().UnixMicro())
	if q.sum != sum || q.count != len(payloads) {
		return answer{code: 422, found: "this Idempotency-Key has been used for another body", right: "a new key for every new request"}
	}
	if mine {
		err := s.send(ctx, sender, topicOf(s.opts.address, key, len(payloads), sum), payloads, q.have, func(err error) { s.keys.settle(q, err) })
		if err != nil {
			s.keys.settle(q, err)
		}
		return s.outcome(ctx, q, err)
	}
	a := s.outcome(ctx, q, nil)
	if a.code == http.StatusOK {
		s.op.Count("repeated", 1)
	}
	return a
}

// outcome waits for the fate of a request with a key.
func (s *source) outcome(ctx context.Context, q *keyed, err error) answer {
	if err != nil {
		return refusal(err)
	}
	select {
	case <-s.keys.doneOf(q):
	case <-ctx.Done():
		return unknown()
	case <-s.closing:
		if whole, _ := s.keys.fate(q); !whole {
			return unknown()
		}
	}
	if whole, err := s.keys.fate(q); !whole {
		return refusal(err)
	}
	return answer{code: 200, count: q.count}
}

// unknown is the answer when nobody knows whether records will be durable.
func unknown() answer {
	return answer{code: 503, found: "the records are not on disk yet, and may come to be", right: "the same request a little later, with an Idempotency-Key so that it counts once"}
}

// take appends the records of a request without a key.
func (s *source) take(ctx context.Context, sender string, payloads [][]byte) answer {
	ctx, cancel := context.WithTimeout(ctx, s.opts.wait)
	defer cancel()
	fate := make(chan error, 1)
	if err := s.send(ctx, sender, "", payloads, nil, func(err error) { fate <- err }); err != nil {
		return refusal(err)
	}
	select {
	case err := <-fate:
		return settled(err, len(payloads))
	case <-ctx.Done():
	case <-s.closing:
	}
	select {
	case err := <-fate:
		return settled(err, len(payloads))
	default:
		return unknown()
	}
}

func settled(err error, count int) answer {
	if err != nil {
		return refusal(err)
	}
	return answer{code: 200, count: count}
}

// refusal is the answer to an append that the journal refused.
func refusal(err error) answer {
	var full *journal.ErrFull
	switch {
	case errors.As(err, &full):
		return answer{code: 507, found: full.Reason, right: "the same request when there is room again"}
	case errors.Is(err, journal.ErrBusy):
		return answer{code: 429, found: "more is coming in than the disk takes", right: "the same request a little later"}
	case errors.Is(err, errStopping):
		return answer{code: 503, found: "the engine is stopping", right: "the same request when it runs again"}
	}
	return answer{code: 503, found: "the records could not be kept", right: "the same request a little later"}
}

// busyPause is how long a request waits before it asks a busy journal again.
const busyPause = 5 * time.Millisecond

// send appends records, all but those that the journal has of them. It waits while the
// journal is busy, as long as ctx. done is called once unless there is an error.
func (s *source) send(ctx context.Context, sender, topic string, payloads [][]byte, have []int, done func(error)) error {
	records, err := s.records(ctx, sender, topic, payloads, have)
	if err != nil {
		return err
	}
	for {
		err := s.append(journal.Batch{Records: records, Done: done})
		if err == nil {
			s.op.Count("records", int64(len(records)))
		}
		if !errors.Is(err, journal.ErrBusy) {
			return err
		}
		again := make(chan struct{})
		stop := s.op.Env.Clock.After(busyPause, func() { close(again) })
		select {
		case <-again:
		case <-ctx.Done():
			stop()
			return err
		case <-s.closing:
			stop()
			return errStopping
		}
	}
}

// records makes the journal's records. have says how many of each partition's to leave out.
func (s *source) records(ctx context.Context, sender, topic string, payloads [][]byte, have []int) ([]journal.Record, error) {
	var partition func([]byte) int
	select {
	case partition = <-s.parts:
	case <-ctx.Done():
		return nil, journal.ErrBusy
	}
	defer func() { s.parts <- partition }()
	seen := make([]int, len(have))
	now := s.op.Env.Clock.Now().UnixMicro()
	records := make([]journal.Record, 0, len(payloads))
	for _, p := range payloads {
		to := partition(p)
		if have != nil {
			if seen[to]++; seen[to] <= have[to] {
				continue
			}
		}
		records = append(records, journal.Record{Partition: to, Payload: p, Topic: topic, Principal: sender, Received: now})
	}
	return records, nil
}
