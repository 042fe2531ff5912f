package ingesthttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// checkSplit compares with the standard library: what it reads as a sequence
// of values, or as an array, split must take apart in the same way, and nothing else.
func checkSplit(t *testing.T, body []byte, lines bool) {
	got, err := split(body, lines)
	if errors.Is(err, errMany) {
		return
	}
	var want []json.RawMessage
	bad := false
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case lines:
		for line := range bytes.SplitSeq(body, []byte{'\n'}) {
			if line = bytes.Trim(line, " \t\r"); len(line) > 0 {
				want = append(want, line)
				bad = bad || !json.Valid(line)
			}
		}
	case len(trimmed) > 0 && trimmed[0] == '[':
		bad = json.Unmarshal(body, &want) != nil
	default:
		in := json.NewDecoder(bytes.NewReader(body))
		for {
			var v json.RawMessage
			err := in.Decode(&v)
			if err == io.EOF {
				break
			}
			if bad = err != nil; bad {
				break
			}
			want = append(want, v)
		}
	}
	// Values without space between them, such as 1"a", are taken by the standard
	// decoder; here a number ends with space or a comma.
	if err != nil && !bad {
		if lines || len(trimmed) > 0 && trimmed[0] == '[' {
			t.Fatalf("%q is refused: %v", body, err)
		}
		return
	}
	if (err != nil) != bad {
		t.Fatalf("%q: %v, want an error: %v", body, err, bad)
	}
	if err != nil {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("%q: %q, want %q", body, got, want)
	}
	for i := range got {
		if !bytes.Equal(got[i], bytes.TrimSpace(want[i])) {
			t.Fatalf("%q: record %d is %q, want %q", body, i, got[i], want[i])
		}
	}
}
