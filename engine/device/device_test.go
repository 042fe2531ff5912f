package device

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
)

// TestStore: attributes are merged, taken away and found again, also after the channel was compacted.
func TestStore(t *testing.T) {
	machine := env.NewSim(1)
	e := machine.Env()
	s, err := Open(e, "/data")
	must(t, err)
	set := func(d ...Device) {
		t.Helper()
		if _, _, err := s.Set(e, d); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		var many []Device
		for i := range 1500 {
			many = append(many, Device{ID: fmt.Sprintf("d%d", i), Attributes: map[string]string{"round": fmt.Sprint(round), "site": "lab"}})
		}
		set(many...)
	}
	set(Device{ID: "d1", Attributes: map[string]string{"site": "", "model": "x"}}, Device{ID: "d2", Gone: true})
	_, before := s.All()
	must(t, s.Close())
	s, err = Open(e, "/data")
	must(t, err)
	all, version := s.All()
	if len(all) != 1499 || version <= before || s.generation != 2 {
		t.Fatalf("%d devices, version %d after %d, generation %d", len(all), version, before, s.generation)
	}
	if want := map[string]string{"round": "2", "model": "x"}; !reflect.DeepEqual(all[1], Device{ID: "d1", Attributes: want}) {
		t.Errorf("got %+v", all[1])
	}
	if _, _, err := s.Set(e, []Device{{ID: "x", Attributes: map[string]string{"a b": "1"}}}); err == nil {
		t.Error("a name with a space was taken")
	}
	must(t, s.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTable: changes in several records, and one that says all there is.
func TestTable(t *testing.T) {
	r := NewTable(state.New(Decl()))
	var list []Device
	for i := range 20_000 {
		list = append(list, Device{ID: fmt.Sprintf("device-%d", i), Attributes: map[string]string{"site": "lab", "n": fmt.Sprint(i)}})
	}
	apply := func(bodies [][]byte) {
		for _, b := range bodies {
			c, err := ParseChange(b)
			must(t, err)
			r.Apply(c)
		}
	}
	bodies := Changes(list, 5, true)
	if len(bodies) < 2 {
		t.Fatalf("%d records; several are expected", len(bodies))
	}
	apply(bodies[:1])
	if r.Version != 0 {
		t.Error("half of a change has its version")
	}
	apply(bodies[1:])
	apply(Changes([]Device{{ID: "device-7", Attributes: map[string]string{"site": "field"}}, {ID: "device-8", Gone: true}}, 6, false))
	apply(Changes([]Device{{ID: "device-9", Gone: true}}, 6, false)) // of a version that it has
	again := NewTable(r.T)
	for id, want := range map[string]string{"device-7": "field", "device-8": "", "device-9": "lab", "nobody": ""} {
		for _, table := range []*Table{r, again} {
			if got, _ := table.Attribute([]byte(id), "site"); got != want || table.Version != 6 {
				t.Errorf("%s: %q, version %d", id, got, table.Version)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"id,site,model\nt1,lab,x\nt2,\"a,b\",\n", "[{t1 map[model:x site:lab] false} {t2 map[model: site:a,b] false}]"},
		{"site,id\nlab,t1\n", "[{t1 map[site:lab] false}]"},
		{"", "no header"},
		{"id,a b\n", "line 1"},
		{"id,site\nt1\n", "wrong number of fields"},
		{"id,site\n,lab\n", "line 2: an id has"},
	} {
		got, err := ReadCSV(strings.NewReader(c.text))
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%q: %s; want %s", c.text, text, c.want)
		}
	}
}

// FuzzChange: no bytes make ParseChange panic, and a table takes whatever it lets through.
func FuzzChange(f *testing.F) {
	f.Add((&Change{Version: 1, Devices: []Device{{ID: "a", Attributes: map[string]string{"b": "c"}}}}).Encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseChange(body)
		if err != nil {
			return
		}
		r := NewTable(state.New(Decl()))
		r.Apply(c)
		for _, d := range c.Devices {
			for name := range d.Attributes {
				r.Attribute([]byte(d.ID), name)
			}
		}
	})
}
