package enrich

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/stage"
)

// file is a table in a file.
type file struct {
	env   *env.Env
	path  string
	most  int64
	asked bool
}

func (f *file) wait() ([]byte, error) { return env.ReadWhole(f.env.FS, f.path, f.most) }
func (f *file) ask(int64)             { f.asked = true }
func (f *file) close() error          { return nil }

func (f *file) answer(int64) ([]byte, bool, error) {
	if !f.asked {
		return nil, false, nil
	}
	f.asked = false
	data, err := f.wait()
	return data, true, err
}

var errUnreachable = errors.New("the server cannot be reached")

func (p *program) silent() error { return fmt.Errorf("no answer in %s", p.timeout) }

// read takes the table out of an answer.
func (p *program) read(status int, body io.Reader) ([]byte, error) {
	if status != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))))
	}
	data, err := io.ReadAll(io.LimitReader(body, p.bytes+1))
	if err != nil {
		return nil, fmt.Errorf("the answer breaks off after %d bytes", len(data))
	}
	if int64(len(data)) > p.bytes {
		return nil, fmt.Errorf("the answer has more than max_bytes = %d bytes", p.bytes)
	}
	return data, nil
}

// pretended is a server whose answers a test gives. Its time is that of the ticks: no goroutine, no clock, the same in each run.
type pretended struct {
	*program
	says    func(address string, at int64) stage.Answer
	address string
	asked   bool
	due     int64 // the tick, us, from which on the answer is there
	said    stage.Answer
}

// wait takes an answer at once that would come within the timeout: while a stage is opened no time passes.
func (s *pretended) wait() ([]byte, error) { return s.judge(s.says(s.address, 0)) }

func (s *pretended) ask(tick int64) {
	if s.asked {
		return
	}
	s.asked, s.said = true, s.says(s.address, tick)
	after := min(s.said.After, s.timeout)
	if s.said.Hangs {
		after = s.timeout
	}
	s.due = tick + max(1, after.Microseconds()) // also a quick server's answer is there no sooner than at the next tick
}

func (s *pretended) answer(tick int64) ([]byte, bool, error) {
	if !s.asked || tick < s.due {
		return nil, false, nil
	}
	s.asked = false
	data, err := s.judge(s.said)
	return data, true, err
}

func (s *pretended) judge(said stage.Answer) ([]byte, error) {
	switch {
	case said.Hangs || said.After >= s.timeout:
		return nil, s.silent()
	case said.Status == 0:
		return nil, errUnreachable
	}
	return s.read(said.Status, bytes.NewReader(said.Body))
}

func (s *pretended) close() error { return nil }
