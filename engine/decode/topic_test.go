package decode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/journal"
)

func TestTopicTemplate(t *testing.T) {
	const names = "dt/{site}/{device}/telemetry"
	for _, c := range []struct{ template, topic, want string }{
		{names, "dt/berlin/d1/telemetry", "[berlin d1]"},
		{names, "dt/berlin/d1/telemetry/x", "no"},
		{names, "dt/berlin/d1", "no"},
		{names, "dt/berlin/d1/other", "no"},
		{names, "dt//d1/telemetry", "no"},
		{names, "dt/+/d 1/telemetry", "[+ d 1]"},
		{names, "", "no"},
		{"{device}", "d1", "[d1]"},
		{"{device}", "", "no"},
		{"{device}", "a/b", "no"},
		{"a/+/{device}", "a/x/d1", "[d1]"},
		{"a/+/{device}", "a//d1", "[d1]"},
		{"a/{device}/#", "a/d1", "[d1]"},
		{"a/{device}/#", "a/d1/x/y", "[d1]"},
		{"a/{device}/#", "a", "no"},
		{"#", "a/b", "[]"},
		{"a/b", "a/b", "[]"},
		{"a/b", "a/b/", "no"},
	} {
		template, err := ParseTopicTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		got := "no"
		if values, ok := template.Match(c.topic, nil); ok {
			got = fmt.Sprint(values)
		}
		if got != c.want {
			t.Errorf("%s, %q: %s, want %s", c.template, c.topic, got, c.want)
		}
	}
}

func TestTopicTemplateMistakes(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"", "such as dt/"},
		{"a/{b}/{b}", "{b} stands twice"},
		{"a/x{b}", "whole level"},
		{"a/{b", "whole level"},
		{"a/b}", "whole level"},
		{"a/{}", "letters, digits"},
		{"a/{b c}", "letters, digits"},
		{"a/{1b}", "letters, digits"},
		{"a/{_b}", "letters, digits"},
		{"a/{" + strings.Repeat("b", 2000) + "}", "letters, digits"},
		{"a/#/b", "stands alone"},
		{"a/b#", "stands alone"},
		{"a/b+", "stands alone"},
		{"a\x00", "such as dt/"},
	} {
		if _, err := ParseTopicTemplate(c.template); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.template, err, c.want)
		}
	}
	for template, want := range map[string]string{"a/{b}/+": "a/+/+", "{b}/#": "+/#", "x": "x"} {
		if parsed, err := ParseTopicTemplate(template); err != nil || parsed.Filter() != want {
			t.Errorf("%s: filter %s, %v", template, parsed.Filter(), err)
		}
	}
}

// topicConfig has fields site and device from topics, and what fields says.
func topicConfig(t *testing.T, fields string, templates ...string) Config {
	c := Config{Fields: parseFields(t, fields)}
	for i := range c.Fields {
		c.Fields[i].Topic = c.Fields[i].Name == "site" || c.Fields[i].Name == "device"
	}
	for _, text := range templates {
		template, err := ParseTopicTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		c.Topics = append(c.Topics, template)
	}
	return c
}

func TestTopicColumns(t *testing.T) {
	topics := []string{"dt/berlin/d1", "elsewhere", "dt/rome/d2", "x/d3"}
	for _, c := range []struct {
		name, fields, explode string
		learn                 bool
		of                    []uint16
		from                  uint64
		records               []string
		want                  string
	}{
		{name: "by record", fields: "site:string device:string temp:number", of: []uint16{0, 2, 0, 1, 3},
			records: []string{`{"temp":1}`, `{"temp":2}`, `{"temp":3}`, `{"temp":4}`, `{"temp":5}`},
			want:    "berlin d1 1|rome d2 2|berlin d1 3|null null 4|null d3 5"},
		{name: "one topic", fields: "site:string device:string temp:number",
			records: []string{`{"temp":1}`, `{"temp":2}`}, want: "berlin d1 1|berlin d1 2"},
		{name: "rejected records have no row", fields: "site:string device:string temp:number", of: []uint16{0, 0, 2},
			records: []string{`{"temp":1}`, `nonsense`, `{"temp":3}`}, want: "berlin d1 1|rome d2 3"},
		{name: "from the middle", fields: "site:string device:string temp:number", of: []uint16{0, 2, 0}, from: 101,
			records: []string{`{"temp":1}`, `{"temp":2}`, `{"temp":3}`}, want: "rome d2 2|berlin d1 3"},
		{name: "the payload's member is ignored", fields: "site:string device:string temp:number", of: []uint16{0, 2},
			records: []string{`{"device":"liar","temp":1}`, `{"device":{"x":1},"temp":2}`}, want: "berlin d1 1|rome d2 2"},
		{name: "and not learned", fields: "site:string device:string", learn: true, of: []uint16{0, 2},
			records: []string{`{"device":7,"temp":1}`, `{"temp":2,"device":"liar"}`}, want: "berlin d1 1|rome d2 2"},
		{name: "nobody reads one", fields: "site:string! device:string temp:number", of: []uint16{0, 1},
			records: []string{`{"temp":1}`, `{"temp":2}`}, want: "d1 1|null 2"},
		{name: "exploded", fields: "site:string device:string m.v:number", explode: "m", of: []uint16{0, 2},
			records: []string{`{"m":[{"v":1},{"v":2}]}`, `{"m":[{"v":3}]}`}, want: "berlin d1 1|berlin d1 2|rome d2 3"},
	} {
		cfg := topicConfig(t, c.fields, "dt/{site}/{device}", "x/{device}")
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		cfg.Learn, cfg.Explode, cfg.Alloc = c.learn, c.explode, alloc
		d, err := NewJSON(cfg)
		if err != nil {
			t.Fatal(c.name, err)
		}
		b := blockOf(100, c.records...)
		b.Topics, b.TopicOf = topics, c.of
		var out Result
		d.Decode(b, c.from, &out)
		var rows []string
		schema := out.Rows.Schema()
		for i := range int(out.Rows.NumRows()) {
			var cells []string
			for at, f := range schema.Fields() {
				if f.Name[0] != '_' {
					cells = append(cells, strings.Trim(valueText(out.Rows.Column(at), i), `"`))
				}
			}
			rows = append(rows, strings.Join(cells, " "))
		}
		out.Rows.Release()
		alloc.AssertSize(t, 0)
		if got := strings.Join(rows, "|"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if n := len(cfg.Fields); len(d.Fields()) < n || d.Fields()[0].Name != "site" {
			t.Errorf("%s: fields %v", c.name, d.Fields())
		}
	}
}

func TestTopicFieldMistakes(t *testing.T) {
	for fields, want := range map[string]string{
		"temp:number device:string":   "before the others",
		"device:string device:string": "", // told below
		"device:number":               "is a string",
	} {
		c := topicConfig(t, fields, "x/{device}")
		if want == "" {
			c.Fields[1].Topic, want = false, "stand once"
		}
		if _, err := NewJSON(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", fields, err, want)
		}
	}
}

// TestTopicOrder: what a topic gives does not depend on which came before, nor on how many are known.
func TestTopicOrder(t *testing.T) {
	cfg := topicConfig(t, "site:string device:string", "dt/{site}/{device}", "x/{device}")
	c, err := splitTopicFields(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	random, seen := rand.New(rand.NewPCG(1, 2)), 0
	for round := range 3*maxKnownTopics/900 + 40 {
		b := &journal.Block{}
		for i := range 1000 {
			device := round/2*900 + i // in turn, each twice, a hundred again in the next block
			if round%7 == 3 {
				device = random.IntN(round*900 + 1)
			}
			b.Topics = append(b.Topics, fmt.Sprintf([]string{"dt/s%[1]d/d%[1]d", "x/d%[1]d", "%[1]d"}[device%3], device))
		}
		c.open(b)
		for i, topic := range b.Topics {
			at := int(c.of[i]) * len(c.fields)
			if got, want := c.values[at:at+len(c.fields)], c.split(topic); !slices.Equal(got, want) {
				t.Fatalf("round %d: %s gives %v, want %v", round, topic, got, want)
			}
		}
		seen = max(seen, len(c.topics))
	}
	if seen < maxKnownTopics || len(c.topics) >= seen {
		t.Fatalf("%d topics were known at most, %d at the end: none were forgotten", seen, len(c.topics))
	}
}
