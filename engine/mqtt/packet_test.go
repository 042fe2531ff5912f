package mqtt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// notation turns the notation of testdata/packets/1_values.txt into bytes.
func notation(text string) ([]byte, error) {
	b, rest, err := part(text, "")
	if err == nil && strings.TrimSpace(rest) != "" {
		err = fmt.Errorf("%q is left over", rest)
	}
	return b, err
}

func part(text, until string) (out []byte, rest string, err error) {
	for {
		text = strings.TrimLeft(text, " ")
		switch {
		case text == "":
			if until != "" {
				err = fmt.Errorf("a %s is missing", until)
			}
			return out, "", err
		case text[0] == '}' && until == "}":
			return out, text[1:], nil
		case text[0] == '{' || text[0] == '~':
			end := ""
			if text[0] == '{' {
				end = "}"
			}
			var inner []byte
			if inner, text, err = part(text[1:], end); err != nil {
				return nil, "", err
			}
			out = append(appendVarint(out, uint32(len(inner))), inner...)
		case text[0] == '\'':
			end := strings.IndexByte(text[1:], '\'')
			if end < 0 {
				return nil, "", errors.New("a quote is not closed")
			}
			out = appendText(out, text[1:1+end])
			text = text[end+2:]
		default:
			word, after, _ := strings.Cut(text, " ")
			text = after
			count := 1
			if n, x, ok := strings.Cut(word, "*"); ok {
				if count, err = strconv.Atoi(n); err != nil {
					return nil, "", err
				}
				word = x
			}
			b, err := hex.DecodeString(word)
			if err != nil || len(b) == 0 {
				return nil, "", fmt.Errorf("%q: not hex", word)
			}
			out = append(out, bytes.Repeat(b, count)...)
		}
	}
}

type vector struct {
	at, clause string
	version    Version
	direction  string
	result     string
	bytes      []byte
}

func vectors(t testing.TB) []vector {
	files, _ := filepath.Glob("testdata/packets/*.txt")
	var all []vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			at := fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
			if line == "" || line[0] == '#' {
				continue
			}
			f := strings.SplitN(line, " | ", 5)
			if len(f) != 5 {
				t.Fatalf("%s: %q", at, line)
			}
			b, err := notation(f[4])
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			for _, v := range strings.TrimSpace(f[1]) {
				version := V311
				if v == '5' {
					version = V5
				}
				all = append(all, vector{at, strings.TrimSpace(f[0]), version, strings.TrimSpace(f[2]), strings.TrimSpace(f[3]), b})
			}
		}
	}
	if len(all) < 300 {
		t.Fatalf("only %d vectors", len(all))
	}
	return all
}

func testLimits() Limits { return Limits{Packet: 1 << 17, Levels: 32} }

func outcome(n int, err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return fmt.Sprintf("%02X", byte(e.Reason))
	case err != nil:
		return err.Error()
	case n == 0:
		return "more"
	}
	return "ok"
}

// TestVectors decodes the vectors; those that are right it also decodes cut
// short, with a packet behind, and after it has encoded them.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		var p Packet
		n, err := Decode(v.bytes, v.version, testLimits(), &p)
		if got := outcome(n, err); got != v.result {
			t.Errorf("%s [%s] version %d: %s (%v), want %s", v.at, v.clause, v.version, got, err, v.result)
			continue
		}
		if problem := same(v.bytes, v.version); problem != "" {
			t.Errorf("%s: %s", v.at, problem)
		}
		if v.result != "ok" {
			continue
		}
		if n != len(v.bytes) {
			t.Errorf("%s: %d bytes of %d", v.at, n, len(v.bytes))
		}
		for cut := range v.bytes[:min(len(v.bytes), 300)] {
			var q Packet
			if n, err := Decode(v.bytes[:cut], v.version, testLimits(), &q); n != 0 || err != nil {
				t.Errorf("%s cut at %d: %d, %v", v.at, cut, n, err)
			}
		}
		var q Packet
		if n, err := Decode(append(bytes.Clone(v.bytes), 0xC0, 0), v.version, testLimits(), &q); n != len(v.bytes) || err != nil {
			t.Errorf("%s with a packet behind it: %d, %v", v.at, n, err)
		}
		if problem := roundTrip(&p, v.version); problem != "" {
			t.Errorf("%s: %s", v.at, problem)
		}
	}
}

// same says how decoding b goes otherwise where the topic is known to be well formed from the packet before, as it mostly is.
func same(b []byte, v Version) string {
	var p, q Packet
	n, err := Decode(b, v, testLimits(), &p)
	if size, header, problem := Size(b); problem == nil && size > header+2 && size <= len(b) {
		end := min(header+2+int(binary.BigEndian.Uint16(b[header:])), size)
		if topic := b[header+2 : end]; (&Packet{Type: Publish, Topic: topic}).topic(testLimits()) == nil {
			q.Checked = topic
		}
	}
	m, problem := Decode(b, v, testLimits(), &q)
	if n != m || fmt.Sprint(err) != fmt.Sprint(problem) {
		return fmt.Sprintf("%d, %v; behind a packet to the topic %q %d, %v", n, err, q.Checked, m, problem)
	}
	if n == 0 {
		return ""
	}
	if a, b := content(&p), content(&q); !reflect.DeepEqual(a, b) || (p.RawProps == nil) != (q.RawProps == nil) || !bytes.Equal(p.RawProps, q.RawProps) {
		return fmt.Sprintf("decoded\n%v, and behind a packet to the topic %q\n%v", a, q.Checked, b)
	}
	return ""
}

// TestAnother looks which packets are decoded the short way.
func TestAnother(t *testing.T) {
	for text, short := range map[string]bool{
		"32 ~ 'a/b' 00 07 41":                       true,
		"3A ~ 'a/b' 00 07 41":                       true,
		"33 ~ 'a/b' FF FF":                          true,
		"32 ~ 'a/b' 00 07 200*41":                   true,
		"32 ~ 'a/b' 00 07 16000*41":                 true,
		"30 ~ 'a/b' 41":                             false,
		"34 ~ 'a/b' 00 07 41":                       false,
		"36 ~ 'a/b' 00 07 41":                       false,
		"32 ~ 'a/c' 00 07 41":                       false,
		"32 ~ 'a/bc' 00 07 41":                      false,
		"32 ~ 'a/b' 00 00 41":                       false,
		"32 ~ 'a/b' 00":                             false,
		"32 ~ 'a/b' 00 07 16500*41":                 false,
		"32 87 00 'a/b' 00 07":                      false,
		"32 06 'a/b' 00":                            false,
		"62 ~ 00 07":                                false,
		"32 ~ 'a/b' 00 07 00 41 with five":          true,
		"32 ~ 'a/b' 00 07 03 23 00 01 41 with five": false,
		"32 ~ 'a/b' 00 07 with five":                false,
	} {
		text, five := strings.CutSuffix(text, " with five")
		b, err := notation(text)
		if err != nil {
			t.Fatal(text, err)
		}
		v := V311
		if five {
			v = V5
		}
		p := Packet{Checked: []byte("a/b")}
		for _, more := range []string{"", "\x32\x00\x07\x00\x00\x00\x00"} { // of the next packet
			if n := p.another(append(bytes.Clone(b), more...), v, testLimits()); n != 0 != short || short && n != len(b) {
				t.Errorf("%s: %d of %d bytes, before %d others", text, n, len(b), len(more))
			}
		}
		if n := p.another(b, v, Limits{Packet: len(b) - 1}); n != 0 {
			t.Errorf("%s: %d bytes, and %d are the limit", text, n, len(b)-1)
		}
		if problem := same(b, v); problem != "" {
			t.Errorf("%s: %s", text, problem)
		}
	}
	// Three bytes of length, of which the third would pass for the topic's, and the topic's for its first letter.
	b, err := notation("32 ~ 00 41 17000*41")
	if err != nil {
		t.Fatal(err)
	}
	p := Packet{Checked: bytes.Repeat([]byte{0x41}, 256)}
	if n := p.another(b, V311, testLimits()); n != 0 {
		t.Errorf("a longer packet: %d of %d bytes", n, len(b))
	}
}

// TestAnotherHasNothingElse: what the packet before had is not taken for this one's.
func TestAnotherHasNothingElse(t *testing.T) {
	before, _ := notation("3B ~ 'a/b' 00 09 03 23 00 05 42")
	b, _ := notation("32 ~ 'a/b' 00 07 00 41")
	p, want := Packet{Checked: []byte("a/b")}, Packet{}
	for _, step := range []struct {
		b []byte
		p *Packet
	}{{before, &p}, {b, &p}, {b, &want}} {
		if n, err := Decode(step.b, V5, testLimits(), step.p); n != len(step.b) || err != nil {
			t.Fatal(n, err)
		}
	}
	if p.Props.Has(TopicAlias) || !reflect.DeepEqual(content(&p), content(&want)) {
		t.Errorf("decoded\n%v\nand not\n%v", content(&p), content(&want))
	}
}

// content is a packet without what depends on how it was encoded.
func content(p *Packet) any {
	type part struct {
		Has  uint64
		Nums []uint32
		Text []string
		Subs []uint32
		User []string
	}
	props := func(p *Props) part {
		s := part{Has: p.has, Subs: append([]uint32{}, p.SubscriptionIDs...)}
		for id := range propertyRules {
			if p.Has(Property(id)) && propertyRules[id].form < formText {
				s.Nums = append(s.Nums, p.num[id])
			} else if p.Has(Property(id)) && propertyRules[id].form != formPair {
				s.Text = append(s.Text, string(p.text[id]))
			}
		}
		for _, u := range p.User {
			s.User = append(s.User, string(u.Key), string(u.Value))
		}
		return s
	}
	l := p.Login
	if p.Type != Connect {
		l = Login{}
	}
	return []any{p.Type, p.Dup, p.Retain, p.QoS, p.ID, string(p.Topic), string(p.Payload), p.Reason, p.SessionPresent, string(p.Reasons),
		fmt.Sprintf("%v", p.Filters), props(&p.Props), props(&l.WillProps), l.Version, l.CleanStart, l.KeepAlive, string(l.ClientID),
		l.HasUser, l.HasPassword, string(l.User), string(l.Password), l.HasWill, l.WillRetain, l.WillQoS, string(l.WillTopic), string(l.WillPayload)}
}

func roundTrip(p *Packet, v Version) string {
	if p.Type == Connect {
		v = p.Login.Version
	}
	again := Append([]byte{1, 2, 3}, p, v)[3:]
	var q Packet
	n, err := Decode(again, v, testLimits(), &q)
	if n != len(again) || err != nil {
		return fmt.Sprintf("encoded as %x, which decodes to %d, %v", again, n, err)
	}
	if a, b := content(p), content(&q); !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("decoded\n%v, encoded and decoded\n%v", a, b)
	}
	return ""
}

// FuzzDecode looks that no bytes make the decoder panic or read beyond them, and that
// what it takes comes back from the encoder.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f) {
		if len(v.bytes) < 1000 {
			f.Add(v.bytes, v.version == V5)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, five bool) {
		v := V311
		if five {
			v = V5
		}
		if problem := same(b[:len(b):len(b)], v); problem != "" {
			t.Error(problem)
		}
		var p Packet
		n, err := Decode(b[:len(b):len(b)], v, testLimits(), &p)
		if err != nil || n == 0 {
			return
		}
		if n > len(b) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		if problem := roundTrip(&p, v); problem != "" {
			t.Error(problem)
		}
	})
}

// TestDecodeAllocates nothing for what devices send all day.
func TestDecodeAllocates(t *testing.T) {
	for _, text := range []string{
		"32 ~ 'dt/berlin/trailer/d42/telemetry' 00 07 200*41",
		"32 ~ 'dt/berlin/trailer/d42/telemetry' 00 07 { 23 00 01 26 'k' 'v' } 200*41",
		"40 02 00 01", "C0 00",
	} {
		b, err := notation(text)
		if err != nil {
			t.Fatal(err)
		}
		v := V311
		if strings.Contains(text, "{") {
			v = V5
		}
		var p Packet
		if n := testing.AllocsPerRun(100, func() {
			if n, err := Decode(b, v, testLimits(), &p); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkDecodePublish(b *testing.B) {
	raw, _ := notation("32 ~ 'dt/berlin/trailer/d42/telemetry' 00 07 200*41")
	p := Packet{Checked: []byte("dt/berlin/trailer/d42/telemetry")}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := Decode(raw, V311, testLimits(), &p); n == 0 || err != nil {
			b.Fatal(err)
		}
	}
}
