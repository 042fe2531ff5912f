package anomaly

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

// Columns of the tables; model is the only one of the table "whole", if there is one, beside how many rows it has learnt.
const (
	colLast   = 0 // of both layouts
	colModel  = 1 // of small models, which lie beside their last row
	colRows   = 1
	colJudged = 2
	colLog    = 3

	colWholeRows  = 0
	colWholeModel = 1
)

const (
	logMost  = 64 // rows in a log: a model is written once in so many rows, and they are learnt again after a restart
	logShare = 16 // a log is no longer than this part of a model
	logLeast = 16 // with less, a model is written as it is
)

// judged is what judges rows and does not shape a model: WarmUp, Threshold, PerWeek, Quiet, MaxRate. A row is learnt again under what was
// in force when it came, since the quiet time after an alert is part of a model.
type judged [5]float64

func judgedBy(c detect.Config) judged {
	return judged{float64(c.WarmUp), c.Threshold, c.PerWeek, float64(c.Quiet), c.MaxRate}
}

func (j judged) of(c detect.Config) detect.Config {
	c.WarmUp, c.Threshold, c.PerWeek, c.Quiet, c.MaxRate = int(j[0]), j[1], j[2], int(j[3]), j[4]
	return c
}

// logRows is how many rows the log of a model of so many bytes has; 0: it has none.
func logRows(signals, size int) int {
	n := min(logMost, size/logShare/entryBytes(signals))
	if n < logLeast {
		return 0
	}
	return n
}

// entryBytes are those of a row in a log: its time and its values.
func entryBytes(signals int) int { return 8 + 8*signals }

// decls are the tables of at most keys models of size bytes.
func decls(digest string, signals, size, keys int) []state.Decl {
	last := state.Column{Name: "last", Type: state.I64}
	rows := logRows(signals, size)
	if rows == 0 {
		return []state.Decl{{Name: "models", Digest: digest, MaxKeys: keys, BytesPlanned: size, Columns: []state.Column{last, {Name: "model", Type: state.Bytes}}}}
	}
	return []state.Decl{
		{Name: "models", Digest: digest, MaxKeys: keys, BytesPlanned: rows * entryBytes(signals), Columns: []state.Column{
			last, {Name: "rows", Type: state.I64}, {Name: "judged", Type: state.F64, Width: len(judged{})}, {Name: "log", Type: state.Bytes},
		}},
		{Name: "whole", Digest: digest, MaxKeys: keys, BytesPlanned: size, Keyless: true, Seldom: true, Columns: []state.Column{
			{Name: "rows", Type: state.I64}, {Name: "model", Type: state.Bytes},
		}},
	}
}

// models are the models of a stage's keys, in its tables. See doc.go, "State".
type models struct {
	keys   *state.Table // a slot a key
	whole  *state.Table // models, by the same slots; nil: they are small and lie in keys
	d      *detect.Detector
	cfg    detect.Config
	now    judged
	seed   uint64
	rows   int // in a log
	zeros  []byte
	x      []float64
	ignore detect.Verdict
	former *detect.Detector // judged rows before; nil: not asked for yet
	then   judged           // by which it does
}

func openModels(p *program, d *detect.Detector, tables []*state.Table) *models {
	m := &models{keys: tables[0], d: d, cfg: p.cfg, now: judgedBy(p.cfg), seed: p.seed, zeros: make([]byte, d.Size()), x: make([]float64, len(p.on))}
	if len(tables) > 1 {
		m.whole, m.rows = tables[1], logRows(len(p.on), d.Size())
	}
	return m
}

// model is the model of a slot, which has learnt all rows of its key so far.
func (m *models) model(slot uint32) []byte {
	if m.whole == nil {
		return m.begun(m.keys, colModel, slot)
	}
	if !m.whole.Live(slot) {
		m.match()
	}
	omit := !m.whole.Touched(slot)
	mem := m.begun(m.whole, colWholeModel, slot)
	if omit {
		m.whole.Omit(slot)
	}
	if learnt := m.keys.I64(colRows)[slot]; learnt != m.whole.I64(colWholeRows)[slot] {
		m.learnAgain(slot, mem, learnt)
	}
	if m.by(slot) != m.now {
		m.judgeAnew(slot)
	}
	return mem
}

// begun is a slot's model, which is begun where there is none.
func (m *models) begun(t *state.Table, col int, slot uint32) []byte {
	if mem := t.Bytes(col, slot); len(mem) > 0 {
		return mem
	}
	t.SetBytes(col, slot, m.zeros)
	mem := t.Bytes(col, slot)
	m.d.Init(mem, flow.Hash(m.keys.Key(slot))^m.seed)
	if m.whole == nil || m.keys.I64(colRows)[slot] == 0 {
		m.keys.I64(colLast)[slot] = math.MinInt64
	}
	return mem
}

// match gives each key a slot for its model: after a restart there are none of models that were not written yet.
func (m *models) match() {
	for m.whole.Len() < m.keys.Slots() {
		slot, err := m.whole.Anonymous() // the lowest that is free
		if err != nil {
			panic("BUG: there is room for keys and none for their models: " + err.Error())
		}
		m.whole.Omit(slot)
	}
}

// learnt notes a row that the model of a slot has just learnt.
func (m *models) learnt(slot uint32, at int64, x []float64) {
	m.keys.I64(colLast)[slot] = at
	m.keys.Touch(slot)
	if m.whole == nil {
		return
	}
	m.keys.I64(colRows)[slot]++
	n := m.keys.I64(colRows)[slot]
	m.whole.I64(colWholeRows)[slot] = n
	if m.whole.Touched(slot) { // it will be written with this row
		return
	}
	first := 1 + int64(flow.Hash(m.keys.Key(slot))%uint64(m.rows)) // so that not all are written at once
	if entry := entryBytes(len(x)); n == first || len(m.keys.Bytes(colLog, slot)) >= m.rows*entry {
		m.write(slot)
		return
	}
	log := m.keys.Extend(colLog, slot, entryBytes(len(x)))
	binary.LittleEndian.PutUint64(log, uint64(at))
	for i, v := range x {
		binary.LittleEndian.PutUint64(log[8+8*i:], math.Float64bits(v))
	}
}

// write lets the model of a slot be written whole with the next checkpoint.
func (m *models) write(slot uint32) {
	m.keys.Touch(slot)
	if m.whole != nil {
		m.whole.Touch(slot)
		m.keys.SetBytes(colLog, slot, nil)
	}
}

// learnAgain lets a model that was restored learn what came after it was written.
func (m *models) learnAgain(slot uint32, mem []byte, rows int64) {
	have := &m.whole.I64(colWholeRows)[slot]
	log, entry := m.keys.Bytes(colLog, slot), entryBytes(len(m.x))
	behind := rows - *have
	if behind < 0 || behind*int64(entry) > int64(len(log)) {
		panic(fmt.Sprintf("BUG: a model has learnt %d rows of %d, and its log has %d bytes", *have, rows, len(log)))
	}
	d := m.detector(m.by(slot))
	d.Silence(detect.Silent{Share: true, Bands: true})
	for log = log[len(log)-int(behind)*entry:]; len(log) > 0; log = log[entry:] {
		for i := range m.x {
			m.x[i] = math.Float64frombits(binary.LittleEndian.Uint64(log[8+8*i:]))
		}
		d.Step(mem, int64(binary.LittleEndian.Uint64(log)), m.x, &m.ignore)
	}
	*have = rows
}

// by is what judged the rows in the log of a slot.
func (m *models) by(slot uint32) judged {
	n := uint32(len(judged{}))
	return judged(m.keys.F64(colJudged)[slot*n : (slot+1)*n])
}

// judgeAnew ends a log whose rows were judged by something else. Its model has learnt them.
func (m *models) judgeAnew(slot uint32) {
	n := uint32(len(m.now))
	copy(m.keys.F64(colJudged)[slot*n:(slot+1)*n], m.now[:])
	if len(m.keys.Bytes(colLog, slot)) > 0 {
		m.write(slot)
	}
	m.keys.Touch(slot)
}

// detector judges by j.
func (m *models) detector(j judged) *detect.Detector {
	if m.former == nil || m.then != j {
		d, err := detect.New(j.of(m.cfg))
		if err != nil {
			panic("BUG: a detector that judged rows cannot be made again: " + err.Error())
		}
		m.former, m.then = d, j
	}
	return m.former
}
