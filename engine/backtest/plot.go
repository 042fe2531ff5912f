package backtest

import (
	"errors"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	shape "gonum.org/v1/plot/vg/draw"
)

// plotPoints is how many points of a series are drawn at most; where there are
// more, the lowest and the highest of each stretch are.
const plotPoints = 4000

// Plot writes a picture of a series: above its first signal, of the name on, with what would have been usual, labels and alerts, and
// below a detector's scores as they were held against the threshold, which is a line. format is svg or png.
func Plot(w io.Writer, format, title, on string, s *Series, r *Report, n int) error {
	above, below := plot.New(), plot.New()
	above.Title.Text, above.Y.Label.Text, below.Y.Label.Text = title, on, "score"
	x := func(i int) float64 { return float64(s.Times[i]) / 1e6 }
	value, score := func(i int) float64 { return s.Values[i][0] }, func(i int) float64 { return r.raw[n][i] }
	least, most := extent(len(s.Times), value)
	band := func(of []float64) func(i int) float64 {
		return func(i int) float64 { return clamp(of[i], least, most) }
	}
	p := picture{s, x}
	if err := p.labels(above, least, most, "label"); err != nil {
		return err
	}
	p.line(above, band(r.Lower[n]), color.RGBA{R: 170, G: 200, B: 230, A: 255}, "")
	p.line(above, band(r.Upper[n]), color.RGBA{R: 170, G: 200, B: 230, A: 255}, "usual")
	p.line(above, value, color.RGBA{R: 40, G: 70, B: 120, A: 255}, on)
	low, high := extent(len(s.Times), score)
	if err := p.labels(below, low, high, ""); err != nil {
		return err
	}
	p.line(below, score, color.RGBA{R: 40, G: 70, B: 120, A: 255}, "")
	if r.Threshold > 0 {
		p.line(below, func(int) float64 { return r.Threshold }, color.RGBA{R: 200, G: 30, B: 30, A: 255}, "threshold")
		below.Legend.Top, below.Legend.Left = true, true
	}
	if err := errors.Join(p.alerts(above, r, n, value, "alert"), p.alerts(below, r, n, score, "")); err != nil {
		return err
	}
	for _, one := range []*plot.Plot{above, below} {
		one.X.Tick.Marker = plot.TimeTicks{Format: "2006-01-02"}
		one.X.Min, one.X.Max = x(0), x(len(s.Times)-1)
	}
	above.Legend.Top, above.Legend.Left = false, true
	canvas, err := shape.NewFormattedCanvas(28*vg.Centimeter, 14*vg.Centimeter, format)
	if err != nil {
		return err
	}
	all := shape.New(canvas)
	const upper = 9 * vg.Centimeter // of the canvas
	parts := [][]shape.Canvas{{shape.Crop(all, 0, 0, all.Max.Y-all.Min.Y-upper, 0)}, {shape.Crop(all, 0, 0, 0, -upper)}}
	left := max(above.DataCanvas(parts[0][0]).Min.X, below.DataCanvas(parts[1][0]).Min.X)
	for i, one := range []*plot.Plot{above, below} {
		part := parts[i][0]
		one.Draw(shape.Crop(part, left-one.DataCanvas(part).Min.X, 0, 0, 0)) // axes stand one above the other
	}
	_, err = canvas.WriteTo(w)
	return err
}

// picture draws parts of one series.
type picture struct {
	s *Series
	x func(i int) float64
}

// labels are areas from one height to another.
func (d picture) labels(p *plot.Plot, least, most float64, name string) error {
	for i, l := range d.s.Labels {
		area, err := plotter.NewPolygon(plotter.XYs{{X: float64(l.From) / 1e6, Y: least}, {X: float64(l.To) / 1e6, Y: least}, {X: float64(l.To) / 1e6, Y: most}, {X: float64(l.From) / 1e6, Y: most}})
		if err != nil {
			return err
		}
		area.Color, area.LineStyle.Width = color.RGBA{R: 250, G: 226, B: 190, A: 255}, 0
		p.Add(area)
		if i == 0 && name != "" {
			p.Legend.Add(name, area)
		}
	}
	return nil
}

func (d picture) line(p *plot.Plot, y func(i int) float64, c color.RGBA, name string) {
	line, err := plotter.NewLine(thin(len(d.s.Times), d.x, y))
	if err != nil {
		return // a detector without a band
	}
	line.Color, line.Width = c, vg.Points(0.6)
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
}

func (d picture) alerts(p *plot.Plot, r *Report, n int, y func(i int) float64, name string) error {
	var at plotter.XYs
	for _, a := range r.Alerts {
		if v := y(a.Row); a.Series == n && !math.IsNaN(v) && !math.IsInf(v, 0) {
			at = append(at, plotter.XY{X: d.x(a.Row), Y: v})
		}
	}
	if len(at) == 0 {
		return nil
	}
	dots, err := plotter.NewScatter(at)
	if err != nil {
		return err
	}
	dots.GlyphStyle = shape.GlyphStyle{Color: color.RGBA{R: 200, G: 30, B: 30, A: 255}, Radius: vg.Points(3), Shape: shape.CircleGlyph{}}
	p.Add(dots)
	if name != "" {
		p.Legend.Add(name, dots)
	}
	return nil
}

func clamp(v, least, most float64) float64 { return min(max(v, least), most) }

func extent(n int, y func(i int) float64) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for i := range n {
		if v := y(i); !math.IsNaN(v) && !math.IsInf(v, 0) {
			least, most = min(least, v), max(most, v)
		}
	}
	return least, most
}

// thin keeps the lowest and the highest point of each stretch, without what is no number.
func thin(n int, x, y func(i int) float64) plotter.XYs {
	var out plotter.XYs
	each := max(n/(plotPoints/2), 1)
	for from := 0; from < n; from += each {
		low, high := -1, -1
		for i := from; i < min(from+each, n); i++ {
			v := y(i)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			if low < 0 || v < y(low) {
				low = i
			}
			if high < 0 || v > y(high) {
				high = i
			}
		}
		if low < 0 {
			continue
		}
		for _, i := range []int{min(low, high), max(low, high)} {
			if len(out) == 0 || out[len(out)-1].X < x(i) {
				out = append(out, plotter.XY{X: x(i), Y: y(i)})
			}
		}
	}
	return out
}
