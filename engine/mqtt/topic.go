package mqtt

import (
	"bytes"
	"strings"
)

// sharePrefix begins the filter of a shared subscription, section 4.8.2.
const sharePrefix = "$share/"

// validTopic says whether a text can be the name of a topic; that it is UTF-8 is known.
func validTopic(t []byte) bool {
	return len(t) > 0 && bytes.IndexByte(t, '+') < 0 && bytes.IndexByte(t, '#') < 0
}

func levels[T string | []byte](t T) int {
	n := 1
	for i := range len(t) {
		if t[i] == '/' {
			n++
		}
	}
	return n
}

// ValidFilter says whether a text can be a topic filter, section 4.7.1, or a
// shared subscription's, section 4.8.2; that it is UTF-8 is known.
func ValidFilter(f string) bool {
	if rest, shared := strings.CutPrefix(f, sharePrefix); shared {
		group, filter, ok := strings.Cut(rest, "/")
		if !ok || group == "" || strings.ContainsAny(group, "+#") {
			return false
		}
		f = filter
	} else if f == "$share" {
		return false
	}
	if f == "" {
		return false
	}
	for rest, more := f, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && more {
			return false
		}
	}
	return true
}

// splitShare returns the group of a shared subscription, "" when it is none, and the filter in it.
func splitShare(f string) (group, filter string) {
	rest, shared := strings.CutPrefix(f, sharePrefix)
	if !shared {
		return "", f
	}
	group, filter, _ = strings.Cut(rest, "/")
	return group, filter
}

// Match says whether a valid filter, without a share prefix, matches a topic.
// A wildcard in front does not match a topic that begins with $ (MQTT-4.7.2-1).
func Match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !fMore || !tMore {
			return fMore == tMore || fMore && fRest == "#" // a/# matches a
		}
		filter, topic = fRest, tRest
	}
}

// Covers says whether every topic that filter matches is matched by pattern
// too; both are valid filters without a share prefix.
func Covers(pattern, filter string) bool {
	if filter != "" && filter[0] == '$' && (pattern[0] == '+' || pattern[0] == '#') {
		return false
	}
	for {
		p, pRest, pMore := strings.Cut(pattern, "/")
		if p == "#" {
			return true
		}
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" || f == "+" && p != "+" || p != "+" && p != f {
			return false
		}
		if !pMore || !fMore {
			return pMore == fMore || pMore && pRest == "#"
		}
		pattern, filter = pRest, fRest
	}
}
