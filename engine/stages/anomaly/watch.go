package anomaly

import (
	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/stage"
)

// Watch describes a stage that was opened to whoever looks on.
type Watch struct {
	Address   string
	Partition int
	By, On    []string
	Config    detect.Config
	Seed      uint64 // of the stage; a model's is the hash of its key besides
	// Key is the key of a slot, as models know it and for a person. For the stage's goroutine only.
	Key func(slot uint32) (key []byte, name string)
}

// Seen is told of each row that was judged and learnt, on the stage's goroutine. What it gets is borrowed.
type Seen func(slot uint32, at int64, x []float64, v *detect.Verdict)

// Watched are Specs whose stages tell what they see; open is called as each stage opens.
func Watched(open func(Watch) Seen) []stage.Spec {
	specs := Specs()
	for i := range specs {
		kind := specs[i].Type
		specs[i].Args = func() stage.Args { return &args{kind: kind, watch: open} }
	}
	return specs
}

// watched lets whoever looks on begin; nil where nobody does.
func (a *anomaly) watched() Seen {
	if a.watch == nil {
		return nil
	}
	names := func(cols []stage.Column) (out []string) {
		for _, c := range cols {
			out = append(out, c.Name)
		}
		return out
	}
	return a.watch(Watch{
		Address: a.o.Address, Partition: a.o.Partition, By: names(a.by), On: names(a.on), Config: a.cfg, Seed: a.seed,
		Key: func(slot uint32) ([]byte, string) {
			return a.table.Key(slot), a.named(slot, "/")
		},
	})
}
