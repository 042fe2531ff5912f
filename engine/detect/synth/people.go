package synth

import "math"

// people are signals that crowds make: counts with bursts that are nobody's fault, prices, roads.
func people() []signal {
	return []signal{
		{"mentions of a name", []int{5, 5, 15}, daily, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			mean, deep, loose := p.between(3, 80), p.between(0.3, 0.9), p.between(0.15, 0.5)
			g, news, event := p.ar(0.9), 0.0, 1/p.between(300, 1500)
			return func(k *knobs) (float64, float64) {
				if news *= 0.85; p.r.Unit() < event {
					news += 0.5 * math.Pow(p.r.Unit(), -0.6) // Pareto: most are small
				}
				v := mean * (1 + deep*math.Sin(turn(k.t, p.day)) + 0.3*deep*math.Sin(2*turn(k.t, p.day)+2))
				return v, p.poisson(v*math.Exp(loose*g()+0.1*p.normal())*(1+math.Min(news, 6))) - v
			}
		}},
		{"price of a click", []int{60}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			low, rough, g, deep := p.between(0.05, 2), p.between(0.15, 0.4), p.ar(p.between(0.3, 0.8)), p.between(0, 0.3)
			return func(k *knobs) (float64, float64) {
				v := low * (1 + deep*math.Sin(turn(k.t, p.day)))
				e := rough * g()
				if p.r.Unit() < 0.01 {
					e += p.between(0.4, 1.2)
				}
				return v, v * (math.Exp(e) - 1)
			}
		}},
		{"occupancy of a road", []int{5, 10, 15}, daily, 0, 100, 0.1, func(p *player) func(*knobs) (float64, float64) {
			high, rough := p.between(5, 20), p.between(0.15, 0.4)
			return func(k *knobs) (float64, float64) {
				f, v := part(k.t, p.day), 1.0
				v += 5 * busy(f)
				if !free(k.t, p.day) {
					v += high * (math.Exp(-sq((f-0.33)/0.04)) + 0.8*math.Exp(-sq((f-0.72)/0.06)))
				}
				return v, v * (math.Exp(rough*p.normal()) - 1)
			}
		}},
		{"time of a journey", []int{5, 10, 15}, daily, 30, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			low, rough, g := p.between(60, 400), p.between(0.05, 0.2), p.ar(0.7)
			jam := p.episodes(p.between(200, 800), p.between(3, 15))
			return func(k *knobs) (float64, float64) {
				f, v := part(k.t, p.day), low
				if !free(k.t, p.day) {
					v *= 1 + 0.8*math.Exp(-sq((f-0.72)/0.05)) + 0.4*math.Exp(-sq((f-0.33)/0.04))
				}
				e := math.Exp(rough * (g() + math.Abs(p.heavy()*p.normal())/2))
				if jam() {
					e *= p.between(1.2, 1.8)
				}
				return v, v * (math.Min(e, 8) - 1)
			}
		}},
	}
}

// rooms are signals of where people live and work.
func rooms() []signal {
	return []signal{
		{"keys pressed", []int{5, 10}, daily, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			mean, session := p.between(50, 600), p.episodes(p.between(6, 20), p.between(4, 20))
			return func(k *knobs) (float64, float64) {
				f := part(k.t, p.day)
				if is := session(); !is || free(k.t, p.day) && p.r.Unit() < 0.9 || p.r.Unit() > busy(f) {
					return 0, 0
				}
				return mean, mean*p.r.exponential() - mean
			}
		}},
		{"room, weekdays", []int{5, 15, 60}, daily, -unlimited, unlimited, 0.1, func(p *player) func(*knobs) (float64, float64) {
			x, night, day, g, sun := 18.0, p.between(14, 18), p.between(20, 23), p.ar(0.99), p.between(0, 1.5)
			slow := 1 - math.Exp(-24/p.day/p.between(0.5, 4))
			return func(k *knobs) (float64, float64) {
				goal := night
				if !free(k.t, p.day) {
					goal += (day - night) * busy(part(k.t, p.day))
				}
				x += slow * (goal + sun*math.Max(0, -math.Cos(turn(k.t, p.day))) - x)
				return x, 0.4*g() + 0.1*p.normal()
			}
		}},
		{"household's power", []int{5, 15, 30}, daily, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			base := p.between(80, 300)
			small, big := p.episodes(p.between(10, 40), p.between(2, 8)), p.episodes(p.between(60, 200), p.between(2, 10))
			return func(k *knobs) (float64, float64) {
				v := base * (1 + 0.6*busy(part(k.t, p.day)))
				e := 0.1 * v * p.normal()
				if small() {
					e += base * p.between(0.5, 2)
				}
				if big() {
					e += base * p.between(4, 9)
				}
				return v, e
			}
		}},
	}
}
