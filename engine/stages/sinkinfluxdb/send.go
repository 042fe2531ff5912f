package sinkinfluxdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

const (
	// Pauses after an attempt that failed; each is twice the one before, and
	// shortened by up to a half so that many engines do not come at one time.
	firstPause = 100 * time.Millisecond
	mostPause  = 15 * time.Second
	// longestWait is how long a server may ask to be left alone.
	longestWait = time.Hour
	// maxWords is how much of an answer is told and looked at, and maxDrain how much of it is read
	// so that the connection can be used again, bytes.
	maxWords = 500
	maxLook  = 64 << 10
	maxDrain = 64 << 10
	maxHead  = 64 << 10 // bytes of an answer's headers
)

// answer is what the server says of the rows of a request.
type answer struct {
	refused string // why it does not want some of them; "": it has taken all
	dropped int    // how many, if it says so; else -1
	tooMuch bool   // the request was too large
}

// send sends the next lines. An error is no fault of theirs, and they stay.
func (s *sink) send(ctx context.Context) error {
	if now := s.op.Env.Clock.Now(); now.Before(s.until) {
		return &stage.Later{Until: s.until, Err: fmt.Errorf("%w; it is left alone for another %s", s.why, s.until.Sub(now).Round(10*time.Millisecond))}
	}
	end := s.cut()
	from, to := s.start(s.done), s.start(end)
	if from == to { // rows without a line
		s.done = end
		return nil
	}
	a, err := s.post(ctx, s.lines.Text[from:to])
	if err != nil {
		s.failed(err)
		return &stage.Later{Until: s.until, Err: err}
	}
	s.until, s.pause, s.tries, s.why = time.Time{}, 0, 0, nil
	s.op.Count("requests", 1)
	n := s.countLines(end)
	switch {
	case a.refused == "":
		s.done, s.size = end, min(2*s.size, s.opts.rows)
	case n > 1 && (a.tooMuch || a.dropped != n):
		s.op.Count("halved", 1)
		s.size = max(1, (end-s.done)/2)
		return nil
	default: // each of them is refused
		for line := s.done; line < end; line++ {
			if s.start(line) != s.lines.Ends[line] {
				s.reject(line, a.refused)
			}
		}
		s.done = end
	}
	s.compact()
	return nil
}

// countLines counts the rows up to end that have a line.
func (s *sink) countLines(end int) (n int) {
	for line := s.done; line < end; line++ {
		if s.start(line) != s.lines.Ends[line] {
			n++
		}
	}
	return n
}

// failed sees that the server is left alone for a while.
func (s *sink) failed(err error) {
	now := s.op.Env.Clock.Now()
	s.why = err
	s.op.Count("retries", 1)
	if now.Before(s.until) { // it has named a time
		return
	}
	s.pause = min(max(firstPause, 2*s.pause), mostPause)
	s.tries++
	// What shortens the pause is a hash of who asks, when, and how often before: no
	// two engines have the same, and a simulation always has it again.
	var b []byte
	b = binary.LittleEndian.AppendUint64(b, uint64(now.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, s.tries)
	h := flow.Hash(append(b, s.op.Address...))
	s.until = now.Add(s.pause - time.Duration(h%uint64(s.pause/2)))
}

// post sends lines once.
func (s *sink) post(ctx context.Context, lines []byte) (answer, error) {
	body := lines
	if s.opts.gzip {
		body = s.compress(lines)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.base+s.opts.write, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", s.opts.shown, bare(err))
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if s.opts.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	res, err := s.server.DoHTTPRequestWithResponse(r, nil)
	if err != nil {
		return answer{}, fmt.Errorf("%s does not answer: %w", s.opts.shown, bare(err))
	}
	defer res.Body.Close()
	look, err := io.ReadAll(io.LimitReader(res.Body, maxLook))
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain)) // only so that the connection can be used again
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return answer{}, nil
	case err != nil:
		return answer{}, fmt.Errorf("%s broke off its answer %s", s.opts.shown, status(res))
	}
	return s.understand(res, message(look))
}

// understand says whether an answer that is no success is about the rows; see doc.go.
func (s *sink) understand(res *http.Response, words string) (answer, error) {
	said := fmt.Sprintf("%s answered %s: %s", s.opts.shown, status(res), shown(words))
	said = strings.TrimSuffix(said, ": ")
	switch {
	case res.StatusCode == http.StatusRequestEntityTooLarge:
		return answer{refused: said, dropped: -1, tooMuch: true}, nil
	case res.StatusCode == http.StatusUnprocessableEntity || res.StatusCode == http.StatusBadRequest && aboutRows(words):
		n := dropped(words)
		// How many fell with the row is the request's affair, and another number after a crash.
		said = strings.TrimSuffix(said, fmt.Sprintf(" dropped=%d", n))
		return answer{refused: said + explain(words), dropped: n}, nil
	}
	s.wait(res)
	if to, err := res.Location(); err == nil {
		return answer{}, fmt.Errorf("%s answered %s: it has moved to %s://%s; write that as url", s.opts.shown, status(res), to.Scheme, to.Host)
	}
	return answer{}, errors.New(said + advice(res.StatusCode))
}

// advice tells what to look at.
func advice(code int) string {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ". Look at token, or username and password"
	case http.StatusNotFound:
		return ". Does the bucket or database exist?"
	}
	return ""
}

// aboutRows tells whether a 400 is about lines or points, by the words of versions 1 to 3.
func aboutRows(words string) bool {
	for _, w := range []string{"partial write", "unable to parse", "failed to parse", "field type conflict", "points beyond retention policy", "invalid line protocol", "-series-per-database", "-values-per-tag"} {
		if strings.Contains(words, w) && !strings.Contains(words, "unable to parse authentication") {
			return true
		}
	}
	return false
}

// dropped is how many points a server says it has dropped; -1 when it does not.
func dropped(words string) int {
	_, n, ok := strings.Cut(words, " dropped=")
	if v, err := strconv.Atoi(strings.TrimSpace(n)); ok && err == nil && v > 0 {
		return v
	}
	return -1
}

// explain says what is behind a refusal, where its words do not.
func explain(words string) string {
	conflict := regexp.MustCompile(`input field "(.*)" on measurement "(.*)" is type (\w+), already exists as type (\w+)`)
	if m := conflict.FindStringSubmatch(words); m != nil {
		return fmt.Sprintf(". A field has one type; %s in %s was first written as %s, and this row has %s %s. Give the field another name in fields, or make it %s there",
			m[1], m[2], m[4], article(m[3]), m[3], m[4])
	}
	switch {
	case strings.Contains(words, "points beyond retention policy"):
		return ". The row is older than what the retention policy keeps"
	case strings.Contains(words, "max-values-per-tag"), strings.Contains(words, "max-series-per-database"):
		return ". A tag has too many values: what changes from row to row belongs into fields"
	}
	return ""
}

func article(word string) string {
	if slices.Contains([]string{"integer", "unsigned"}, word) {
		return "an"
	}
	return "a"
}

func status(res *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
}

// bare takes the URL off an error.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("no answer in time")
		}
		return u.Err
	}
	return err
}

// message takes the words out of an answer: version 1 has {"error": ...}, version 2 {"message": ...}.
func message(body []byte) string {
	var m struct{ Error, Message string }
	if json.Unmarshal(body, &m) == nil && m.Error+m.Message != "" {
		return strings.TrimSpace(m.Error + m.Message)
	}
	return string(body)
}

// shown are the beginning of words, on one line.
func shown(words string) string {
	text := strings.ToValidUTF8(words[:min(len(words), maxWords)], "\ufffd")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa1 }), " ")
	if len(words) > maxWords {
		text += "\u2026"
	}
	return text
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

func (s *sink) compress(lines []byte) []byte {
	out := bytes.NewBuffer(s.body[:0])
	if s.zip == nil {
		s.zip, _ = gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is one that there is
	} else {
		s.zip.Reset(out)
	}
	_, _ = s.zip.Write(lines) // a bytes.Buffer does not fail
	_ = s.zip.Close()
	s.body = out.Bytes()
	return s.body
}
