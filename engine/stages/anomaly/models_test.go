package anomaly

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// fleet is models of some keys, which live through snapshots, restarts, other thresholds and labels.
type fleet struct {
	t      *testing.T
	cfg    detect.Config
	tables []*state.Table
	chains [][]*state.Snapshot
	m      *models
}

func newFleet(t *testing.T, cfg detect.Config) *fleet {
	f := &fleet{t: t, cfg: cfg}
	d := f.detector()
	for _, decl := range decls("x", cfg.Signals, d.Size(), state.DefaultMaxKeys) {
		f.tables = append(f.tables, state.New(decl))
	}
	f.chains = make([][]*state.Snapshot, len(f.tables))
	f.open()
	return f
}

func (f *fleet) detector() *detect.Detector {
	d, err := detect.New(f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

func (f *fleet) open() {
	f.m = openModels(&program{cfg: f.cfg, seed: 5, on: make([]stage.Column, f.cfg.Signals)}, f.detector(), f.tables)
}

// row lets the model of a key learn a row, and gives its score.
func (f *fleet) row(key string, at int64, x []float64) float64 {
	slot, _, err := f.tables[0].Slot([]byte(key))
	if err != nil {
		f.t.Fatal(err)
	}
	var v detect.Verdict
	f.m.d.Step(f.m.model(slot), at, x, &v)
	f.m.learnt(slot, at, x)
	return v.Score + v.Grade
}

func (f *fleet) label(key string, fault bool) {
	a := anomaly{program: program{by: []stage.Column{{Type: arrow.BinaryTypes.String}}}, table: f.tables[0], d: f.m.d, m: f.m}
	a.Label([]string{key}, fault)
}

// snapshot adds to the chains; it returns how many bytes.
func (f *fleet) snapshot(full, pieces bool) (n int) {
	for i, t := range f.tables {
		if pieces {
			t.Ahead(full, 30_000)
		}
		raw := t.Snapshot(full).AppendTo(nil)
		s, err := state.DecodeSnapshot(raw)
		if err != nil {
			f.t.Fatal(err)
		}
		f.chains[i] = append(f.chains[i], s)
		n += len(raw)
	}
	return n
}

func (f *fleet) restore() {
	for i, t := range f.tables {
		again, err := state.Restore(t.Decl(), f.chains[i]...)
		if err != nil {
			f.t.Fatal(err)
		}
		f.tables[i] = again
	}
	f.open()
}

// TestModelsComeBack: models that are restored from what is written of them, and the rows since, are those that never were
// away, bit for bit, whatever threshold was in force when rows came.
func TestModelsComeBack(t *testing.T) {
	for seed := range uint64(6) {
		cfg := detect.Config{Kind: "ensemble", Signals: 1 + int(seed)%2, WarmUp: 10, Threshold: 0.5, Quiet: 5}
		cfg.Forest.Trees, cfg.Forest.Samples = 6, 32
		r := rand.New(rand.NewPCG(seed, 3))
		calm, tried := newFleet(t, cfg), newFleet(t, cfg)
		if tried.m.whole == nil {
			t.Fatal("such models have no log")
		}
		for i := range 1000 {
			key, x := fmt.Sprint("device", r.IntN(6)), make([]float64, cfg.Signals)
			for s := range x {
				if x[s] = r.NormFloat64(); r.IntN(30) == 0 {
					x[s] = math.NaN()
				}
			}
			if a, b := calm.row(key, int64(i)*1e6, x), tried.row(key, int64(i)*1e6, x); a != b {
				t.Fatalf("seed %d, row %d: %v, undisturbed %v", seed, i, b, a)
			}
			switch r.IntN(60) {
			case 0:
				tried.snapshot(r.IntN(6) == 0, r.IntN(2) == 0)
				tried.restore()
			case 1, 2, 3:
				tried.snapshot(r.IntN(6) == 0, false)
			case 4:
				cfg.Threshold, cfg.PerWeek = 0.3+r.Float64(), 0
				if r.IntN(2) == 0 {
					cfg.Threshold, cfg.PerWeek = 0, 1+1000*r.Float64()
				}
				cfg.MaxRate = []float64{0, 0.1, 100}[r.IntN(3)]
				calm.cfg, tried.cfg = cfg, cfg
				calm.open()
				tried.open()
			case 5:
				fault := r.IntN(2) == 0
				calm.label(key, fault)
				tried.label(key, fault)
			case 6: // copied, and changed before the snapshot is taken
				for _, table := range tried.tables {
					table.Ahead(r.IntN(2) == 0, 30_000)
				}
			}
		}
		for slot := range uint32(calm.tables[0].Slots()) {
			if !bytes.Equal(calm.m.model(slot), tried.m.model(slot)) {
				t.Errorf("seed %d: the model of slot %d is another one", seed, slot)
			}
		}
	}
}

// TestLogsAreShort: what is written of models with a checkpoint after every row is a small part of them, no checkpoint holds
// many of them whole, and what a model has to learn again is bounded.
func TestLogsAreShort(t *testing.T) {
	const devices, rounds = 64, 150
	f := newFleet(t, detect.Config{Kind: "ensemble", Signals: 1})
	size, written, most := f.m.d.Size(), 0, 0
	for i := range rounds {
		for d := range devices {
			f.row(fmt.Sprint("device", d), int64(i)*1e6, []float64{float64(i % 7)})
		}
		n := f.snapshot(false, false)
		written += n
		most = max(most, n)
		f.chains = make([][]*state.Snapshot, len(f.tables))
	}
	if whole := devices * rounds * size; written*40 > whole {
		t.Errorf("%d bytes written; models written whole each time would be %d", written, whole)
	}
	if most > devices*size/10 {
		t.Errorf("%d bytes with one checkpoint; all models are %d", most, devices*size)
	}
	for slot := range uint32(devices) {
		if n := len(f.tables[0].Bytes(colLog, slot)); n > logMost*entryBytes(1) {
			t.Errorf("a log of %d bytes", n)
		}
	}
}
