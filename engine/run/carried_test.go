package run_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// header reads the header of the newest checkpoint.
func (l *lab) header() (h struct {
	Epoch uint64
	Chain []uint64
	Parts []map[string]any
}) {
	l.t.Helper()
	names := l.files("/data/checkpoints", ".checkpoint")
	if len(names) == 0 {
		l.t.Fatal("there is no checkpoint")
	}
	f, err := l.machine.Env().FS.Open(names[len(names)-1], env.ReadOnly)
	l.must(err)
	defer f.Close()
	head := make([]byte, 12)
	_, err = f.ReadAt(head, 0)
	l.must(err)
	text := make([]byte, binary.LittleEndian.Uint32(head[8:]))
	_, err = f.ReadAt(text, 12)
	l.must(err)
	l.must(json.Unmarshal(text, &h))
	return h
}

// carried is what a checkpoint says of each partition, without its tables and whether somebody reads it.
func (l *lab) carried() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, p := range l.header().Parts {
		delete(p, "tables")
		delete(p, "idle")
		out[fmt.Sprint(p["channel"], "/", p["partition"])] = p
	}
	return out
}

// TestCarried: where nothing comes in, a checkpoint says of each partition what the one before said, to the letter,
// over a restart, a swap, and a time in which nobody reads the channels.
func TestCarried(t *testing.T) {
	l := newLab(t)
	l.write("/in/data.ndjson", rollupInput(5, 5*100))
	text := strings.Replace(rollups, "  schema     = { ts = timestamp, device = string, site = string, temp = number }\n", "", 1)
	l.open(text, false)
	l.settle() // ticks come
	l.close()
	l.complete(text)
	want := l.carried()
	for id, p := range want {
		for _, k := range []string{"next", "ended", "tick", "label"} {
			if (p[k] == nil || p[k] == 0.0) && (k != "next" || !strings.HasPrefix(id, "minutes")) { // where no device has its rows
				t.Errorf("%s has no %s: this check cannot fail", id, k)
			}
		}
		lanes, fed := p["lanes"].([]any)
		if learns := strings.HasPrefix(id, "telemetry"); learns != strings.Contains(fmt.Sprint(p["fields"]), "site") || learns == fed {
			t.Errorf("%s: %v", id, p)
		}
		for _, lane := range lanes {
			if s := lane.(map[string]any); s["next"] == 0.0 || s["label"] == 0.0 || s["ended"] == nil {
				t.Errorf("%s has a lane that says nothing: %v", id, s)
			}
		}
	}
	text = strings.Replace(text, `tick       = "50ms"`, `tick       = "1h"`, 1)
	same := func(what string, change func()) {
		t.Helper()
		before := l.header().Epoch
		change()
		l.steps(func() bool { return l.header().Epoch > before })
		got := l.carried()
		for id, p := range want {
			if !reflect.DeepEqual(got[id], p) {
				t.Errorf("after %s, %s:\n%v, and not\n%v", what, id, got[id], p)
			}
		}
	}
	const others = `
engine {
  checkpoint = "20ms"
  tick       = "1h"
}
channel "x" {}
pipeline "x" {
  from = channel.x
  sink "file" "rows" { path = "/out/x.ndjson" }
}
`
	same("a restart", func() { l.open(text, false) })
	same("a swap", func() { l.must(l.swap(text + "variable \"v\" { default = 1 }\n")) })
	same("all went", func() { l.must(l.swap(others)) })
	same("all came back", func() { l.must(l.swap(text)) })
	l.close()
	same("a start without them", func() { l.open(others, false) })
	l.close()
	same("a start with them", func() { l.open(text, false) })
	l.close()
}
