package config

import (
	"net/url"
	"strconv"
)

// ParseHTTP reads the URL of a web server. wrong says what keeps it from being one, behind the word url; "" when nothing does. It
// holds nothing of the URL, in which a secret may stand.
func ParseHTTP(text string) (u *url.URL, wrong string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, "cannot be understood"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "begins with http:// or https://"
	case u.Hostname() == "":
		return nil, "names no host"
	case u.Port() != "" && !IsPort(u.Port()):
		return nil, "has no such port; these go up to 65535"
	}
	return u, ""
}

// IsPort tells whether digits are the number of a port.
func IsPort(digits string) bool {
	_, err := strconv.ParseUint(digits, 10, 16)
	return err == nil
}
