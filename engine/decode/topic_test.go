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
		got := rowTexts(&out)
		out.Rows.Release()
		alloc.AssertSize(t, 0)
		if got != c.want {
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

// TestTopicOrPayload: what a topic does not give comes from the payload, and the payload is asked for nothing that the topic gives.
func TestTopicOrPayload(t *testing.T) {
	topics := []string{"dt/berlin/d1", "", "x/d3"}
	for _, c := range []struct {
		name, fields, explode string
		learn                 bool
		of                    []uint16
		records               []string
		want, rejects         string
		ignored               int
	}{
		{name: "in turn", fields: "site:string device:string temp:number", of: []uint16{0, 1, 2, 1},
			records: []string{`{"temp":1,"site":"s","device":"p"}`, `{"temp":2,"site":"s","device":"p\u0061"}`, `{"temp":3,"site":"s","device":"p"}`, `{"temp":4}`},
			want:    "berlin d1 1|s pa 2|s d3 3|null null 4", ignored: 3},
		{name: "no topics at all", fields: "site:string device:string", of: []uint16{1, 1}, records: []string{`{"device":"p","site":null}`, `{"device":""}`}, want: "null p|null "},
		{name: "no text", fields: "site:string device:string", of: []uint16{0, 1, 2, 1},
			records: []string{`{"device":7,"site":{"a":1}}`, `{"device":7,"site":"s"}`, `{"device":[1],"device":7}`, `{"device":"a","device":"b"}`},
			want:    "berlin d1|s null|null d3|null null", rejects: "101 device|103 device", ignored: 4},
		{name: "named twice where the topic tells", fields: "site:string device:string", of: []uint16{0, 1}, records: []string{`{"device":"a","device":"b"}`, `{"site":"s"}`},
			want: "berlin d1|s null", ignored: 1},
		{name: "a record that is none", fields: "site:string device:string temp:number", of: []uint16{1, 1, 0},
			records: []string{`{"device":"p","temp":1`, `{"device":"q","temp":2}`, `{"device":"r" "temp":2}`}, want: "null q 2", rejects: "100 |102 "},
		{name: "learned beside", fields: "site:string device:string", learn: true, of: []uint16{1, 0},
			records: []string{`{"device":"p","temp":1}`, `{"temp":2,"device":"liar","site":false}`}, want: "null p 1|berlin d1 2", ignored: 2},
		{name: "nobody reads one", fields: "site:string device:string! temp:number", of: []uint16{1, 0}, records: []string{`{"temp":1,"device":"p"}`, `{"temp":2}`}, want: "null 1|berlin 2"},
		{name: "exploded", fields: "site:string device:string m.v:number", explode: "m", of: []uint16{1, 0, 2},
			records: []string{`{"device":"p","m":[{"v":1},{"v":2}]}`, `{"m":[{"v":3},{"v":4}],"device":"p"}`, `{"m":[{"v":5}],"site":"s"}`},
			want:    "null p 1|null p 2|berlin d1 3|berlin d1 4|s d3 5", ignored: 1},
	} {
		cfg := topicConfig(t, c.fields, "dt/{site}/{device}", "x/{device}")
		for i := range cfg.Fields {
			cfg.Fields[i].OrPayload = cfg.Fields[i].Topic
		}
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		cfg.Learn, cfg.Explode, cfg.Alloc = c.learn, c.explode, alloc
		d, err := NewJSON(cfg)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for range 3 { // at first, when all is known, and once more
			b := blockOf(100, c.records...)
			b.Topics, b.TopicOf = topics, c.of
			var out Result
			d.Decode(b, 0, &out)
			if got := rowTexts(&out); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
			var rejects []string
			for _, r := range out.Rejects {
				rejects = append(rejects, fmt.Sprintf("%d %s", r.Offset, r.Field))
			}
			if got := strings.Join(rejects, "|"); got != c.rejects || out.Stats.Ignored != c.ignored {
				t.Errorf("%s: rejects %s, want %s; %d ignored, want %d", c.name, got, c.rejects, out.Stats.Ignored, c.ignored)
			}
			out.Rows.Release()
		}
		alloc.AssertSize(t, 0)
		seen := map[string]bool{}
		for _, f := range d.Fields() {
			if seen[f.Name] {
				t.Errorf("%s: %s stands twice", c.name, f.Name)
			}
			seen[f.Name] = true
		}
	}
}

// rowTexts is what rows hold beside metadata, in one line.
func rowTexts(out *Result) string {
	var rows []string
	for i := range int(out.Rows.NumRows()) {
		var cells []string
		for at, f := range out.Rows.Schema().Fields() {
			if f.Name[0] != '_' {
				cells = append(cells, strings.Trim(valueText(out.Rows.Column(at), i), `"`))
			}
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return strings.Join(rows, "|")
}

// TestTopicOrPayloadWays: all ways through a record give the same where topics and payloads take turns.
func TestTopicOrPayloadWays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	forms := []string{`"device":"p%[1]d","temp":%[1]d`, `"temp":%[1]d,"device":"p%[1]d"`, `"device":"a longer name than fits p%[1]d","temp":%[1]d`,
		`"temp":%[1]d`, `"device":%[1]d,"temp":1`, `"device":"\u0061%[1]d","temp":2`, `"device":null,"temp":%[1]d`}
	cfg := topicConfig(t, "device:string temp:number", "dt/{device}")
	cfg.Fields[0].OrPayload = true
	fast, err := NewJSON(cfg)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := NewJSON(cfg)
	if err != nil {
		t.Fatal(err)
	}
	slow.(*jsonDecoder).noPlans = true
	strips := 0
	for round := range 200 {
		var records []string
		var of []uint16
		form := random.IntN(len(forms))
		for i := range 300 {
			if random.IntN(150) == 0 {
				form = random.IntN(len(forms))
			}
			records, of = append(records, "{"+fmt.Sprintf(forms[form], i)+"}"), append(of, uint16(random.IntN(2)))
		}
		var a, b Result
		for d, out := range map[Decoder]*Result{fast: &a, slow: &b} {
			block := blockOf(uint64(1000*round), records...)
			block.Topics, block.TopicOf = []string{"dt/d1", "elsewhere"}, of
			d.Decode(block, 0, out)
		}
		if rowTexts(&a) != rowTexts(&b) || len(a.Rejects) != len(b.Rejects) || a.Stats.Ignored != b.Stats.Ignored {
			t.Fatalf("round %d: %s\nwant %s; %d rejects and %d; %d ignored and %d", round, rowTexts(&a), rowTexts(&b), len(a.Rejects), len(b.Rejects), a.Stats.Ignored, b.Stats.Ignored)
		}
		for i := range a.Rejects {
			if a.Rejects[i].Offset != b.Rejects[i].Offset || of[a.Rejects[i].Offset-int64(1000*round)] == 0 {
				t.Fatalf("round %d: %+v, want %+v", round, a.Rejects[i], b.Rejects[i])
			}
		}
		strips += a.Stats.Fast
		a.Rows.Release()
		b.Rows.Release()
	}
	if strips < 10_000 {
		t.Errorf("%d records went the fast way", strips)
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
