package synth

import "math"

// draw takes a fault that such a signal can have. most is the room that it has, in rows.
func draw(s signal, p *player, every, rows, at, most int) Fault {
	kinds := []string{"spike", "burst", "dip", "level", "for a while", "drift", "trouble", "noisier", "calmer", "stuck", "limit"}
	cycle := 0
	if s.cycle != nil {
		kinds = append(kinds, "skipped", "period", "shifted", "extra")
		cycle = s.cycle(24 * 60 / every)
	}
	f := Fault{Kind: kinds[p.r.below(len(kinds))], First: at, At: at}
	// Faults last minutes or days: as many from 3 to 10 rows as from 30 to 100.
	long := func(low, high float64) int {
		return max(int(min(low*math.Pow(high/low, p.r.Unit()), float64(most))), 1)
	}
	n := 0
	switch f.Kind {
	case "spike":
		n = 1 + p.r.below(3)
	case "burst", "dip":
		n = long(2, 60)
	case "level":
		n = rows
	case "for a while", "limit":
		n = long(3, 300)
	case "noisier":
		n = long(15, 300)
	case "drift":
		n = long(0.01*float64(rows), 0.12*float64(rows))
		f.At = at + n*2/3
	case "trouble":
		n = long(0.02*float64(rows), 0.1*float64(rows))
		f.First = at - n/2
	case "calmer":
		n = long(100, 500)
	case "stuck":
		n = long(20, 250)
	case "skipped", "shifted":
		n = max(cycle, long(30, 120))
	case "period":
		n = max(2*cycle, long(120, 300))
	case "extra":
		n = max(cycle/5, 12)
	}
	f.Last = min(f.First+n, rows) - 1
	if p.r.Unit() < 0.5 {
		f.Rough = p.between(1.5, 3)
	}
	f.Shock = p.r.Unit() < 0.4
	return f
}

// turn turns the knobs at row i, and returns how far the signal's life has got ahead.
func (f *Fault) turn(k *knobs, p *player, i int) (ahead float64) {
	if i < f.First || i > f.Last {
		return 0
	}
	if f.Rough > 0 && f.Kind != "stuck" && f.Kind != "calmer" {
		k.noise *= f.Rough
	}
	switch f.Kind {
	case "noisier":
		k.noise *= 4
	case "calmer":
		k.noise *= 0.15
	case "period":
		return 0.8
	case "shifted":
		k.t += p.cyc / 2
	}
	return 0
}

// change changes the values. Sizes are parts of the signal's range, and never less than its noise.
func (f *Fault) change(x []float64, z size, s signal, p *player) {
	sign := 1.0
	if s.low == 0 && p.r.Unit() < 0.25 || s.low != 0 && p.r.Unit() < 0.5 {
		sign = -1
	}
	big := p.between(0.8, 3)*z.wide() + p.between(2, 5)*z.step
	if p.r.Unit() < 0.3 {
		big = p.between(0.35, 0.8)*z.wide() + p.between(2, 5)*z.step
	}
	if f.Kind == "spike" || f.Kind == "burst" {
		big = max(big, p.between(0.6, 1.4)*z.far) // where spikes are usual, who labels looks at the highest
	}
	rows := x[f.First : f.Last+1]
	held := rows[0]
	bottom := z.low - p.between(0, 1)*z.wide()
	if s.low == 0 && p.r.Unit() < 0.5 {
		bottom = 0
	}
	top := min(z.high+p.between(0, 1)*z.wide(), s.high)
	if f.Kind == "trouble" {
		trouble(rows, sign*big, p)
		return
	}
	defer f.shock(x, big, p)
	for i := range rows {
		done := float64(i) / float64(len(rows))
		switch f.Kind {
		case "spike":
			rows[i] += sign * 1.5 * big
		case "burst":
			rows[i] += sign * 0.7 * big * math.Abs(1+p.normal())
		case "dip":
			rows[i] = bottom + z.step*p.normal()/2
		case "level", "for a while":
			rows[i] += sign * big * min(1, float64(i+1)/5)
		case "drift":
			rows[i] += sign * big * min(1, done*1.5)
			if done > 2.0/3 {
				rows[i] = bottom + z.step*p.normal()/2
			}
		case "stuck":
			rows[i] = held
		case "limit":
			rows[i] = top + z.step*p.normal()/4
		case "skipped":
			rows[i] = z.low + z.step*(p.normal()+1)/2
		case "extra":
			rows[i] += 0.8 * z.wide() * math.Sin(math.Pi*min(done+0.1, 0.9))
		}
	}
}

// shock is what often begins and ends a fault: somebody pulls a plug, a machine starts again.
func (f *Fault) shock(x []float64, big float64, p *player) {
	if !f.Shock || f.Kind == "spike" {
		return
	}
	x[f.First] -= 0.7 * big * math.Copysign(1, p.r.Unit()-0.7)
	for i := f.Last + 1; i < min(f.Last+1+p.r.below(6), len(x)); i++ {
		x[i] += 0.5 * big * p.normal()
	}
}

// trouble is a machine that is about to fail, or has: for hours or days it shows it now and again, in several ways.
func trouble(x []float64, big float64, p *player) {
	for range 3 + p.r.below(6) {
		at := p.r.below(len(x))
		n := int(2 * math.Pow(30, p.r.Unit()))
		part, rough := p.between(0.2, 1)*big, p.r.Unit() < 0.4
		for i := at; i < min(at+n, len(x)); i++ {
			if rough {
				x[i] += 0.7 * part * p.normal()
			} else {
				x[i] += part
			}
		}
	}
}
