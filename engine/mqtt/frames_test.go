package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// frame is one as a client sends it; mask 0 is one that changes nothing.
func frame(first byte, mask uint32, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	key := []byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// pieces is a reader that gives so many bytes at a time, and between two of them nothing.
type pieces struct {
	b     []byte
	size  int
	pause bool
}

func (p *pieces) Read(dst []byte) (int, error) {
	if p.pause = !p.pause; p.pause {
		return 0, errAgain
	}
	n := copy(dst, p.b[:min(p.size, len(p.b))])
	if p.b = p.b[n:]; n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// TestFrames: what frames say does not depend on how they come, and those that RFC 6455 forbids end the connection.
func TestFrames(t *testing.T) {
	long, longer := strings.Repeat("0123456789abcdef", 20), strings.Repeat("x", 70_000)
	for _, c := range []struct {
		name    string
		frames  [][]byte
		want    string
		replies string // "opcode payload" of each
		err     error
	}{
		{"messages", [][]byte{frame(0x82, 0x01020304, "abc"), frame(0x82, 0xfedcba98, "defghijklmnop"), frame(0x82, 7, "")}, "abcdefghijklmnop", "", io.ErrUnexpectedEOF},
		{"long ones", [][]byte{frame(0x82, 0xa1b2c3d4, long), frame(0x82, 0x0badcafe, longer), frame(0x82, 1, "z")}, long + longer + "z", "", io.ErrUnexpectedEOF},
		{"in parts", [][]byte{frame(0x02, 5, "ab"), frame(0x00, 6, "cd"), frame(0x80, 0x99999999, "ef"), frame(0x82, 9, "g")}, "abcdefg", "", io.ErrUnexpectedEOF},
		{"a ping between parts", [][]byte{frame(0x02, 5, "ab"), frame(0x89, 0x55aa55aa, "hey"), frame(0x80, 6, "cd"), frame(0x89, 3, "")}, "abcd", "10 hey|10 ", io.ErrUnexpectedEOF},
		{"a pong", [][]byte{frame(0x8a, 5, "ab"), frame(0x82, 5, "c")}, "c", "", io.ErrUnexpectedEOF},
		{"a ping of 125 bytes", [][]byte{frame(0x89, 0x31323334, long[:125])}, "", "10 " + long[:125], io.ErrUnexpectedEOF},
		{"the end", [][]byte{frame(0x82, 1, "a"), frame(0x88, 0x12345678, "\x03\xe9bye"), frame(0x82, 1, "b")}, "a", "8 \x03\xe9", io.EOF},
		{"the end without a code", [][]byte{frame(0x88, 1, "")}, "", "8 \x03\xe8", io.EOF},
		{"an end of one byte", [][]byte{frame(0x88, 1, "x")}, "", "8 \x03\xea", errFrame},
		{"an end with a code that is none", [][]byte{frame(0x88, 1, "\x03\xed")}, "", "8 \x03\xea", errFrame},
		{"no mask", [][]byte{{0x82, 3, 'a', 'b', 'c'}}, "", "8 \x03\xea", errFrame},
		{"a bit of an extension", [][]byte{frame(0x82, 1, "a"), frame(0xc2, 1, "b")}, "a", "8 \x03\xea", errFrame},
		{"an unknown opcode", [][]byte{frame(0x83, 1, "b")}, "", "8 \x03\xea", errFrame},
		{"an unknown opcode of control", [][]byte{frame(0x8b, 1, "b")}, "", "8 \x03\xea", errFrame},
		{"a ping in parts", [][]byte{frame(0x09, 1, "b")}, "", "8 \x03\xea", errFrame},
		{"a ping of 126 bytes", [][]byte{frame(0x89, 1, long[:126])}, "", "8 \x03\xea", errFrame},
		{"a part of nothing", [][]byte{frame(0x80, 1, "b")}, "", "8 \x03\xea", errFrame},
		{"a message within another", [][]byte{frame(0x02, 1, "a"), frame(0x82, 1, "b")}, "a", "8 \x03\xea", errFrame},
		{"a length of 64 bits", [][]byte{{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}}, "", "8 \x03\xea", errFrame},
		{"a length that nobody has", [][]byte{{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 'a'}}, "a", "", io.ErrUnexpectedEOF},
	} {
		for _, size := range []int{1, 2, 3, 5, 7, 13, 64, 4096, 1 << 20} {
			for _, room := range []int{1, 9, 4096} {
				if size < 64 && len(c.want) > 10_000 && room > 1 {
					continue
				}
				var replies []string
				f := &frames{from: &pieces{b: slices.Concat(c.frames...), size: size},
					reply: func(kind int, payload []byte) { replies = append(replies, fmt.Sprintf("%d %s", kind, payload)) }}
				var got bytes.Buffer
				p := make([]byte, room)
				var err error
				for err == nil || err == errAgain {
					var n int
					n, err = f.Read(p)
					got.Write(p[:n])
				}
				if got.String() != c.want || strings.Join(replies, "|") != c.replies || !errors.Is(err, c.err) {
					t.Fatalf("%s, %d bytes at a time into %d: %.99q, replies %q, %v; want %.99q, %q, %v", c.name, size, room, got.String(), replies, err, c.want, c.replies, c.err)
				}
			}
		}
	}
}

// TestFramesRefuseTexts: MQTT comes in binary messages.
func TestFramesRefuseTexts(t *testing.T) {
	f := &frames{from: bytes.NewReader(frame(0x81, 1, "a"))}
	var e *Error
	if n, err := f.Read(make([]byte, 10)); n != 0 || !errors.As(err, &e) || e.Clause != "MQTT-6.0.0-1" {
		t.Errorf("%d bytes, %v", n, err)
	}
}
