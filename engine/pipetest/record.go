package pipetest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/config"
)

// Recording is what a test is made of that holds what has happened.
type Recording struct {
	Name    string
	Channel string
	Vars    map[string]string
	Records []Recorded
	Edges   []string            // to expect rows of
	Columns map[string][]string // by edge
}

// Recorded is a record as it came.
type Recorded struct {
	Received int64 // us since 1970
	Topic    string
	Payload  []byte
}

// Text is the test, with expectations that hold no rows yet: run it, and Apply what came.
func (r *Recording) Text() string {
	start := time.Unix(0, 0)
	if len(r.Records) > 0 {
		start = time.UnixMicro(r.Records[0].Received).Truncate(time.Second)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "test %s {\n  start = %q\n", strconv.Quote(r.Name), start.UTC().Format(time.RFC3339))
	if len(r.Vars) > 0 {
		b.WriteString("  vars = {\n")
		for _, name := range slices.Sorted(maps.Keys(r.Vars)) {
			fmt.Fprintf(&b, "    %s = %s\n", name, template(strconv.Quote(r.Vars[name])))
		}
		b.WriteString("  }\n")
	}
	rows := [][]string{{"at", "topic", "payload"}}
	for _, rec := range r.Records {
		topic := "-"
		if rec.Topic != "" {
			topic = textCell(rec.Topic)
		}
		rows = append(rows, []string{config.FormatDuration(time.UnixMicro(rec.Received).Sub(start)), topic, payloadCell(rec.Payload)})
	}
	fmt.Fprintf(&b, "  rows {\n    to    = channel.%s\n    table = <<-EOT\n%s    EOT\n  }\n", r.Channel, template(aligned(rows, "      ")))
	for _, edge := range r.Edges {
		fmt.Fprintf(&b, "  expect {\n    from  = %s\n    table = <<-EOT\n      %s\n    EOT\n  }\n", edge, strings.Join(r.Columns[edge], "  "))
	}
	return b.String() + "}\n"
}

// template escapes what HCL would take for the beginning of an expression.
func template(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
}

// payloadCell writes a payload as one cell: as it is, as a JSON string, or, where it is no text, in hexadecimal digits.
func payloadCell(p []byte) string {
	if !utf8.Valid(p) {
		return hexed + hex.EncodeToString(p)
	}
	s := string(p)
	if cells, err := splitCells(s); err == nil && len(cells) == 1 && cells[0] == s && strings.HasPrefix(s, "{") && !strings.ContainsAny(s, "\r\n") {
		return s
	}
	out, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a text that is no JSON: " + err.Error())
	}
	return string(out)
}

// hexed begins a payload that is no text.
const hexed = "hex:"

// payloadOf reads what payloadCell wrote.
func payloadOf(cell string) ([]byte, error) {
	if digits, is := strings.CutPrefix(cell, hexed); is {
		p, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("hex: takes two hexadecimal digits a byte: %w", err)
		}
		return p, nil
	}
	if !strings.HasPrefix(cell, `"`) {
		return []byte(cell), nil
	}
	var s string
	if err := json.Unmarshal([]byte(cell), &s); err != nil {
		return nil, fmt.Errorf("payload takes a record as it comes, or a JSON string that holds it: %w", err)
	}
	return []byte(s), nil
}
