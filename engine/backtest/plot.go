package backtest

import (
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

// Plot writes a picture of a series, a detector's scores, band and alerts. format is svg or png.
func Plot(w io.Writer, format, title string, s *Series, r *Report, n int) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Tick.Marker = plot.TimeTicks{Format: "2006-01-02"}
	p.Y.Label.Text = "value"
	x := func(i int) float64 { return float64(s.Times[i]) / 1e6 }
	value := func(i int) float64 { return s.Values[i][0] }
	least, most := extent(len(s.Times), value)
	for _, l := range s.Labels {
		area, err := plotter.NewPolygon(plotter.XYs{{X: float64(l.From) / 1e6, Y: least}, {X: float64(l.To) / 1e6, Y: least}, {X: float64(l.To) / 1e6, Y: most}, {X: float64(l.From) / 1e6, Y: most}})
		if err != nil {
			return err
		}
		area.Color, area.LineStyle.Width = color.RGBA{R: 250, G: 226, B: 190, A: 255}, 0
		p.Add(area)
	}
	for _, l := range []struct {
		y    func(i int) float64
		c    color.RGBA
		name string
	}{
		{func(i int) float64 { return clamp(r.Lower[n][i], least, most) }, color.RGBA{R: 170, G: 200, B: 230, A: 255}, ""},
		{func(i int) float64 { return clamp(r.Upper[n][i], least, most) }, color.RGBA{R: 170, G: 200, B: 230, A: 255}, "usual"},
		{value, color.RGBA{R: 40, G: 70, B: 120, A: 255}, "value"},
	} {
		line, err := plotter.NewLine(thin(len(s.Times), x, l.y))
		if err != nil {
			continue // a detector without a band
		}
		line.Color, line.Width = l.c, vg.Points(0.6)
		p.Add(line)
		if l.name != "" {
			p.Legend.Add(l.name, line)
		}
	}
	var at plotter.XYs
	for _, a := range r.Alerts {
		if v := value(a.Row); a.Series == n && !math.IsNaN(v) {
			at = append(at, plotter.XY{X: x(a.Row), Y: v})
		}
	}
	if len(at) > 0 {
		dots, err := plotter.NewScatter(at)
		if err != nil {
			return err
		}
		dots.GlyphStyle = shape.GlyphStyle{Color: color.RGBA{R: 200, G: 30, B: 30, A: 255}, Radius: vg.Points(3), Shape: shape.CircleGlyph{}}
		p.Add(dots)
		p.Legend.Add("alert", dots)
	}
	out, err := p.WriterTo(28*vg.Centimeter, 10*vg.Centimeter, format)
	if err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
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
