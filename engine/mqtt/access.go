package mqtt

import (
	"fmt"
	"strings"
)

// Rules is an Access by users' passwords, client certificates and patterns.
type Rules struct {
	// Users checks passwords; nil: names and passwords are not looked at.
	Users *Users
	// NeedLogin refuses clients that neither a password nor a certificate makes known.
	NeedLogin bool
	// Publishes and Subscribes are what clients may do; nil: everything that does not begin with $.
	Publishes, Subscribes []Pattern
}

// Connect implements Access. The certificate's name goes before the user's.
func (r *Rules) Connect(c *Client) Reason {
	checked := r.Users != nil && (c.Username != "" || c.CN == "" && r.NeedLogin)
	if checked && !r.Users.Check(c.Username, c.Password) {
		return BadLogin
	}
	if !checked {
		c.Username = "" // a name that nobody checked is worth nothing
	}
	switch {
	case c.CN != "":
		c.Principal = c.CN
	case checked:
		c.Principal = c.Username
	case r.NeedLogin:
		return NotAuthorized
	}
	return Success
}

// Publish implements Access.
func (r *Rules) Publish(c *Client, topic string) bool {
	if r.Publishes == nil {
		return topic[0] != '$'
	}
	for i := range r.Publishes {
		if f, ok := r.Publishes[i].filter(c); ok && Match(f, topic) {
			return true
		}
	}
	return false
}

// Subscribe implements Access.
func (r *Rules) Subscribe(c *Client, filter string) bool {
	if r.Subscribes == nil {
		return filter[0] != '$'
	}
	for i := range r.Subscribes {
		if f, ok := r.Subscribes[i].filter(c); ok && Covers(f, filter) {
			return true
		}
	}
	return false
}

// Pattern is a topic filter in which ${client_id}, ${username} and ${cn} stand
// for who the client is.
type Pattern struct {
	parts []string // texts and, at odd places, names
}

// ParsePattern reads a pattern. The error says what would be right.
func ParsePattern(text string) (Pattern, error) {
	var p Pattern
	rest := text
	for {
		before, behind, found := strings.Cut(rest, "${")
		p.parts = append(p.parts, before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(behind, "}")
		if !closed {
			return p, fmt.Errorf("in %q a ${ is not closed", text)
		}
		if name != "client_id" && name != "username" && name != "cn" {
			return p, fmt.Errorf("%q has ${%s}; there are ${client_id}, ${username} and ${cn}", text, name)
		}
		p.parts = append(p.parts, name)
		rest = after
	}
	sample, _ := p.filter(&Client{ID: "x", Username: "x", CN: "x"})
	switch {
	case strings.HasPrefix(text, sharePrefix):
		return p, fmt.Errorf("%q is of a shared subscription; write the filter behind the group alone", text)
	case !ValidFilter(sample):
		return p, fmt.Errorf("%q is no topic filter: + and # stand alone between slashes, # at the end only", text)
	}
	return p, nil
}

// filter returns the topic filter for a client; false when it has none. A
// name with a wildcard or a slash in it has none: it would be a wider pattern than the one written.
func (p *Pattern) filter(c *Client) (string, bool) {
	if len(p.parts) == 1 {
		return p.parts[0], true
	}
	var b strings.Builder
	for i, part := range p.parts {
		if i%2 == 0 {
			b.WriteString(part)
			continue
		}
		value := c.CN
		switch part {
		case "client_id":
			value = c.ID
		case "username":
			value = c.Username
		}
		if value == "" || strings.ContainsAny(value, "+#/") || value[0] == '$' {
			return "", false
		}
		b.WriteString(value)
	}
	return b.String(), true
}

var _ Access = (*Rules)(nil)
