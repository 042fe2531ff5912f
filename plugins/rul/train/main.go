// Command train fits the model of the rul plugin to NASA's C-MAPSS data (Saxena et al. 2008, data set FD001) and writes its
// weights. The data is public and not part of this repository:
//
//	go run ./plugins/rul/train -data train_FD001.txt > plugins/rul/weights.h
//
// The model is a network of one hidden layer over sensors that are smoothed twice, fast and slowly, so that
// the plugin needs no window in its state. Engines 81 to 100 are held out: the weights never saw them. The same data gives
// the same weights: the random numbers have a seed, and the arithmetic one order.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

const (
	sensors = 14
	inputs  = 2*sensors + 1
	hidden  = 20
	fast    = 0.2
	slow    = 0.04
	most    = 125.0 // cycles: beyond it nothing can be seen of wear (Heimes 2008)
	heldOut = 80    // engines after this one
)

// columns are the sensors that move, of the file's 26 columns.
var columns = [sensors]int{6, 7, 8, 11, 12, 13, 15, 16, 17, 18, 19, 21, 24, 25}

type sample struct {
	engine int
	x      [inputs]float64
	y      float64 // share of most
}

type model struct {
	w1 [hidden][inputs]float64
	b1 [hidden]float64
	w2 [hidden]float64
	b2 float64
}

func main() {
	data := flag.String("data", "", "train_FD001.txt of the C-MAPSS data")
	flag.Parse()
	rows, err := read(*data)
	if err != nil {
		log.Fatal(err)
	}
	mean, dev := scales(rows)
	samples := smooth(rows, mean, dev)
	m, average := train(samples)
	log.Printf("engines 1-%d: RMSE %.2f; engines %d-100, held out: RMSE %.2f cycles (RUL capped at %g), over their last 50 cycles %.2f",
		heldOut, m.rmse(samples, 0, heldOut, most), heldOut+1, m.rmse(samples, heldOut, 1000, most), most, m.rmse(samples, heldOut, 1000, 50))
	log.Printf("always answering the mean: %.2f", average)
	if err := write(m, mean, dev); err != nil {
		log.Fatal(err)
	}
}

func read(name string) (rows [][]float64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		var row []float64
		for _, word := range strings.Fields(s.Text()) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		if len(row) == 26 {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// scales are mean and deviation of each sensor over the engines that are not held out.
func scales(rows [][]float64) (mean, dev [sensors]float64) {
	for i, c := range columns {
		n, sum, squares := 0.0, 0.0, 0.0
		for _, r := range rows {
			if r[0] <= heldOut {
				n, sum, squares = n+1, sum+r[c], squares+r[c]*r[c]
			}
		}
		mean[i] = sum / n
		dev[i] = math.Sqrt(squares/n - mean[i]*mean[i])
	}
	return mean, dev
}

// smooth does what the plugin does, row by row.
func smooth(rows [][]float64, mean, dev [sensors]float64) (list []sample) {
	last := map[float64]float64{}
	for _, r := range rows {
		last[r[0]] = r[1]
	}
	var f, s [sensors]float64
	var wf, ws float64
	for _, r := range rows {
		if r[1] == 1 {
			f, s, wf, ws = [sensors]float64{}, [sensors]float64{}, 0, 0
		}
		wf, ws = wf+fast*(1-wf), ws+slow*(1-ws)
		x := sample{engine: int(r[0]), y: math.Min(last[r[0]]-r[1], most) / most}
		for i, c := range columns {
			v := (r[c] - mean[i]) / dev[i]
			f[i] += fast * (v - f[i])
			s[i] += slow * (v - s[i])
			x.x[i], x.x[sensors+i] = f[i]/wf, s[i]/ws
		}
		x.x[2*sensors] = r[1] / 100
		list = append(list, x)
	}
	return list
}

func (m *model) run(x *[inputs]float64, h *[hidden]float64) float64 {
	y := m.b2
	for j := range hidden {
		a := m.b1[j]
		for i, v := range x {
			a += m.w1[j][i] * v
		}
		h[j] = math.Max(a, 0)
		y += m.w2[j] * h[j]
	}
	return y
}

func (m *model) rmse(list []sample, from, to int, below float64) float64 {
	var h [hidden]float64
	n, sum := 0.0, 0.0
	for i := range list {
		if s := &list[i]; s.engine > from && s.engine <= to && s.y*most <= below {
			d := (math.Min(math.Max(m.run(&s.x, &h), 0), 1) - s.y) * most
			n, sum = n+1, sum+d*d
		}
	}
	return math.Sqrt(sum / n)
}

// train is stochastic gradient descent with Adam (Kingma and Ba 2015) on the squared error.
func train(list []sample) (*model, float64) {
	var own []*sample
	mean, squares := 0.0, 0.0
	for i := range list {
		if list[i].engine <= heldOut {
			own = append(own, &list[i])
			mean += list[i].y
		}
	}
	mean /= float64(len(own))
	for _, s := range own {
		squares += (s.y - mean) * (s.y - mean) * most * most
	}
	r := rand.New(rand.NewPCG(7, 7))
	m := &model{b2: 0.5}
	for j := range hidden {
		m.w2[j] = r.NormFloat64() * 0.2
		for i := range inputs {
			m.w1[j][i] = r.NormFloat64() / math.Sqrt(inputs)
		}
	}
	a := &adam{}
	const epochs, batch = 60, 32
	for epoch := range epochs {
		rate := 0.002 * (1 - float64(epoch)/epochs)
		r.Shuffle(len(own), func(i, k int) { own[i], own[k] = own[k], own[i] })
		for at := 0; at+batch <= len(own); at += batch {
			a.step(m, m.gradient(own[at:at+batch]), rate)
		}
	}
	return m, math.Sqrt(squares / float64(len(own)))
}

func (m *model) gradient(list []*sample) *model {
	g := &model{}
	var h [hidden]float64
	for _, s := range list {
		e := (m.run(&s.x, &h) - s.y) / float64(len(list))
		g.b2 += e
		for j := range hidden {
			g.w2[j] += e * h[j]
			if h[j] <= 0 {
				continue
			}
			d := e * m.w2[j]
			g.b1[j] += d
			for i, v := range s.x {
				g.w1[j][i] += d * v
			}
		}
	}
	return g
}

type adam struct {
	m, v model
	t    float64
}

func (m *model) each(f func(i int, p *float64)) {
	n := 0
	one := func(p *float64) { f(n, p); n++ }
	for j := range hidden {
		for i := range inputs {
			one(&m.w1[j][i])
		}
		one(&m.b1[j])
		one(&m.w2[j])
	}
	one(&m.b2)
}

func (a *adam) step(m, g *model, rate float64) {
	a.t++
	var grads, firsts, seconds []*float64
	g.each(func(_ int, p *float64) { grads = append(grads, p) })
	a.m.each(func(_ int, p *float64) { firsts = append(firsts, p) })
	a.v.each(func(_ int, p *float64) { seconds = append(seconds, p) })
	c1, c2 := 1-math.Pow(0.9, a.t), 1-math.Pow(0.999, a.t)
	m.each(func(i int, p *float64) {
		d := *grads[i] + 1e-4**p // a little decay
		*firsts[i] = 0.9**firsts[i] + 0.1*d
		*seconds[i] = 0.999**seconds[i] + 0.001*d*d
		*p -= rate * (*firsts[i] / c1) / (math.Sqrt(*seconds[i]/c2) + 1e-8)
	})
}

func write(m *model, mean, dev [sensors]float64) error {
	w := bufio.NewWriter(os.Stdout)
	list := func(name string, values []float64) {
		fmt.Fprintf(w, "static const float %s[] = {", name)
		for i, v := range values {
			if i%10 == 0 {
				fmt.Fprint(w, "\n ")
			}
			text := strconv.FormatFloat(v, 'g', 7, 32)
			if !strings.ContainsAny(text, ".e") {
				text += ".0"
			}
			fmt.Fprintf(w, " %sf,", text)
		}
		fmt.Fprintln(w, "\n};")
	}
	fmt.Fprintf(w, "/* Written by train; see README.md. */\n#define SENSORS %d\n#define INPUTS %d\n#define HIDDEN %d\n#define FAST %g\n#define SLOW %g\n#define MOST %g\n", sensors, inputs, hidden, fast, slow, most)
	list("MEAN", mean[:])
	list("DEV", dev[:])
	var w1 []float64
	for j := range hidden {
		w1 = append(w1, m.w1[j][:]...)
	}
	list("W1", w1)
	list("B1", m.b1[:])
	list("W2", m.w2[:])
	list("B2", []float64{m.b2})
	return w.Flush()
}
