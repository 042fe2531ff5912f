package detect

import "math"

// score brings the members' surprises together: the root of their weighted mean
// square. One member that is very surprised counts, and several that
// are a little surprised together count as much. Of several signals, a member's is that
// of the oddest, less what the choice among them is worth.
func (d *Detector) score(mem []byte, forest float64) float64 {
	sum, total := 0.0, 0.0
	if d.has(byForest) {
		sum, total = d.weight[byForest]*forest*forest, d.weight[byForest]
	}
	many := math.Log10(float64(d.cfg.Signals)) / 2
	top := &d.top
	*top = [members]float64{byForest: forest}
	for s := range d.x {
		d.share[s] = 0
		if !d.seen[s] {
			continue
		}
		cals := d.calibrators(mem, s)
		for _, a := range d.asked {
			digits := d.reads[s*members+a.member].judge(cals[a.first:a.end])
			top[a.member] = max(top[a.member], digits-many)
			d.share[s] += d.weight[a.member] * digits * digits
		}
	}
	mute := d.learning(mem)
	for m, digits := range top {
		if m != byForest && m != mute && d.has(m) {
			sum += d.weight[m] * digits * digits
			total += d.weight[m]
		}
	}
	return math.Sqrt(sum / total)
}

// learning is the member of an ensemble that does not know what is usual yet and so has no voice, or none: resonance, for
// its first 64 blocks.
func (d *Detector) learning(mem []byte) int {
	if d.only != members {
		return -1
	}
	for s := range d.x {
		if d.res(mem, s).known >= resLearn {
			return -1
		}
	}
	return byResonance
}

// sides is how many calibrators a member has: in an ensemble two where too high and too low are different things.
func (d *Detector) sides(m int) int {
	if d.only != members {
		return 1
	}
	switch m {
	case byLevel, byEWMA, byRate, byShift, bySpread, bySeason, byTurn:
		return 2
	}
	return 1
}

// judge is how surprising a reading is, in digits. Of a member with two sides, high and low, the other side
// learns that this row was nothing to it, and a row has two chances to be odd.
func (r *reading) judge(by []Calibrator) float64 {
	const two = 0.30103 // digits of two chances
	if r.raw < 0 {
		return 0
	}
	if len(by) == 1 {
		return by[0].Judge(r.raw)
	}
	side, other := &by[0], &by[1]
	if r.low {
		side, other = other, side
	}
	other.Learn(0)
	return max(side.Judge(r.raw)-two, 0)
}

// shares says which signals the members found odd; a forest says it by itself.
func (d *Detector) shares(v *Verdict) {
	if d.only == byForest {
		return
	}
	sum := 0.0
	for _, s := range d.share {
		sum += s
	}
	if sum > 0 {
		for i, s := range d.share {
			v.Share[i] = s / sum
		}
	}
}

// verdict holds a score against the threshold. An alert is not repeated for a
// while, unless it has grown.
func (d *Detector) verdict(j *jury, score, digits float64, v *Verdict) {
	if d.only != byForest {
		j.final.Learn(score)
	}
	j.since, j.after = min(j.since+1, math.MaxInt32), min(j.after+1, math.MaxInt32)
	v.Score, v.Age = score, j.rows
	if j.rows <= int64(d.cfg.WarmUp) {
		v.Score = 0
		return
	}
	v.Ready, v.Raw = true, score
	if d.only != byForest {
		v.Score = j.shown(score, d.from(), d.loud())
	}
	over, quiet := d.over(j, score, digits), d.quiet(j)
	j.recent = max(over, j.recent-1/quiet)
	j.lean = max(j.lean-leanStep*d.cfg.PerWeek*j.interval/week, leanLeast)
	if !j.wakes(over, quiet) {
		return
	}
	v.Grade = 1 - 0.5*math.Exp(j.nudge-over)
	j.lean = min(j.lean+leanStep, leanMost)
}

// wakes tells whether a row that is so far above the threshold is an alert, and notes it.
func (j *jury) wakes(over, quiet float64) bool {
	if over < j.nudge || float64(j.since) < quiet && over < j.peak+grows {
		return false
	}
	j.peak, j.since = over, 0
	return true
}

// Alerts are the rows for which a model without labels raises alerts, by the raw scores of its rows (Verdict.Raw; NaN
// where a row was not judged), at the threshold of its configuration.
func (d *Detector) Alerts(raw []float64) (rows []int) {
	j := jury{since: math.MaxInt32}
	for i, score := range raw {
		if math.IsNaN(score) {
			continue
		}
		j.since = min(j.since+1, math.MaxInt32)
		if j.wakes(d.over(&j, score, score), float64(d.cfg.Quiet)) {
			rows = append(rows, i)
		}
	}
	return rows
}

const (
	leanFirst = -0.6 // digits: odd rows come in clusters of four, one alert each, before more is known
	leanStep  = 0.3
	leanLeast = -1.5
	leanMost  = 1
)

// quiet is for how many rows an alert is not repeated: where so many alerts a week are wanted and nothing is said, no
// longer than a quarter of the time between two.
func (d *Detector) quiet(j *jury) float64 {
	if d.cfg.PerWeek > 0 && !d.calm {
		return max(min(defaultQuiet, week/max(j.interval, 1)/d.cfg.PerWeek/4), 1)
	}
	return float64(d.cfg.Quiet)
}

// shown is a score as it goes out: in the quiet time after a score, what is not of a higher level is cut to under the
// lowest one. So whoever holds scores against a threshold, whatever it is, has an alert once. Levels are half a digit
// apart up to loud, from where on a score has to grow.
func (j *jury) shown(score, from, loud float64) float64 {
	cut := from - 0.1
	level := int((min(score, loud) - from) / quietStep)
	switch over := score - loud; {
	case score < from:
		return score
	case over >= 0 && j.after < defaultQuiet && over < j.top+grows:
		return cut
	case over >= 0:
		j.top, j.after = over, 0
	case j.rows-j.calm[level] < defaultQuiet:
		return cut
	}
	for i := range min(level+1, len(j.calm)) {
		j.calm[i] = j.rows
	}
	return score
}

// from is where a kind's scores begin a quiet time.
func (d *Detector) from() float64 {
	if d.only == members {
		return ensembleFrom
	}
	return quietFrom
}

// loud is where a kind's scores are events of their own.
func (d *Detector) loud() float64 {
	if d.only == members {
		return ensembleLoud
	}
	return defaultDigit
}

// usual is the kind's own threshold.
func (d *Detector) usual() float64 {
	switch d.only {
	case members:
		return defaultScore
	case byResonance:
		return shapeDigit
	}
	return defaultDigit
}

// Threshold is the Raw score from which a row is an alert, while no label has moved it; 0 where it moves by itself: where a rate is
// wanted, and of rcf, whose own threshold is of how rare a score is.
func (d *Detector) Threshold() float64 {
	switch {
	case d.cfg.PerWeek > 0 || d.cfg.Threshold == 0 && d.only == byForest:
		return 0
	case d.cfg.Threshold > 0:
		return d.cfg.Threshold
	}
	return d.usual()
}

const (
	nudgeMost = 3   // digits by which labels move a device's threshold at most
	nudgeDown = 1   // down at once: a fault that no score told of must not let everything through
	nudgeMore = 0.1 // beyond what the label was about
)

// Label takes a person's judgement of what the model has lately seen. As usual: the threshold of this
// model rises above what it woke for. A fault: it falls to what it did not wake for. What agrees with the
// model changes nothing. It returns the digits by which labels have moved the threshold.
func (d *Detector) Label(mem []byte, fault bool) float64 {
	j := d.jury(mem)
	if fault {
		j.nudge = max(min(j.nudge, j.recent-nudgeMore), j.nudge-nudgeDown, -nudgeMost)
	} else {
		j.nudge = min(max(j.nudge, j.recent+nudgeMore), nudgeMost)
	}
	return j.nudge
}

// over is by how much a score is above the threshold, in digits; below 0 it is not.
func (d *Detector) over(j *jury, score, digits float64) float64 {
	want := d.cfg.Threshold
	switch {
	case d.cfg.PerWeek > 0:
		rows := week / max(j.interval, 1)
		want, score = max(math.Log10(rows/d.cfg.PerWeek)+j.lean, 0.3), digits
	case want > 0 && d.only == byForest:
		return math.Log2(max(score/want, 1e-3))
	case want > 0:
	default:
		want = d.usual()
		if d.only == byForest {
			score = digits
		}
	}
	return score - want
}
