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
	v.Ready = true
	if d.only != byForest {
		v.Score = j.shown(score, d.usual())
	}
	over := d.over(j, score, digits)
	j.recent = max(over, j.recent-1/float64(d.cfg.Quiet))
	if over < j.nudge || j.since < int64(d.cfg.Quiet) && over < j.peak+grows {
		return
	}
	j.peak, j.since = over, 0
	v.Grade = 1 - 0.5*math.Exp(j.nudge-over)
}

// shown is a score as it goes out: what comes in the shadow of one that was over the
// kind's own threshold is cut to just under it. Whatever threshold is configured, scores are the same.
func (j *jury) shown(score, usual float64) float64 {
	switch over := score - usual; {
	case over < 0:
	case j.after < defaultQuiet && over < j.top+grows:
		return min(score, max(usual-0.1, 0))
	default:
		j.top, j.after = over, 0
	}
	return score
}

// usual is the kind's own threshold.
func (d *Detector) usual() float64 {
	if d.only == members {
		return defaultScore
	}
	return defaultDigit
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
		want, score = max(math.Log10(rows/d.cfg.PerWeek), 0.5), digits
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
