package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		err  string
	}{
		{"5m", 5 * time.Minute, ""},
		{"7d", 7 * 24 * time.Hour, ""},
		{"1w", 7 * 24 * time.Hour, ""},
		{"1h30m", 90 * time.Minute, ""},
		{"1h 30m", 90 * time.Minute, ""},
		{"1.5h", 90 * time.Minute, ""},
		{"250ms", 250 * time.Millisecond, ""},
		{"10us", 10 * time.Microsecond, ""},
		{"0", 0, ""},
		{"0s", 0, ""},
		{"", 0, "empty"},
		{"5", 0, "no unit"},
		{"m", 0, "not a duration"},
		{"-5m", 0, "negative"},
		{"5 minutes", 0, "did you mean m?"},
		{"5M", 0, "did you mean m?"},
		{"5m1h", 0, "wrong order"},
		{"5m5m", 0, "twice"},
		{"1e3s", 0, "unknown unit"},
		{"1..5s", 0, "not a duration"},
		{"9999999w", 0, "hundred years"},
		{strings.Repeat("9", 400) + "s", 0, "not a duration"},
	} {
		got, err := ParseDuration(c.in)
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%q: %v, %v; want %v", c.in, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: %v; want an error with %q", c.in, err, c.err)
		case c.err == "":
			if again, err := ParseDuration(FormatDuration(got)); err != nil || again != got {
				t.Errorf("%q is written %q, read as %v, %v", c.in, FormatDuration(got), again, err)
			}
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		err  string
	}{
		{"512", 512, ""},
		{"1kB", 1000, ""},
		{"1 KB", 1000, ""},
		{"64MiB", 64 << 20, ""},
		{"1.5GB", 1_500_000_000, ""},
		{"2TiB", 2 << 40, ""},
		{"", 0, "not a size"},
		{"GB", 0, "not a size"},
		{"1gb", 0, "did you mean GB?"},
		{"1G", 0, "did you mean GB?"},
		{"1mb", 0, "did you mean MB?"},
		{"1GB2", 0, "not a size"},
		{"-1GB", 0, "not a size"},
		{"99999999TB", 0, "more than there is"},
	} {
		got, err := ParseSize(c.in)
		if c.err == "" && (err != nil || got != c.want) {
			t.Errorf("%q: %v, %v; want %v", c.in, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %v; want an error with %q", c.in, err, c.err)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"temp", "time", "setpoint", "door_open", "device", "ts"}
	for name, want := range map[string]string{
		"tepm": "temp", "tmep": "temp", "tmp": "temp", "temperature": "temp", "set_point": "setpoint", "doorOpen": "door_open",
		"devcie": "device", "humidity": "", "TS": "ts", "x": "", "": "", "dev": "device", "door": "door_open",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
