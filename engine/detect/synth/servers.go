package synth

import "math"

// servers are signals of computers: mostly idle, with jobs by the clock, and another level after each release.
func servers() []signal {
	return []signal{
		{"processor, with releases", []int{5, 5, 10}, nil, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			level, change, every := p.between(2, 40), 1/p.between(800, 3000), math.Floor(p.between(12, 288))
			job, rough, i := p.between(0, 1.5), p.between(0.02, 0.12), 0.0
			return func(k *knobs) (float64, float64) {
				if p.r.Unit() < change {
					level = math.Min(math.Max(level*math.Exp(0.3*p.normal()), 1), 70)
				}
				v := level
				if i++; math.Mod(i, every) < 2 {
					v *= 1 + job*p.between(0.7, 1.3)
				}
				return v, rough * v * p.normal()
			}
		}},
		{"bytes written to a disk", []int{5, 5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			size, often, rough := math.Exp(p.between(8, 18)), p.between(0.05, 0.4), p.between(0.4, 1.1)
			return func(*knobs) (float64, float64) {
				if p.r.Unit() > often {
					return 0, 0
				}
				return size, size*math.Exp(rough*p.normal()) - size
			}
		}},
		{"bytes from the network", []int{5, 5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			size, rough, high := math.Exp(p.between(8, 16)), p.between(0.1, 0.6), p.between(2, 8)
			every, i, g := math.Floor(p.between(20, 300)), 0.0, p.ar(0.8)
			return func(*knobs) (float64, float64) {
				v := size
				if i++; math.Mod(i, every) < 3 {
					v *= high
				}
				return v, v * (math.Exp(rough*(0.7*g()+0.7*p.normal())) - 1)
			}
		}},
		{"requests to a door", []int{5, 5, 15}, daily, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			mean, deep, loose, g := p.between(10, 300), p.between(0.1, 0.7), p.between(0.2, 0.6), p.ar(0.5)
			return func(k *knobs) (float64, float64) {
				v := mean * (1 + deep*math.Sin(turn(k.t, p.day)))
				return v, p.poisson(v*math.Exp(loose*g())) - v
			}
		}},
	}
}

// programs are those with a state of their own.
func programs() []signal {
	return []signal{
		{"machines that come and go", []int{5, 10}, daily, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			have, base, deep := 10.0, p.between(8, 40), p.between(0.2, 0.6)
			return func(k *knobs) (float64, float64) {
				need := base * (1 + deep*math.Sin(turn(k.t, p.day))) * (1 + 0.05*p.normal())
				if need > 1.1*have {
					have = math.Ceil(1.15 * have)
				} else if need < 0.75*have {
					have = math.Max(1, math.Floor(0.9*have))
				}
				return have, 0
			}
		}},
		{"memory of a process", []int{5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			x, grow, most := 200.0, p.between(0.05, 1), p.between(400, 900)
			return func(*knobs) (float64, float64) {
				if x += grow * p.between(0, 2); x > most {
					x = p.between(150, 220)
				}
				return x, 3 * p.normal()
			}
		}},
		{"square wave", []int{5}, daily, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			low, high, rough := p.between(0, 30), p.between(40, 100), p.between(0, 5)*float64(p.r.below(2))
			from, to := p.between(0.2, 0.4), p.between(0.6, 0.8)
			return func(k *knobs) (float64, float64) {
				if f := part(k.t, p.day); f > from && f < to {
					return high, rough * p.r.Unit()
				}
				return low, rough * p.r.Unit()
			}
		}},
	}
}

// plant are signals of what starts, fills and shines by itself.
func plant() []signal {
	return []signal{
		{"pump, started and stopped", []int{5, 10}, nil, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			run, x, g := p.episodes(p.between(20, 120), p.between(30, 300)), 20.0, p.ar(0.95)
			warm := p.between(30, 60)
			return func(*knobs) (float64, float64) {
				goal := 20.0
				if run() {
					goal += warm
				}
				x += 0.15 * (goal - x)
				return x, g() + 0.3*p.normal()
			}
		}},
		{"tank, filled and drained", []int{5, 10, 15}, nil, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			x, drain, least := 80.0, p.between(0.1, 1), p.between(15, 35)
			fill := false
			return func(*knobs) (float64, float64) {
				switch {
				case fill:
					x += p.between(4, 8)
					fill = x < 85
				default:
					x -= drain * p.r.exponential()
					fill = x < least
				}
				return x, 0.4 * p.normal()
			}
		}},
		{"sun on a roof", []int{5, 15, 30, 60}, daily, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			top, cloud, g := p.between(1, 50), p.between(0.1, 0.6), p.ar(0.9)
			return func(k *knobs) (float64, float64) {
				v := top * math.Max(0, -math.Cos(turn(k.t, p.day))-0.1)
				return v, -v * cloud * math.Min(math.Abs(g()), 1.4)
			}
		}},
	}
}

// works are signals of machines that somebody runs.
func works() []signal {
	return []signal{
		{"machine under a varying load", []int{5}, daily, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			load, far, heat := p.ar(p.between(0.99, 0.998)), p.ar(p.between(0.9995, 0.9999)), 0.0
			deep, pause := p.between(0, 0.7), p.episodes(p.between(600, 3000), p.between(5, 60))
			return func(k *knobs) (float64, float64) {
				goal := 85 + 6*load() + 8*far() + deep*6*math.Sin(turn(k.t, p.day))
				if pause() {
					goal -= 20
				}
				if heat == 0 {
					heat = goal
				}
				heat += 0.1 * (goal - heat)
				return heat, 0.7 * p.normal()
			}
		}},
		{"flow by recipes", []int{5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			levels := [5]float64{0, p.between(5, 15), p.between(15, 30), p.between(30, 45), p.between(45, 60)}
			step, left := 0, 0.0
			lens := [5]float64{p.between(5, 30), p.between(5, 40), p.between(5, 40), p.between(5, 40), p.between(5, 40)}
			return func(*knobs) (float64, float64) {
				if left--; left < 0 {
					step = (step + 1) % 5
					left = lens[step] * p.between(0.85, 1.15)
				}
				return levels[step], 0.02*levels[step]*p.normal() + 0.1*p.normal()
			}
		}},
		{"damper, in steps", []int{5, 15}, daily, 0, 100, 5, func(p *player) func(*knobs) (float64, float64) {
			x, g := 40.0, p.ar(0.97)
			return func(k *knobs) (float64, float64) {
				goal := 40 + 25*math.Sin(turn(k.t, p.day)) + 12*g()
				if math.Abs(goal-x) > 7 {
					x = goal
				}
				return x, 0
			}
		}},
	}
}
