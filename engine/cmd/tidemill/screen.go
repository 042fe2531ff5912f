package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// screen draws a view again and again in the same place of a terminal, on the screen beside the one with the
// shell's lines, which is there again at the end (xterm's control sequences, DEC private mode 1049).
type screen struct {
	write func(string) error
	// size is the terminal's, in characters; ok is false where it does not tell.
	size func() (columns, rows int, ok bool)
}

const (
	screenBegin = "\x1b[?1049h\x1b[?25l"
	screenEnd   = "\x1b[?25h\x1b[?1049l"
)

// draw writes the view over the one before: what is too long is cut, and what has no room is told.
func (s *screen) draw(view string) error {
	lines := strings.Split(strings.TrimSuffix(view, "\n"), "\n")
	columns, rows, ok := s.size()
	if ok && rows > 1 && len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("... %d more lines in a larger window, or with --once", more))
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if ok && columns > 1 {
			line = cutTo(line, columns)
		}
		b.WriteString(line + "\x1b[K")
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\x1b[J")
	return s.write(b.String())
}

// cutTo shortens a line to so many characters.
func cutTo(line string, most int) string {
	if utf8.RuneCountInString(line) <= most {
		return line
	}
	runes := []rune(line)
	return string(runes[:most-1]) + "…"
}
