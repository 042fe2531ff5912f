package wasm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// A guest may refuse a row for what its memory holds and not for the row. So a row that is refused in company is
// given to a fresh instance, alone, with its key's state as it was before the row; what comes of that counts. For that, a piece with such
// rows is processed once more, in parts:
//
//	rows of the piece        . . . . x . . x x . . .      x: refused
//	processed as             [-----] 1 [-] 1 1 [---]      1: alone, in a fresh instance
//
// A part in which rows are refused after all is halved, and the halves are pieces of their own: that bounds the work
// by n log n calls' rows, whatever the guest does.

// errDoubt is that rows were refused that are to be tried alone; they stand in doubted, and nothing was kept of the call.
var errDoubt = errors.New("refused rows are to be tried alone")

// doubts notes the rows that an answer refuses.
func (r *Runner) doubts(a *answer, lo, n int) bool {
	if a.rejects == nil || a.rejects.nulls == n {
		return false
	}
	for row := range n {
		if a.rejects.valid(row) {
			r.doubted = append(r.doubted, lo+row)
		}
	}
	return true
}

// takeApart processes rows lo to hi, of which those in doubted from known on are to be tried alone.
func (r *Runner) takeApart(lo, hi, known int) {
	r.o.Count("cost_tried", int64(len(r.doubted)-known))
	at := lo
	for k := known; k < len(r.doubted); k++ {
		row := r.doubted[k]
		r.part(at, row)
		at = row + 1
		if !r.alone(row) {
			break // the refusals behind it may have the same cause
		}
	}
	r.part(at, hi)
	r.doubted = r.doubted[:known]
}

// part processes rows none of which should be refused.
func (r *Runner) part(lo, hi int) {
	if lo == hi || r.barred(lo, hi) {
		return
	}
	known := len(r.doubted)
	r.apart = true
	err := r.try(lo, hi)
	r.apart = false
	switch {
	case err == nil:
		r.sank(int64(hi - lo))
	case hi-lo > 1:
		r.doubted = r.doubted[:known]
		r.halve(lo, hi)
	case errors.Is(err, errDoubt):
		r.takeApart(lo, hi, known)
	default:
		r.lastTry(lo, err)
	}
}

// alone processes a row alone in a fresh instance. Whatever the guest does with it is the row's fate. It
// says whether the row is rejected.
func (r *Runner) alone(row int) bool {
	if r.barred(row, row+1) {
		return true
	}
	if err := r.freshen(); err != nil {
		r.fails(row, err)
		return true
	}
	refused := len(r.out.Rejects)
	r.instance, r.trial, r.apart = r.trial, r.instance, true
	err := r.try(row, row+1)
	r.instance, r.trial, r.apart = r.trial, r.instance, false
	if err != nil {
		r.fails(row, err)
		return true
	}
	r.sank(1)
	if len(r.out.Rejects) > refused {
		return true
	}
	r.unfounded(row)
	// What the other instance remembers is why the row was refused.
	r.instance, r.trial = r.trial, r.instance
	return false
}

// freshen makes the trial's instance as it was when it had come to life, or a new one.
func (r *Runner) freshen() (err error) {
	if r.trial != nil && r.trial.Used > 0 && !(r.image != nil && r.image.restore(r.trial)) {
		r.trial.Close()
		r.trial = nil
	}
	if r.trial != nil {
		return nil
	}
	r.o.Count("cost_instances", 1)
	if r.image != nil {
		r.trial, err = r.image.instance(r)
		return err
	}
	if r.trial, err = r.born(func(int, []byte) {}); err == nil {
		r.image = r.trial.image()
	}
	return err
}

// image is all that an instance is when it has come to life, of plugins that have no more than memory and globals.
type image struct {
	memory  []byte
	globals []uint64 // as the plugin keeps them
	seed    splitmix.Source
}

// maxImage is how much memory is kept for restoring.
const maxImage = 16 << 20

// image is taken of an instance that was not called yet; nil where it would not be all, or too much.
func (i *Instance) image() *image {
	if i.fuel == nil || i.plugin.kept == nil || i.memory.Size() > maxImage {
		return nil
	}
	m := &image{memory: bytes.Clone(i.view()), seed: i.seed}
	for _, name := range i.plugin.kept {
		m.globals = append(m.globals, i.module.ExportedGlobal(name).Get())
	}
	return m
}

// instance makes an instance that is as if it had come to life, which for a language with a runtime is most of the time.
func (m *image) instance(r *Runner) (*Instance, error) {
	i, err := r.plugin.instantiate(r.o.Settings, r.log, r.overdue)
	if err != nil {
		return nil, err
	}
	if more := len(m.memory) - len(i.view()); more > 0 {
		i.memory.Grow(uint32(more / pageBytes))
	}
	if !m.restore(i) {
		panic("BUG: an instance has not the memory that another had")
	}
	return i, nil
}

// imageBlock is how much memory is compared, and copied where it differs, at once: most of a guest's memory is as it was.
const imageBlock = 4096

// restore makes an instance what it was; false when it cannot be, since its memory has grown.
func (m *image) restore(i *Instance) bool {
	mem := i.view()
	if len(mem) != len(m.memory) {
		return false
	}
	for at := 0; at < len(mem); at += imageBlock { // pages of memory are whole blocks
		if from := m.memory[at : at+imageBlock]; !bytes.Equal(mem[at:at+imageBlock], from) {
			copy(mem[at:], from)
		}
	}
	for k, name := range i.plugin.kept {
		i.module.ExportedGlobal(name).(api.MutableGlobal).Set(m.globals[k])
	}
	i.region, i.room, i.line, i.seed, i.Used = 0, 0, i.line[:0], m.seed, 0
	return true
}

// maxUnfounded is how many refusals without ground somebody is told of.
const maxUnfounded = 64

// unfounded takes note that the guest refused a row which a fresh instance took. How often that happens follows from
// how rows are cut, so it must not decide about rows: like a deadline it is told, and only a record
// in the journal acts on it.
func (r *Runner) unfounded(row int) {
	r.o.Count("unfounded", 1)
	r.wrong++
	if r.wrong == maxUnfounded && r.o.Quarantine != nil {
		e := Evidence{Plugin: r.plugin, ByClock: true, Cause: fmt.Sprintf("it refused %d rows that a fresh instance takes: what it remembers in its memory decides", r.wrong)}
		if row < len(r.in.Offsets) {
			e.Offset = r.in.Offsets[row]
		}
		r.o.Quarantine(e)
	}
}
