package ingestfile

import (
	"bytes"
	"fmt"
	"testing"
)

// framed runs a framer over content, cut where cuts says (its bytes are lengths
// of reads, over and over), and returns what came out, with positions.
func framed(kind uint8, content, cuts []byte, limit int) []string {
	o := &options{separator: ',', text: map[string]bool{}}
	var f framer
	switch kind % 3 {
	case 0:
		f = &lines{}
	case 1:
		f = newValues(content)
	default:
		f = newRows(o, []string{"a", "b"}, true)
	}
	b := &batch{partition: func([]byte) int { return 0 }, limit: limit}
	var out []string
	take := func() {
		for _, r := range b.lines {
			out = append(out, fmt.Sprintf("%d %q", r.Pos, r.Payload))
		}
		b.reset(0)
	}
	start, end := 0, 0
	for i := 0; end < len(content); i++ {
		n := 1
		if len(cuts) > 0 {
			n = 1 + int(cuts[i%len(cuts)])
		}
		end = min(end+n, len(content))
		for again := true; again; {
			start += f.frame(piece{buf: content[start:end], base: int64(start)}, b)
			again = b.full()
			take()
		}
	}
	for again := true; again; {
		start += f.frame(piece{buf: content[start:end], base: int64(start), eof: true}, b)
		again = b.full()
		take()
	}
	return append(out, fmt.Sprintf("%d of %d, %d empty, %d refused, at %d", start, len(content), b.empty, b.rejected, b.pos))
}

// FuzzFrames checks that where reads end, and how many records an append takes,
// decides nothing; that positions rise; and that nothing is left out.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"a\nb\r\n\n", "[1, {\"a\":\"]\\\"\"} ,[[]]]", "[1 2,]x", "}{\"a\":1}]", "1,\"x\"\"y\n\",\n\"a\"b,2\n5\"6,7\n", "\"", "[\"\\", "",
	} {
		for kind := range uint8(3) {
			f.Add(kind, []byte(seed), []byte{0, 3, 1})
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, content, cuts []byte) {
		want := framed(kind, content, []byte{255}, maxBatch)
		if got := framed(kind, content, cuts, 2); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q cut by %v:\n%q\nwant\n%q", content, cuts, got, want)
		}
		last := 0
		for _, line := range want[:len(want)-1] {
			pos := 0
			fmt.Sscan(line, &pos)
			if pos <= last {
				t.Fatalf("%q: position %d follows %d: %q", content, pos, last, want)
			}
			last = pos
		}
		if kind%3 == 0 {
			lines := 0
			for _, line := range bytes.Split(content, []byte("\n")) {
				if len(bytes.TrimSuffix(line, []byte("\r"))) > 0 {
					lines++
				}
			}
			if lines != len(want)-1 {
				t.Fatalf("%q has %d lines that are not empty, and gives %q", content, lines, want)
			}
		}
	})
}
