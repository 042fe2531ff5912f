package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseListen checks an address to listen on, such as "127.0.0.1:8080", and
// tells whether only this machine can reach it. The error is a sentence for the author of the
// file.
func ParseListen(s string) (loopback bool, err error) {
	const right = `write a host and a port, such as "127.0.0.1:8080" or ":8080" for all interfaces`
	if strings.Contains(s, "/") {
		return false, fmt.Errorf("%q is not an address to listen on: it has a slash; %s", s, right)
	}
	at := strings.LastIndexByte(s, ':')
	if at < 0 {
		return false, fmt.Errorf("%q has no port; %s", s, right)
	}
	host, port := s[:at], s[at+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port[0] == '+' {
		return false, fmt.Errorf("%q has no port between 0 and 65535; %s", s, right)
	} else if n == 0 && host == "" {
		return false, fmt.Errorf("%q names neither host nor port; %s", s, right)
	}
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") || strings.ContainsAny(host, " \t@") {
		return false, fmt.Errorf("%q has no host that can be understood; %s", s, right)
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return false, fmt.Errorf("%q: an IPv6 address stands in brackets, such as \"[::1]:8080\"", s)
	}
	return Loopback(host), nil
}

// Loopback tells whether a host is this machine as only itself can reach it:
// localhost, 127.0.0.0/8 or ::1.
func Loopback(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
