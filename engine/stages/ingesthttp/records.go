package ingesthttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxRecords is how many records one request may have.
const maxRecords = 50_000

// errMany refuses a request with more records than that.
var errMany = errors.New("more records than a request may have")

// split takes a body apart: an array gives its elements unless lines is set,
// everything else the values that stand one after the other. Every record is
// checked to be JSON and points into body. The error says which record is wrong and where.
func split(body []byte, lines bool) ([][]byte, error) {
	s := &splitter{body: body}
	s.space()
	if !lines && s.at < len(body) && body[s.at] == '[' {
		return s.array()
	}
	for s.at < len(body) {
		if err := s.value(lines); err != nil {
			return nil, err
		}
		s.space()
	}
	return s.records, nil
}

type splitter struct {
	body    []byte
	at      int
	records [][]byte
}

func (s *splitter) space() {
	for s.at < len(s.body) && (s.body[s.at] == ' ' || s.body[s.at] == '\t' || s.body[s.at] == '\n' || s.body[s.at] == '\r') {
		s.at++
	}
}

// value takes the value that begins here.
func (s *splitter) value(line bool) error {
	end := s.at + extent(s.body[s.at:])
	if line {
		end = len(s.body)
		if n := bytes.IndexByte(s.body[s.at:], '\n'); n >= 0 {
			end = s.at + n
		}
	}
	v := bytes.TrimRight(s.body[s.at:end], " \t\r\n")
	if !json.Valid(v) {
		return s.wrong(v)
	}
	if len(s.records) == maxRecords {
		return errMany
	}
	s.records = append(s.records, v[:len(v):len(v)])
	s.at = end
	return nil
}

// wrong says what is wrong with a value that is no JSON.
func (s *splitter) wrong(v []byte) error {
	line := 1 + bytes.Count(s.body[:s.at], []byte{'\n'})
	at, what := s.at, "it is not JSON"
	var raw json.RawMessage
	if bad := (*json.SyntaxError)(nil); errors.As(json.Unmarshal(v, &raw), &bad) {
		at, what = s.at+max(0, int(bad.Offset)-1), bad.Error()
	}
	return fmt.Errorf("record %d, which begins on line %d, is not JSON: %s (byte %d of the body)", len(s.records)+1, line, what, at)
}

// array takes the elements of the array that begins here.
func (s *splitter) array() ([][]byte, error) {
	open := s.at
	s.at++
	for s.space(); ; s.space() {
		if s.at < len(s.body) && s.body[s.at] == ']' && len(s.records) == 0 {
			break
		}
		if s.at == len(s.body) {
			return nil, fmt.Errorf("the array that begins at byte %d is not closed; it has %d whole elements", open, len(s.records))
		}
		if err := s.value(false); err != nil {
			return nil, err
		}
		s.space()
		if s.at == len(s.body) {
			continue
		}
		if s.body[s.at] == ']' {
			break
		}
		if s.body[s.at] != ',' {
			return nil, fmt.Errorf("a comma or ] is missing after record %d (byte %d of the body)", len(s.records), s.at)
		}
		s.at++
	}
	s.at++
	if s.space(); s.at < len(s.body) {
		return nil, fmt.Errorf("something follows the array (byte %d of the body); write one array, or its elements one a line", s.at)
	}
	return s.records, nil
}

// extent is how long the value at the start of b is, should it be JSON.
func extent(b []byte) int {
	depth, inText := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
			if !inText && depth == 0 {
				return i + 1
			}
		case inText:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth <= 1 {
				return i + min(depth, 1) // a ] of nobody's ends what stands before it
			}
			depth--
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return i
		}
	}
	return len(b)
}
