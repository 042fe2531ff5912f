package run

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// WithoutFigures writes the checkpoints of a data folder anew as versions without plan.FiguresDecl did, and returns
// how many tables they have less.
func WithoutFigures(e *env.Env, data string) (gone int, err error) {
	s, err := openStore(e, data+"/checkpoints")
	if err != nil {
		return 0, err
	}
	epochs, err := s.epochs()
	if err != nil {
		return 0, err
	}
	for _, epoch := range epochs {
		c, err := s.read(epoch)
		if err != nil {
			return gone, err
		}
		for i := range c.Parts {
			p := &c.Parts[i]
			was := *p
			p.Tables, p.snapshots = nil, nil
			for j, t := range was.Tables {
				if strings.HasSuffix(t.Decl.Name, ".figures") {
					gone++
					continue
				}
				p.Tables, p.snapshots = append(p.Tables, t), append(p.snapshots, was.snapshots[j])
			}
		}
		d := s.draft(c, 0, 1<<20)
		for d.begin(); d.next != nil; {
			if err := d.next(); err != nil {
				return gone, err
			}
		}
	}
	return gone, nil
}

// A stage may reject a row long after it came: also that is in the next checkpoint.
func TestLateRejectIsTouched(t *testing.T) {
	ch := &plan.Channel{Config: &config.Channel{Name: "c", Key: "k"}}
	d := &devices{figures: state.New(ch.FiguresDecl())}
	if _, err := d.figures.Anonymous(); err != nil {
		t.Fatal(err)
	}
	d.figures.Snapshot(false)
	d.rejectSlot(0)
	d.rejectSlot(1) // there are no figures of it yet
	if !d.figures.Touched(0) || d.of(0)[plan.FigureRejects] != 1 {
		t.Error("it is lost at a restart")
	}
}
