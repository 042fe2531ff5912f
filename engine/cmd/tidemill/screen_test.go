package main

import "testing"

func TestScreen(t *testing.T) {
	for _, c := range []struct {
		view          string
		columns, rows int
		want          string
	}{
		{"ab\ncd\n", 10, 5, "\x1b[Hab\x1b[K\r\ncd\x1b[K\x1b[J"},
		{"ab\n\ncd\n", 10, 3, "\x1b[Hab\x1b[K\r\n\x1b[K\r\ncd\x1b[K\x1b[J"},
		{"äöüß1\nabcd\n", 4, 5, "\x1b[Häöü…\x1b[K\r\nabcd\x1b[K\x1b[J"},
		{"1\n2\n3\n4\n", 80, 3, "\x1b[H1\x1b[K\r\n2\x1b[K\r\n... 2 more lines in a larger window, or with --once\x1b[K\x1b[J"},
		{"1\n2\n3\n", 0, 0, "\x1b[H1\x1b[K\r\n2\x1b[K\r\n3\x1b[K\x1b[J"},
	} {
		got := ""
		s := screen{write: func(text string) error { got += text; return nil }, size: func() (int, int, bool) { return c.columns, c.rows, c.rows > 0 }}
		if err := s.draw(c.view); err != nil || got != c.want {
			t.Errorf("%q at %d x %d: %q, not %q", c.view, c.columns, c.rows, got, c.want)
		}
	}
}
