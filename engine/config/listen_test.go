package config

import (
	"strings"
	"testing"
)

func TestParseListen(t *testing.T) {
	for _, c := range []struct {
		text     string
		loopback bool
		err      string
	}{
		{"127.0.0.1:8080", true, ""},
		{"127.9.9.9:0", true, ""},
		{"[::1]:8080", true, ""},
		{"[::ffff:127.0.0.1]:8080", true, ""},
		{"LocalHost:8080", true, ""},
		{":8080", false, ""},
		{"0.0.0.0:8080", false, ""},
		{"[::]:8080", false, ""},
		{"localhost.example.com:80", false, ""},
		{"127.0.0.1.example.com:80", false, ""},
		{"10.0.0.7:65535", false, ""},
		{"8080", false, "no port"},
		{"127.0.0.1", false, "no port"},
		{":", false, "no port between"},
		{":0", false, "neither host nor port"},
		{"127.0.0.1:65536", false, "no port between"},
		{"127.0.0.1:http", false, "no port between"},
		{"127.0.0.1:+80", false, "no port between"},
		{"http://127.0.0.1:80", false, "slash"},
		{"127.0.0.1:80/x", false, "slash"},
		{"::1:8080", false, "brackets"},
		{"[::1:8080", false, "understood"},
		{"a b:80", false, "understood"},
	} {
		loopback, err := ParseListen(c.text)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.text, err, c.err)
		case loopback != c.loopback:
			t.Errorf("%s: loopback %v", c.text, loopback)
		}
	}
}
