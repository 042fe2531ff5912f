package decode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

func TestEnvelope(t *testing.T) {
	for _, want := range []Envelope{
		{}, {Session: 7, Packet: 65_535}, {Session: 1 << 63, Packet: 1, Resent: true}, {Resent: true}, {Session: 3, Resent: true, Uses: 1 << 31}, {Session: 3, Many: true}, {Session: 3, Resent: true, Many: true, Settled: 1 << 62}, {Resent: true, Uses: 1, Settled: -1},
	} {
		for n := range 3 {
			e := want
			for i := range n {
				if !e.AddProperty(fmt.Sprint("name", i), strings.Repeat("v", i*300)) {
					t.Fatal("no room")
				}
			}
			b := e.Append(nil)
			got, err := ParseEnvelope(b)
			if err != nil || got.Session != want.Session || got.Packet != want.Packet || got.Resent != want.Resent || got.Uses != want.Uses || got.Many != want.Many || got.Settled != want.Settled {
				t.Errorf("%+v became %+v, %v", want, got, err)
			}
			for i := range n {
				if v, ok := got.Property(fmt.Sprint("name", i)); !ok || len(v) != i*300 {
					t.Errorf("property %d of %d is %q", i, n, v)
				}
			}
			if _, ok := got.Property("other"); ok {
				t.Error("a property out of nowhere")
			}
			for cut := 1; cut < len(b); cut++ {
				if _, err := ParseEnvelope(b[:cut]); err == nil {
					t.Errorf("%x cut to %d bytes was taken", b, cut)
				}
			}
			if _, err := ParseEnvelope(append(b, 0)); err == nil && len(b) > 0 {
				t.Errorf("%x and a byte more was taken", b)
			}
		}
	}
	var full Envelope
	for full.AddProperty("name", strings.Repeat("v", 5_000)) {
	}
	if n := len(full.Append(nil)); n > journal.MaxName {
		t.Errorf("an envelope of %d bytes", n)
	}
}

// Properties are columns; a record without one, or with an envelope that cannot be read, has a null.
func TestPropertyColumns(t *testing.T) {
	log, err := journal.Open(env.NewSim(1).Env(), "/d", journal.Options{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	e := Envelope{Session: 5, Packet: 1}
	e.AddProperty("plant", "north")
	e.AddProperty("plant", "south")
	bad := Envelope{}
	bad.AddProperty("plant", "\xff")
	for _, env := range [][]byte{nil, e.Append(nil), {255}, bad.Append(nil), nil} {
		if err := log.Appender().Append(journal.Batch{Records: []journal.Record{{Payload: []byte(`{"plant":"lies","v":1}`), Topic: "a/x", Envelope: env}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Appender().Flush(); err != nil {
		t.Fatal(err)
	}
	r, _ := log.Read(0, 0)
	b, err := r.Next()
	if err != nil || b == nil {
		t.Fatal(b, err)
	}
	defer b.Release()
	template, _ := ParseTopicTemplate("a/{device}")
	text := arrow.BinaryTypes.String
	d, err := NewJSON(Config{Topics: []TopicTemplate{template}, Fields: []Field{
		{Name: "device", Type: text, Topic: true}, {Name: "plant", Type: text, Topic: true, Property: true}, {Name: "v", Type: arrow.PrimitiveTypes.Float64},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out Result
	d.Decode(b, 0, &out)
	defer out.Rows.Release()
	var got []string
	for _, name := range []string{"plant", "device"} {
		col := out.Rows.Column(out.Rows.Schema().FieldIndices(name)[0]).(*array.String)
		for i := range col.Len() {
			if col.IsNull(i) {
				got = append(got, "null")
				continue
			}
			got = append(got, col.Value(i))
		}
	}
	if s := strings.Join(got, " "); s != "null north null null null x x x x x" {
		t.Error(s)
	}
}
