package detect

import (
	"math"
	"slices"
)

// track is the small part of a signal's state.
type track struct {
	signal signal
	ewma   ewma
	shift  shift
	spread spread
	stuck  stuck
}

// jury is the state that brings members and signals together.
type jury struct {
	rows     int64
	at       int64   // event time of the row before
	interval float64 // usual time between rows, microseconds
	peak     float64 // digits over the threshold of the last alert
	since    int64   // rows since then
	top      float64 // as peak and since, of scores as they go out
	after    int64
	calm     [6]int64 // the row of the last score that went out at this level or above
	nudge    float64  // digits by which labels have moved the threshold
	recent   float64  // the highest over the threshold lately, a digit less with every quiet time; not nudged
	lean     float64  // digits by which the alerts that there were have moved the threshold of a wanted rate
	forest   Calibrator
	final    Calibrator // of the score, for alerts a week
}

func (j *jury) init() {
	*j = jury{since: math.MaxInt32, after: math.MaxInt32, recent: -maxSurprise, lean: leanFirst}
	j.forest.Init(memory)
	j.final.Init(memory)
	for i := range j.calm {
		j.calm[i] = -defaultQuiet
	}
}

// Step scores a row and then learns it. at is its event time in
// microseconds, not before the row before; x has a value a signal, NaN where there is none.
func (d *Detector) Step(mem []byte, at int64, x []float64, v *Verdict) {
	j := d.jury(mem)
	gap := j.tick(at)
	*v = Verdict{Expected: v.Expected, Lower: v.Lower, Upper: v.Upper, Share: v.Share, Age: j.rows}
	d.room(v)
	present := 0
	for s, value := range x {
		d.x[s], d.seen[s] = tame(value)
		if d.seen[s] {
			present++
			d.signal(mem, s, at, gap, v)
		} else {
			d.absent(mem, s)
		}
	}
	if present == 0 {
		return
	}
	j.rows++
	if d.rel != nil {
		d.relate(mem)
	}
	raw, digits := d.together(mem, j, gap, 2*present >= len(x), v)
	score := d.score(mem, digits)
	d.shares(v)
	if d.only == byForest {
		d.verdict(j, raw, digits, v)
		return
	}
	d.verdict(j, score, j.final.Surprise(score), v)
}

// room gives a verdict its slices, without values.
func (d *Detector) room(v *Verdict) {
	for _, p := range []*[]float64{&v.Expected, &v.Lower, &v.Upper, &v.Share} {
		if len(*p) != d.cfg.Signals {
			*p = make([]float64, d.cfg.Signals)
		}
		nan(*p)
	}
	clear(v.Share)
	clear(d.reads)
}

// tick learns how often rows come, and says whether there was a gap.
func (j *jury) tick(at int64) bool {
	if j.rows == 0 {
		j.at = at
		return false
	}
	passed := float64(at - j.at)
	j.at = at
	gap := j.rows > 8 && passed > gapRows*j.interval
	if !gap {
		j.interval += (passed - j.interval) / min(float64(j.rows), 200)
	} else {
		j.interval *= 1.05
	}
	return gap
}

// signal asks the members of one signal.
func (d *Detector) signal(mem []byte, s int, at int64, gap bool, out *Verdict) {
	t := d.track(mem, s)
	seconds := float64(at-d.jury(mem).at)/1e6 + d.jury(mem).interval/1e6
	step := d.x[s] - t.signal.last
	known := t.signal.n > 0
	v := t.signal.see(at, d.x[s], gap)
	d.views[s], d.z[s], d.units[s] = v, v.z, v.unit
	r := d.reads[s*members : (s+1)*members]
	nothing := reading{expected: math.NaN(), lower: math.NaN(), upper: math.NaN()}
	r[byLevel] = nothing
	r[byLevel].raw, r[byLevel].low = math.Abs(v.z), v.z < 0
	level := v.level
	r[byLevel].expected, r[byLevel].lower, r[byLevel].upper = level, level-4*v.unit, level+4*v.unit
	r[byRate].raw, r[byRate].low = math.Abs(v.step), v.step < 0
	r[byRate].expected, r[byRate].lower, r[byRate].upper = d.x[s]-step, math.NaN(), math.NaN()
	if d.cfg.MaxRate > 0 && known && !gap && math.Abs(step) > d.cfg.MaxRate*seconds {
		r[byRate].raw = wide
	}
	t.ewma.step(&v, &t.signal, &r[byEWMA])
	t.shift.step(&v, &r[byShift])
	t.spread.step(&v, &r[bySpread])
	t.stuck.step(&v, &t.signal, &r[byStuck])
	changed := false
	if p := d.season(mem, s); p != nil {
		r[bySeason] = nothing
		p.step(&v, &t.signal, &r[bySeason])
		changed = p.changed
	}
	if p := d.disc(mem, s); p != nil {
		p.step(&v, &r[byDiscord])
	}
	if p := d.half(mem, s); p != nil {
		p.step(&v, &r[byHalfSpace])
	}
	if p := d.blocks(mem, s); p != nil {
		p.step(&v, &r[byTurn], &r[bySwing])
	}
	if p := d.res(mem, s); p != nil {
		p.step(&v, &r[byResonance])
		if p.anew > 0 {
			d.anew(mem, s, byResonance)
		}
	}
	if changed {
		d.anew(mem, s, bySeason)
	}
	band := bySeason
	if d.only < byForest {
		band = d.only
	}
	if b := r[band]; band == byLevel || band == byEWMA || band == byRate || band == byShift || band == bySeason {
		out.Expected[s], out.Lower[s], out.Upper[s] = b.expected, b.lower, b.upper
	}
}

// anew lets a member's calibrators forget.
func (d *Detector) anew(mem []byte, s, member int) {
	i := slices.IndexFunc(d.asked, func(a asked) bool { return a.member == member })
	cals := d.calibrators(mem, s)[d.asked[i].first:d.asked[i].end]
	for i := range cals {
		cals[i].Init(memory)
	}
}

// absent stands in for a missing value: the last one, or the level where none was.
func (d *Detector) absent(mem []byte, s int) {
	t := d.track(mem, s)
	d.x[s] = t.signal.last
	d.units[s] = t.signal.width(t.signal.scale)
	d.z[s] = min(max((t.signal.last-t.signal.level)/d.units[s], -wide), wide)
}

// relate asks each signal's relation to the others.
func (d *Detector) relate(mem []byte) {
	d.rel.attach(mem[d.offs.rel:])
	d.rel.step(d.z, d.seen, func(s int, raw float64) { d.reads[s*members+byRelation].raw = raw })
}

// together asks the forest; raw is its score, digits how surprising that is.
func (d *Detector) together(mem []byte, j *jury, gap, enough bool, v *Verdict) (raw, digits float64) {
	if d.forest == nil {
		return 0, 0
	}
	f := d.forest
	f.Attach(d.forestMem(mem))
	if gap {
		f.Gap()
	}
	in := d.x
	if d.cfg.Signals > 1 {
		in = d.z // signals of several units have to be brought to one
	}
	if !f.Push(in) {
		return 0, 0
	}
	if f.Ready() {
		raw = f.Score(f.point)
		if d.only == byForest {
			d.explain(v)
		}
		digits = j.forest.Judge(raw)
	}
	if enough {
		f.Update()
	}
	return raw, digits
}

// explain says what the forest would have expected, and who is to blame.
func (d *Detector) explain(v *Verdict) {
	f := d.forest
	if !d.silent.Share {
		f.Attribution(f.point, v.Share)
	}
	if d.silent.Bands {
		return
	}
	for s := range d.x {
		mid, low, high := f.Impute(f.point, f.dims-d.cfg.Signals+s)
		if d.cfg.Signals > 1 {
			level := d.views[s].level
			mid, low, high = level+mid*d.units[s], level+low*d.units[s], level+high*d.units[s]
		}
		v.Expected[s], v.Lower[s], v.Upper[s] = mid, low, high
	}
}
