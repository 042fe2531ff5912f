package sinkhttp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

const (
	// longestWait is how long a server may ask to be left alone.
	longestWait = time.Hour
	// shortPause is the pause after an error where some rows were taken.
	shortPause = 50 * time.Millisecond
	// maxWords is how much of a refusal is told, and maxDrain how much of an answer is read
	// so that the connection can be used again, bytes.
	maxWords = 300
	maxDrain = 64 << 10
	maxHead  = 64 << 10 // bytes of an answer's headers
)

// sink sends the rows of one Write in requests, one after the other. When one
// fails the engine writes the same rows again, and what was taken is left out.
type sink struct {
	op     stage.Opening
	opts   *options
	client *http.Client
	until  time.Time // the server wants to be left alone

	// A request that failed comes again as it was: done and size decide where
	// it begins and ends, and neither changes with an error.
	place  uint64
	done   int // rows of this Write that need no more
	size   int // rows a request, less than options.rows where the server refused some
	buffer []byte
}

func newSink(op stage.Opening, o *options) *sink {
	s := &sink{op: op, opts: o, size: o.rows}
	s.client = &http.Client{
		Timeout:       o.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: o.timeout,
			MaxResponseHeaderBytes: maxHead, ForceAttemptHTTP2: true,
		},
	}
	return s
}

// Place tells where the rows of the next Write stand; see stage.Placed.
func (s *sink) Place(place uint64) {
	if s.place != place {
		s.place, s.done, s.size = place, 0, s.opts.rows
	}
}

func (s *sink) Write(ctx context.Context, in int, rows arrow.RecordBatch) error {
	if now := s.op.Env.Clock.Now(); now.Before(s.until) {
		return &stage.Later{Until: s.until, Err: fmt.Errorf("%s asked to be left alone for another %s", s.opts.shown, s.until.Sub(now).Round(time.Second))}
	}
	began := s.done
	texts := s.opts.bodies.Rows(in, rows, s.op.Alloc)
	for s.done < len(texts) {
		if texts[s.done] == nil {
			s.reject(rows, "the body is null for this row")
			continue
		}
		end := s.cut(texts)
		refused, err := s.send(ctx, in, rows, texts[s.done:end])
		switch {
		case err != nil:
			return s.later(s.done > began, err)
		case refused == "":
			s.op.Count("requests", 1)
			s.done, s.size = end, min(2*s.size, s.opts.rows)
		case end-s.done > 1:
			s.size = (end - s.done) / 2
		default:
			s.reject(rows, refused)
		}
	}
	s.done, s.size = 0, s.opts.rows
	return nil
}

// later says when another try makes sense, if that is not with growing pauses: when the server says so, or soon where it has taken some
// rows of this Write. Pauses grow while a server takes nothing; one that refuses every other request would else get a row
// every few seconds, however many wait.
func (s *sink) later(moved bool, err error) error {
	switch now := s.op.Env.Clock.Now(); {
	case now.Before(s.until):
		return &stage.Later{Until: s.until, Err: err}
	case moved:
		return &stage.Later{Until: now.Add(shortPause), Err: err}
	}
	return err
}

// reject gives up the next row.
func (s *sink) reject(rows arrow.RecordBatch, reason string) {
	s.op.Count("rejected", 1)
	s.op.Reject(stage.Reject{Rows: rows, Row: s.done, Reason: reason})
	s.done++
}

// cut returns the end of the next request.
func (s *sink) cut(texts [][]byte) int {
	end, size := s.done, 0
	for end < len(texts) && end-s.done < s.size && texts[end] != nil {
		if size += len(texts[end]) + 1; size > s.opts.bytes && end > s.done {
			break
		}
		end++
	}
	return end
}

// payload lays rows out as one body.
func (s *sink) payload(texts [][]byte) []byte {
	b := s.buffer[:0]
	array := s.opts.rows > 1 && !s.opts.lines && s.opts.bodies.JSON()
	if array {
		b = append(b, '[')
	}
	for i, text := range texts {
		if i > 0 {
			b = append(b, ",\n"[btoi(!array)])
		}
		b = append(b, text...)
	}
	if array {
		b = append(b, ']')
	}
	if s.opts.lines {
		b = append(b, '\n')
	}
	s.buffer = b
	return b
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// key is the Idempotency-Key; see doc.go.
func (s *sink) key(in int, rows arrow.RecordBatch, count int, body []byte) string {
	h := sha256.New()
	var n []byte
	for _, x := range []uint64{uint64(len(s.opts.address)), s.place, uint64(in), uint64(s.done), uint64(count), uint64(flow.Received(rows)[s.done])} {
		n = binary.BigEndian.AppendUint64(n, x)
	}
	h.Write(n)
	h.Write([]byte(s.opts.address))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (s *sink) request(ctx context.Context, in int, rows arrow.RecordBatch, texts [][]byte) (*http.Request, error) {
	body := s.payload(texts)
	r, err := http.NewRequestWithContext(ctx, s.opts.method, s.opts.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	kind := "application/json"
	switch {
	case !s.opts.bodies.JSON():
		kind = "text/plain; charset=utf-8"
	case s.opts.lines:
		kind = "application/x-ndjson"
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("User-Agent", "tidemill")
	for name, values := range s.opts.headers {
		r.Header[name] = values
	}
	r.Header.Set("Idempotency-Key", s.key(in, rows, len(texts), body))
	if len(s.opts.secret) > 0 {
		mac := hmac.New(sha256.New, s.opts.secret)
		mac.Write(body)
		r.Header.Set(s.opts.signature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	return r, nil
}

// send sends rows once. refused says why the server does not want them; an
// error is no fault of theirs.
func (s *sink) send(ctx context.Context, in int, rows arrow.RecordBatch, texts [][]byte) (refused string, err error) {
	r, err := s.request(ctx, in, rows, texts)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.opts.shown, bare(err))
	}
	res, err := s.client.Do(r)
	if err != nil {
		return "", fmt.Errorf("%s does not answer: %w", s.opts.shown, bare(err))
	}
	defer res.Body.Close()
	words := words(res.Body)
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain)) // only so that the connection can be used again
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return "", nil
	case forGood(res.StatusCode):
		return fmt.Sprintf("%s answered %s%s", s.opts.shown, status(res), words), nil
	}
	s.wait(res)
	if to, err := res.Location(); err == nil {
		return "", fmt.Errorf("%s answered %s: it has moved to %s://%s%s; write that as url", s.opts.shown, status(res), to.Scheme, to.Host, to.EscapedPath())
	}
	return "", fmt.Errorf("%s answered %s%s", s.opts.shown, status(res), words)
}

func status(res *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
}

// bare takes the URL, which may hold a secret, off an error.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("no answer in time")
		}
		return u.Err
	}
	return err
}

// forGood tells whether a status is about the rows; see doc.go.
func forGood(code int) bool {
	if code < 400 || code > 499 {
		return false
	}
	switch code {
	case 401, 403, 404, 405, 407, 408, 421, 423, 424, 425, 426, 428, 429:
		return false
	}
	return true
}

// words are the beginning of what a server says, on one line.
func words(from io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(from, maxWords+1)) // what came is told
	text := strings.ToValidUTF8(string(b[:min(len(b), maxWords)]), "\ufffd")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa1 }), " ")
	if len(b) > maxWords {
		text += "\u2026"
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

// wait notes how long the server wants to be left alone: seconds, or a date (RFC 9110, section 10.2.3).
func (s *sink) wait(res *http.Response) {
	text, now := res.Header.Get("Retry-After"), s.op.Env.Clock.Now()
	if text == "" {
		return
	}
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	if d > 0 {
		s.until = now.Add(min(d, longestWait))
	}
}

// Prepare has nothing to make durable: the spool before the sink is.
func (s *sink) Prepare(context.Context, uint64) ([]byte, error) { return []byte{1}, nil }
func (s *sink) Commit(context.Context, []byte) error            { return nil }
func (s *sink) Recover(context.Context, []byte) error           { return nil }

func (s *sink) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

var (
	_ stage.Sink   = (*sink)(nil)
	_ stage.Placed = (*sink)(nil)
)
