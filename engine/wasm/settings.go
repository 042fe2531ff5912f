package wasm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Setting is the value of an argument as a guest gets it.
type Setting struct {
	Text   string  // strings as they are, all else as JSON
	Number float64 // NaN when it is none
}

func (c *manifestCheck) option(o Option, seen map[string]bool) {
	switch {
	case !namePattern.MatchString(o.Name):
		c.fail("config has an argument %q; names take small letters, digits and _, a letter first", o.Name)
	case seen[o.Name]:
		c.fail("config has %s twice", o.Name)
	case !slices.Contains([]string{"string", "number", "integer", "bool", "json"}, o.Type):
		c.fail("config: %s has type %q; there is string, number, integer, bool and json", o.Name, o.Type)
	case o.Required && o.Default != nil:
		c.fail("config: %s is required and has a default; one of them is enough", o.Name)
	case o.Default != nil:
		if _, problem := o.setting(o.Default); problem != "" {
			c.fail("config: the default of %s: %s", o.Name, problem)
		}
	}
	seen[o.Name] = true
}

// setting turns a JSON value into a Setting, or says what is wrong with it.
func (o Option) setting(value json.RawMessage) (Setting, string) {
	value = bytes.TrimSpace(value)
	s := Setting{Text: string(value), Number: math.NaN()}
	if !json.Valid(value) {
		return s, "it is no JSON"
	}
	first := value[0]
	isNumber := first == '-' || first >= '0' && first <= '9'
	if isNumber {
		s.Number, _ = strconv.ParseFloat(s.Text, 64)
	}
	switch o.Type {
	case "number", "integer":
		if !isNumber || math.IsInf(s.Number, 0) {
			return s, "it takes a " + o.Type
		}
		if _, err := strconv.ParseInt(s.Text, 10, 64); o.Type == "integer" && err != nil {
			return s, "it takes a whole number"
		}
	case "bool":
		if s.Text != "true" && s.Text != "false" {
			return s, "it takes true or false"
		}
		s.Number = 0
		if s.Text == "true" {
			s.Number = 1
		}
	case "string":
		var text string
		if first != '"' || json.Unmarshal(value, &text) != nil {
			return s, "it takes a string"
		}
		s.Text = text
	}
	return s, ""
}

// Settings checks the arguments that a pipeline's author gave, as JSON by name, and fills
// defaults in. problems holds what is wrong, by the argument's name; missing ones too.
func (m *Manifest) Settings(given map[string]json.RawMessage) (settings map[string]Setting, problems map[string]string) {
	settings, problems = map[string]Setting{}, map[string]string{}
	known := map[string]bool{}
	for _, o := range m.Config {
		known[o.Name] = true
		value, ok := given[o.Name]
		switch {
		case !ok && o.Required:
			problems[o.Name] = fmt.Sprintf("the plugin needs it (%s)", o.Type)
			continue
		case !ok && o.Default == nil:
			continue
		case !ok:
			value = o.Default
		}
		s, problem := o.setting(value)
		if problem != "" {
			problems[o.Name] = problem
			continue
		}
		settings[o.Name] = s
	}
	for name := range given {
		if !known[name] {
			problems[name] = "the plugin has no such argument"
		}
	}
	return settings, problems
}

// OptionNames lists the arguments that there are.
func (m *Manifest) OptionNames() []string {
	names := make([]string, len(m.Config))
	for i, o := range m.Config {
		names[i] = o.Name
	}
	return names
}
