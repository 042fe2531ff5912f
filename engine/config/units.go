package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as it is written: "5m", "7d", "1h30m", "250ms".
// An argument of this type is checked when its block is decoded.
type Duration string

// Length returns the duration; "" is 0. It must only be called on what was
// decoded without errors, or written by a programmer.
func (d Duration) Length() time.Duration {
	if d == "" {
		return 0
	}
	l, err := ParseDuration(string(d))
	if err != nil {
		panic("BUG: duration was not checked: " + err.Error())
	}
	return l
}

// Size is a number of bytes as it is written: "64MiB", "1GB", "512". An argument
// of this type is checked when its block is decoded.
type Size string

// Bytes returns the size; "" is 0. As for Duration.Length, it must have been checked.
func (s Size) Bytes() int64 {
	if s == "" {
		return 0
	}
	n, err := ParseSize(string(s))
	if err != nil {
		panic("BUG: size was not checked: " + err.Error())
	}
	return n
}

type unit struct {
	name string
	size int64
}

// durationUnits are in order of length of time, as they must be written.
var durationUnits = [...]unit{
	{"w", int64(7 * 24 * time.Hour)},
	{"d", int64(24 * time.Hour)},
	{"h", int64(time.Hour)},
	{"m", int64(time.Minute)},
	{"s", int64(time.Second)},
	{"ms", int64(time.Millisecond)},
	{"us", int64(time.Microsecond)},
}

var sizeUnits = [...]unit{
	{"B", 1},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
}

// ParseDuration reads numbers with units from w (7 days), d (24 hours), h, m,
// s, ms and us, the largest first, such as "1h30m" or "1.5h". Zero is "0s". The error is a
// sentence for the author of the file. There are no negative durations.
func ParseDuration(s string) (time.Duration, error) {
	const right = `write a number and a unit (w, d, h, m, s, ms, us), such as "5m", "7d" or "1h30m"`
	if s == "0" {
		return 0, nil
	}
	rest, last := strings.TrimSpace(s), -1
	if rest == "" {
		return 0, fmt.Errorf("the duration is empty; %s", right)
	}
	if rest[0] == '-' {
		return 0, fmt.Errorf("%q is negative; a duration cannot be", s)
	}
	var total float64
	for rest != "" {
		n, name, tail := cutUnit(rest)
		value, err := strconv.ParseFloat(n, 64)
		if err != nil || math.IsInf(value, 0) || strings.ContainsAny(n, "eExX_") {
			return 0, fmt.Errorf("%q is not a duration; %s", s, right)
		}
		if name == "" {
			return 0, fmt.Errorf("%q has no unit; %s", s, right)
		}
		at := findUnit(durationUnits[:], name)
		if at < 0 {
			return 0, fmt.Errorf("%q has the unknown unit %q%s; %s", s, name, longUnit(name), right)
		}
		if at <= last {
			return 0, fmt.Errorf("%q has its units in the wrong order or twice; %s", s, right)
		}
		total += value * float64(durationUnits[at].size)
		rest, last = tail, at
	}
	const most = 100 * 365 * 24 * time.Hour
	if total > float64(most) {
		return 0, fmt.Errorf("%q is over a hundred years; %s", s, right)
	}
	return time.Duration(math.Round(total)), nil
}

// FormatDuration writes a duration as ParseDuration reads it, such as "1h30m".
func FormatDuration(d time.Duration) string {
	var b strings.Builder
	rest := int64(d)
	for _, u := range durationUnits {
		if n := rest / u.size; n > 0 && u.name != "w" {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			rest -= n * u.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// longUnit helps those who spell units out.
func longUnit(name string) string {
	l := strings.TrimSuffix(strings.ToLower(name), "s")
	for _, u := range [...]struct{ long, short string }{
		{"week", "w"}, {"day", "d"}, {"hour", "h"}, {"hr", "h"}, {"minute", "m"}, {"min", "m"},
		{"second", "s"}, {"sec", "s"}, {"millisecond", "ms"}, {"µ", "us"}, {"microsecond", "us"},
	} {
		if l == u.long || strings.EqualFold(name, u.short) {
			return " (did you mean " + u.short + "?)"
		}
	}
	return ""
}

// ParseSize reads a number of bytes with a unit: B, kB, MB, GB, TB (powers of
// 1,000) or KiB, MiB, GiB, TiB (powers of 1,024). A bare number is bytes. The error
// is a sentence for the author of the file.
func ParseSize(s string) (int64, error) {
	const right = `write a number and a unit, such as "64MiB" or "1GB"`
	n, name, tail := cutUnit(strings.TrimSpace(s))
	value, err := strconv.ParseFloat(n, 64)
	if err != nil || tail != "" || strings.ContainsAny(n, "eExX_") {
		return 0, fmt.Errorf("%q is not a size; %s", s, right)
	}
	if name == "" {
		name = "B"
	}
	at := findUnit(sizeUnits[:], name)
	if at < 0 {
		return 0, fmt.Errorf("%q has the unknown unit %q%s; %s", s, name, nearUnit(name), right)
	}
	bytes := value * float64(sizeUnits[at].size)
	if bytes >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is more than there is; %s", s, right)
	}
	return int64(math.Round(bytes)), nil
}

func nearUnit(name string) string {
	for _, u := range sizeUnits {
		if strings.EqualFold(strings.TrimSuffix(u.name, "B"), strings.TrimRight(name, "bB")) {
			return " (did you mean " + u.name + "?)"
		}
	}
	return ""
}

func findUnit(units []unit, name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// cutUnit splits "5m30s" into "5", "m" and "30s".
func cutUnit(s string) (number, name, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	j := i
	for j < len(s) && (s[j] < '0' || s[j] > '9') && s[j] != '.' {
		j++
	}
	return s[:i], strings.TrimSpace(s[i:j]), s[j:]
}
