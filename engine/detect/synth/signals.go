package synth

import (
	"math"
	"slices"
)

// signal is a kind of telemetry.
type signal struct {
	name  string
	every []int             // minutes between rows, one of these
	cycle func(day int) int // rows a cycle, of rows a day; nil: it has none
	low   float64           // what it cannot be under
	high  float64           // what it cannot be over
	grain float64           // resolution of the sensor; 0: fine
	make  func(*player) func(*knobs) (clean, noise float64)
}

// knobs are what a fault turns while a signal plays.
type knobs struct {
	t     float64 // place in the signal's life, in rows
	noise float64 // factor of the noise
}

// player is a signal while it is made.
type player struct {
	r   *chance
	day float64 // rows a day
	cyc float64 // rows a cycle; 0: none
}

func (p *player) between(low, high float64) float64 { return low + (high-low)*p.r.Unit() }

func (p *player) normal() float64 { return p.r.normal() }

// heavy is a factor that makes of normal noise Student's t with three degrees of freedom.
func (p *player) heavy() float64 {
	return math.Sqrt(1 / (sq(p.normal()) + sq(p.normal()) + sq(p.normal()) + 0.01))
}

// ar is noise with a memory and standard deviation 1.
func (p *player) ar(phi float64) func() float64 {
	y, fresh := 0.0, math.Sqrt(1-phi*phi)
	return func() float64 {
		y = phi*y + fresh*p.normal()
		return y
	}
}

// episodes is a process that is on now and then: how many rows off and on, on average.
func (p *player) episodes(off, on float64) func() bool {
	left, is := p.r.exponential()*off, false
	return func() bool {
		if left--; left <= 0 {
			is = !is
			left = p.r.exponential() * off
			if is {
				left = 1 + p.r.exponential()*on
			}
		}
		return is
	}
}

// poisson is a count with a mean, by Knuth's product for small ones and as a normal for big ones.
func (p *player) poisson(mean float64) float64 {
	if mean > 30 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*p.normal()))
	}
	n, product := 0.0, p.r.Unit()
	for limit := math.Exp(-mean); product > limit; n++ {
		product *= p.r.Unit()
	}
	return n
}

func turn(t, period float64) float64 { return 2 * math.Pi * t / period }

// part is how far a cycle has come, 0 to 1.
func part(t, period float64) float64 { f := t / period; return f - math.Floor(f) }

// busy is a working day: a smooth plateau from morning to evening.
func busy(f float64) float64 {
	return 1 / (1 + math.Exp(-(f-0.33)*40)) * 1 / (1 + math.Exp((f-0.75)*40))
}

// free says whether a place in a signal's life is on a weekend.
func free(t, day float64) bool { return int(math.Floor(t/day))%7 >= 5 }

func daily(day int) int { return day }

var unlimited = math.Inf(1)

// signals are all kinds, those that repeat themselves first.
func signals() []signal {
	return slices.Concat(cycles(), loads(), plains(), machines(), people(), rooms(), servers(), programs(), plant(), works())
}

// cycles are signals that repeat themselves.
func cycles() []signal {
	return []signal{
		{"daily temperature", []int{5, 10, 15, 30, 60}, daily, -unlimited, unlimited, 0.1, func(p *player) func(*knobs) (float64, float64) {
			a, b, g := p.between(2, 10), p.between(0, 3), p.ar(0.95)
			return func(k *knobs) (float64, float64) {
				return 20 + a*math.Sin(turn(k.t, p.day)) + b*math.Sin(2*turn(k.t, p.day)+1), p.between(0.8, 1.2) * g()
			}
		}},
		{"weekly demand", []int{15, 30, 60}, daily, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			base, rest, rough, g := p.between(100, 5000), p.between(0.5, 0.9), p.between(0.02, 0.08), p.ar(0.7)
			return func(k *knobs) (float64, float64) {
				h := turn(k.t, p.day)
				v := base * (1.3 - math.Cos(h) - 0.4*math.Cos(2*h))
				if free(k.t, p.day) {
					v *= rest
				}
				return v, v * rough * g()
			}
		}},
		{"compressor cycles", []int{5, 10}, func(int) int { return 60 }, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			x, on, swing := 0.0, false, p.between(3, 8)
			return func(k *knobs) (float64, float64) {
				f := part(k.t, p.cyc) + 0.04*p.normal()
				on = f > 0.55
				goal := 4 + swing
				if on {
					goal = 4 - swing
				}
				x += 0.12 * (goal - x)
				return x, 0.25 * p.normal()
			}
		}},
		{"duty, on and off", []int{5, 10}, func(int) int { return 40 }, 0, 120, 0, func(p *player) func(*knobs) (float64, float64) {
			share, high := p.between(0.3, 0.7), p.between(40, 100)
			return func(k *knobs) (float64, float64) {
				if part(k.t, p.cyc)+0.03*p.normal() < share {
					return high, 1.5 * p.normal()
				}
				return 2, 0.4 * math.Abs(p.normal())
			}
		}},
		{"office load", []int{5, 10, 15}, daily, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			high, low, g := p.between(25, 60), p.between(5, 20), p.ar(0.8)
			return func(k *knobs) (float64, float64) {
				v := low
				if !free(k.t, p.day) {
					v += high * busy(part(k.t, p.day))
				}
				return v, v * 0.06 * g()
			}
		}},
	}
}

// loads are the signals that repeat themselves because people do.
func loads() []signal {
	return []signal{
		{"daily counts", []int{5, 15, 30, 60}, daily, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			mean, deep := p.between(3, 60), p.between(0.3, 0.9)
			return func(k *knobs) (float64, float64) {
				v := mean * (1 + deep*math.Sin(turn(k.t, p.day)))
				return v, p.poisson(v) - v
			}
		}},
		{"speed with rush hours", []int{5, 10, 15}, daily, 0, 85, 1, func(p *player) func(*knobs) (float64, float64) {
			deep, g := p.between(10, 35), p.ar(0.8)
			return func(k *knobs) (float64, float64) {
				f, v := part(k.t, p.day), 70.0
				if !free(k.t, p.day) {
					v -= deep * (math.Exp(-sq((f-0.33)/0.05)) + 0.8*math.Exp(-sq((f-0.72)/0.06)))
				}
				return v, 3 * g()
			}
		}},
		{"traffic with backups", []int{5, 10, 15}, daily, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			base, high, rough := p.between(1e4, 1e6), p.between(4, 12), p.between(0.15, 0.5)
			return func(k *knobs) (float64, float64) {
				v := base * (1 + 0.4*math.Sin(turn(k.t, p.day)))
				if f := part(k.t, p.day); f < 0.03 {
					v += high * base
				}
				return v, v * (math.Exp(rough*p.normal()) - 1)
			}
		}},
	}
}

func sq(x float64) float64 { return x * x }

// plains are the signals that do not.
func plains() []signal {
	return []signal{
		{"drifting sensor", []int{5, 10, 30}, nil, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			g, fast := p.ar(p.between(0.99, 0.998)), p.between(0.05, 0.3)
			return func(*knobs) (float64, float64) { return 80 + 8*g(), fast * 8 * p.normal() }
		}},
		{"pressure, flat", []int{5, 10, 15}, nil, -unlimited, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			g := p.ar(p.between(0, 0.9))
			return func(*knobs) (float64, float64) { return 6, 0.08 * g() }
		}},
		{"coarse sensor", []int{5, 15, 30}, nil, -unlimited, unlimited, 0.5, func(p *player) func(*knobs) (float64, float64) {
			g := p.ar(0.98)
			return func(*knobs) (float64, float64) { return 21 + 1.2*g(), 0.1 * p.normal() }
		}},
		{"counts with heavy tails", []int{5, 15}, nil, 0, unlimited, 1, func(p *player) func(*knobs) (float64, float64) {
			mean, rough, g := p.between(2, 40), p.between(0.5, 0.9), p.ar(0.9)
			return func(*knobs) (float64, float64) {
				v := mean * math.Exp(0.3*g())
				return v, v*math.Exp(rough*p.normal()) - v
			}
		}},
	}
}

// machines are those of machines at work.
func machines() []signal {
	return []signal{
		{"utilisation, at rest", []int{5, 10}, nil, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			low, job, episode := p.between(1, 8), p.between(5, 30), p.episodes(p.between(150, 400), p.between(2, 8))
			return func(*knobs) (float64, float64) {
				v := low
				if episode() {
					v += job * p.between(0.7, 1.2)
				}
				return v, 0.06 * low * p.normal()
			}
		}},
		{"utilisation, high", []int{5, 10}, nil, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			g, episode := p.ar(0.9), p.episodes(p.between(80, 300), p.between(4, 30))
			return func(*knobs) (float64, float64) {
				if episode() {
					return p.between(45, 80), 3 * g()
				}
				return 97, 4 * g()
			}
		}},
		{"disk that fills", []int{15, 30, 60}, nil, 0, 100, 0, func(p *player) func(*knobs) (float64, float64) {
			slope, top := p.between(0.005, 0.05), p.between(70, 92)
			x := p.between(20, 60)
			return func(*knobs) (float64, float64) {
				if x += slope * p.between(0.5, 1.5); x > top {
					x -= p.between(20, 50)
				}
				return x, 0.15 * p.normal()
			}
		}},
		{"latency", []int{5, 10, 15}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			low, rough, g := p.between(5, 200), p.between(0.1, 0.4), p.ar(0.6)
			return func(*knobs) (float64, float64) { return low, low * (math.Exp(rough*g()) - 1) }
		}},
		{"machine with three loads", []int{5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			x, goal, levels := 60.0, 60.0, [3]float64{p.between(50, 60), p.between(70, 80), p.between(85, 95)}
			change := 1 / p.between(40, 200)
			return func(*knobs) (float64, float64) {
				if p.r.Unit() < change {
					goal = levels[p.r.below(3)]
				}
				x += 0.1 * (goal - x)
				return x, 0.8 * p.normal()
			}
		}},
		{"vibration", []int{5, 10}, nil, 0, unlimited, 0, func(p *player) func(*knobs) (float64, float64) {
			g := p.ar(0.97)
			return func(*knobs) (float64, float64) {
				e := math.Exp(0.3 * g())
				return 2 * e, 2*e*math.Abs(0.4*p.normal()+0.4) - 0.8*e
			}
		}},
	}
}
