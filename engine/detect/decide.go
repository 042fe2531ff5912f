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
	var top [members]float64
	for s := range d.x {
		d.share[s] = 0
		if !d.seen[s] {
			continue
		}
		cals, n := d.calibrators(mem, s), 0
		for m := range byForest {
			if !d.has(m) {
				continue
			}
			raw := d.reads[s*members+m].raw
			digits := cals[n].Judge(raw)
			n++
			top[m] = max(top[m], digits-many)
			d.share[s] += d.weight[m] * digits * digits
		}
	}
	for m, digits := range top {
		if m != byForest && d.has(m) {
			sum += d.weight[m] * digits * digits
			total += d.weight[m]
		}
	}
	return math.Sqrt(sum / total)
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
// while, unless it has grown: what comes in its shadow is cut to just under the threshold.
func (d *Detector) verdict(j *jury, score, digits float64, v *Verdict) {
	if d.only != byForest {
		j.final.Learn(score)
	}
	j.since = min(j.since+1, math.MaxInt32)
	v.Score, v.Age = score, j.rows
	if j.rows <= int64(d.cfg.WarmUp) {
		v.Score = 0
		return
	}
	v.Ready = true
	over, is := d.over(j, score, digits)
	if !is {
		return
	}
	if j.since < int64(d.cfg.Quiet) && over < j.peak+grows {
		if d.only != byForest {
			v.Score = min(score, max(score-over-0.1, 0))
		}
		return
	}
	j.peak, j.since = over, 0
	v.Grade = 1 - 0.5*math.Exp(-over)
}

// over is by how much a score is above the threshold, in digits, and whether it is.
func (d *Detector) over(j *jury, score, digits float64) (float64, bool) {
	want := d.cfg.Threshold
	switch {
	case d.cfg.PerWeek > 0:
		rows := week / max(j.interval, 1)
		want, score = max(math.Log10(rows/d.cfg.PerWeek), 0.5), digits
	case want > 0 && d.only == byForest:
		return math.Log2(max(score/want, 1e-3)), score >= want
	case want > 0:
	case d.only == members:
		want = defaultScore
	default:
		want = defaultDigit
		if d.only == byForest {
			score = digits
		}
	}
	return score - want, score >= want
}
