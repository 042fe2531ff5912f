package decode

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestJSONCases checks testdata/json_cases.txt: what is JSON and what is not,
// and the answer to what RFC 8259 leaves open. A line is
//
//	name  "record, quoted as in Go"  answer  reason
//
// separated by tabs. Names begin with y_ (a row without rejects), n_ (the
// record is rejected) or i_ (open: reason says why the answer is this one).
// The answer is the row's values, then the rejects, separated by " | ".
func TestJSONCases(t *testing.T) {
	data, err := os.ReadFile("testdata/json_cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		count++
		cell := strings.Split(line, "\t")
		name := cell[0]
		t.Run(name, func(t *testing.T) {
			if len(cell) != 4 || (name[0] == 'i') != (cell[3] != "") {
				t.Fatal("the line should have four cells, and a reason only if the answer is open")
			}
			record, err := strconv.Unquote(cell[1])
			if err != nil {
				t.Fatal(err)
			}
			// Around the case stand records that leave a plan and take it.
			got := everyWay(t, Config{Learn: true}, `{"a":1}`, record, `{"a":1}`, record)
			alone := decodeAll(t, Config{Learn: true}, blockOf(0, record))
			if got := alone.answer(); got != cell[2] {
				t.Errorf("%s\ngot  %s\nwant %s", cell[1], got, cell[2])
			}
			whole := strings.Contains(alone.rejects, "whole: ")
			if name[0] == 'y' && alone.rejects != "" || name[0] == 'n' && !whole ||
				whole != strings.Contains(got.rejects, "whole: ") {
				t.Errorf("%s: the rejects are %s, and after other records %s", cell[1], alone.rejects, got.rejects)
			}
		})
	}
	if count < 318 {
		t.Errorf("there are only %d cases", count)
	}
}

// answer writes what one record gave in one line.
func (d decoded) answer() string {
	text := strings.NewReplacer("0.0 ", "", "0.0", "").Replace(strings.TrimSuffix(d.rows, "\n"))
	if d.rows != "" {
		text = strings.TrimSpace("row " + text)
	}
	for _, r := range strings.Split(strings.TrimSuffix(d.rejects, "\n"), "\n") {
		if r != "" {
			text += " | " + strings.TrimPrefix(r, "0.0 ")
		}
	}
	return strings.TrimPrefix(text, " | ")
}
