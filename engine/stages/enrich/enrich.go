package enrich

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*enrich)(nil)

// outside is where a table comes from.
type outside interface {
	// wait asks for the table, and returns it when it is there.
	wait() ([]byte, error)
	// ask asks for it at a tick, us since 1970, and waits for nothing; what is still being asked for is not asked for again.
	ask(tick int64)
	// answer is what has come by a tick since it was last called, and whether anything has; nil where that says nothing new.
	answer(tick int64) (data []byte, came bool, err error)
	close() error
}

const (
	tickUsed   = iota // I64: the tick since which the version is in use
	tickLooked        // when it was last looked outside
	ticks
)

// enrich puts columns of a table beside rows.
type enrich struct {
	*program
	o        stage.Opening
	state    *state.Table
	versions *versions
	outside  outside
	now      *table
	digest   string

	cols  []*carry.Column
	found []bool
	key   []byte
	told  string // the failure to refresh that was told last; "" after a success
}

func open(p *program, o stage.Opening) (*enrich, error) {
	e := &enrich{program: p, o: o, state: o.Tables[0], key: []byte{}}
	for _, i := range p.added {
		e.cols = append(e.cols, carry.NewColumn(p.fields[i].Type))
	}
	var err error
	if e.versions, err = openVersions(o.Env, Folder(o.DataDir, o.Address, o.Partition), p.shown); err != nil {
		return nil, err
	}
	switch {
	case p.path != "":
		e.outside = &file{env: o.Env, path: p.path, most: p.bytes}
	case o.Ask != nil:
		e.outside = &pretended{program: p, says: o.Ask, address: o.Address}
	default:
		e.outside = p.servers.join(p, o.Address)
	}
	if err := e.start(); err != nil {
		_ = e.outside.close() // the other error says more
		if err = fmt.Errorf("%s cannot be used as a table: %w", p.shown, err); p.path == "" && o.Ask != nil {
			err = &stage.Unanswered{Address: o.Address, Err: err}
		}
		return nil, err
	}
	return e, nil
}

// start finds the version to begin with: the checkpoint's, or the first that was used, or what is outside.
func (e *enrich) start() error {
	if e.state.Len() > 0 {
		e.digest = string(e.state.Bytes(1, 0))
	} else if _, err := e.state.Anonymous(); err != nil {
		return err
	} else if v, ok := e.versions.first(); ok {
		e.digest = v.digest
		e.state.I64(0)[tickUsed] = v.tick
		e.state.SetBytes(1, 0, []byte(e.digest))
	}
	if e.digest != "" {
		data, err := e.versions.read(e.digest, e.bytes)
		if err == nil {
			e.now, err = e.parse(data)
		}
		if err == nil {
			return nil
		}
		if e.versions.closed {
			return fmt.Errorf("the version that was in use is not at hand any more: %w", err)
		}
		e.failed()
		e.tell(fmt.Sprintf("the version in use is not at hand, and another takes its place: %v", err))
	}
	data, err := e.outside.wait()
	if err != nil {
		return err
	}
	// No tick is known here: behind all others, so that the log stays in order.
	return e.use(data, max(e.versions.last()+1, e.state.I64(0)[tickUsed]))
}

// use makes another version the one in use from a tick on.
func (e *enrich) use(data []byte, tick int64) error {
	t, err := e.parse(data)
	if err != nil {
		return err
	}
	digest, err := e.versions.add(tick, data)
	if err != nil {
		return err
	}
	e.set(t, digest, tick)
	return nil
}

func (e *enrich) set(t *table, digest string, tick int64) {
	e.now, e.digest = t, digest
	e.state.I64(0)[tickUsed] = tick
	e.state.SetBytes(1, 0, []byte(digest))
}

func (e *enrich) failed() { e.o.Count("refresh_failed", 1) }

func (e *enrich) tell(what string) {
	if e.o.Report != nil {
		e.o.Report(fmt.Sprintf("%s: %s: %s", e.o.Address, e.shown, what))
	}
}

// stale is told that the table could not be had. It says so when that begins and when the reason changes, and the first
// partition alone says it, since all look at the same place; the counter has each failure of each.
func (e *enrich) stale(err error) {
	e.failed()
	if text := err.Error(); e.told != text {
		e.told = text
		if e.o.Partition == 0 {
			e.tell(text + "; the table stays as it was")
		}
	}
}

// fresh is told that the table could be had.
func (e *enrich) fresh() {
	if e.told != "" && e.o.Partition == 0 {
		e.tell("can be read again")
	}
	e.told = ""
}

// Process looks rows up.
func (e *enrich) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	keys := make([]arrow.Array, 0, len(e.by))
	for _, c := range e.by {
		keys = append(keys, c.Prog.Eval(rows, e.o.Alloc))
	}
	defer carry.Release(keys)
	e.found = e.found[:0]
	for i := range int(rows.NumRows()) {
		e.key = e.key[:0]
		null := false
		for _, c := range keys {
			null = null || c.IsNull(i)
			e.key = flow.AppendKey(e.key, c, i)
		}
		at, ok := e.now.rows[string(e.key)]
		ok = ok && !null
		e.found = append(e.found, ok)
		for k, col := range e.cols {
			if ok {
				col.From(e.now.cols[e.added[k]], int(at))
			} else {
				col.Null()
			}
		}
	}
	e.add.Emit(rows, e.cols, e.found, func(i int) string { return fmt.Sprintf("the table has nothing for %s", carry.KeyText(e.by, keys, i)) }, &e.o, out)
	return nil
}

// Advance looks at ticks for another version: first among those that were used at this tick before, then outside.
func (e *enrich) Advance(_ int, marks flow.Watermarks, _ flow.Emitter) error {
	if !marks.Ticked {
		return nil
	}
	t := e.state.I64(0)
	past := marks.Tick <= e.versions.last() || e.versions.closed
	if v, ok := e.versions.due(t[tickUsed], marks.Tick); ok {
		e.useAgain(v)
	}
	if past {
		return nil
	}
	if e.refresh != 0 && marks.Tick >= t[tickLooked]+e.refresh {
		t[tickLooked] = marks.Tick
		e.state.Touch(0)
		e.outside.ask(marks.Tick)
	}
	data, came, err := e.outside.answer(marks.Tick)
	if err == nil && data != nil && digestOf(data) != e.digest {
		if err = e.use(data, marks.Tick); err == nil {
			e.o.Count("refreshed", 1)
		}
	}
	if err != nil {
		e.stale(err)
	} else if came {
		e.fresh()
	}
	return nil
}

// useAgain makes a version that was used before the one in use.
func (e *enrich) useAgain(v version) {
	data, err := e.versions.read(v.digest, e.bytes)
	if err == nil {
		var now *table
		if now, err = e.parse(data); err == nil {
			e.set(now, v.digest, v.tick)
		}
	}
	if err != nil {
		e.state.I64(0)[tickUsed] = v.tick // it is not asked for at each tick
		e.state.Touch(0)
		e.failed()
		e.tell(fmt.Sprintf("a version that was used before is not at hand: %v", err))
	}
}

// Close lets go of what is outside.
func (e *enrich) Close() error { return e.outside.close() }
