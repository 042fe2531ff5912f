// A plot is drawn with Braille characters, each two dots wide and four high
// (Unicode 2800 to 28FF; the bits of a dot are in dots):
//
//	 8.0 ┤⠤⣀        ⢀⡠
//	     │   ⠑⢄  ⢀⠔⠁
//	 2.0 ┤     ⠉⠁
//	     └──────────────
//	     01-31 00:00   06:00

package query

import (
	"bufio"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a plot.
const (
	plotSeries = 8 // drawn one below the other
	leastWidth = 40
	mostWidth  = 300
)

// plotter draws each column of numbers over the first column of times; where there is a column of texts, each of
// its values is a series of its own.
type plotter struct {
	out           *bufio.Writer
	width, height int
	cols          []Column
	time, text    int // columns; -1 if there is none
	numbers       []int
	series        map[string][]point
	order         []string
	left          map[string]bool // series that are not drawn
}

type point struct {
	at time.Time
	y  float64
}

func (p *plotter) Begin(cols []Column) error {
	p.cols, p.time, p.text, p.series, p.left = cols, -1, -1, map[string][]point{}, map[string]bool{}
	for i, c := range cols {
		switch {
		case strings.HasPrefix(c.Type, "TIMESTAMP"), c.Type == "DATE":
			if p.time < 0 {
				p.time = i
			}
		case c.Type == "VARCHAR" || strings.HasPrefix(c.Type, "ENUM"):
			if p.text < 0 {
				p.text = i
			}
		case numeric(c.Type):
			p.numbers = append(p.numbers, i)
		}
	}
	switch {
	case p.time < 0:
		return &Problem{Message: "there is nothing to plot over: no column of the answer is a time", Right: "SELECT ts, temp FROM lake"}
	case len(p.numbers) == 0:
		return &Problem{Message: "there is nothing to plot: no column of the answer is a number", Right: "SELECT ts, temp FROM lake"}
	}
	return nil
}

func numeric(typ string) bool {
	switch typ {
	case "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT", "HUGEINT":
		return true
	}
	return strings.HasPrefix(typ, "DECIMAL")
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case Number:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	}
	return 0, false
}

func (p *plotter) Row(values []any) error {
	at, ok := values[p.time].(time.Time)
	if !ok {
		return nil // null: it has no place in time
	}
	for _, i := range p.numbers {
		y, ok := number(values[i])
		if !ok {
			continue
		}
		name := p.cols[i].Name
		if p.text >= 0 {
			if name += " of "; values[p.text] != nil {
				name += cell(display(values[p.text], ""))
			}
		}
		if _, known := p.series[name]; !known {
			if len(p.order) == plotSeries {
				p.left[name] = true
				continue
			}
			p.order = append(p.order, name)
		}
		p.series[name] = append(p.series[name], point{at, y})
	}
	return nil
}

func (p *plotter) End(_ *Summary, err error) error {
	if err != nil {
		return p.out.Flush()
	}
	if len(p.order) == 0 {
		fmt.Fprintln(p.out, "No rows to plot.")
	}
	for i, name := range p.order {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		p.draw(name, p.series[name])
	}
	if len(p.left) > 0 {
		fmt.Fprintf(p.out, "\n%d more series are not drawn; a condition chooses which are.\n", len(p.left))
	}
	return p.out.Flush()
}

// dots are the bits of a Braille character's dots, by row and column.
var dots = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

func (p *plotter) draw(name string, points []point) {
	sort.SliceStable(points, func(i, k int) bool { return points[i].at.Before(points[k].at) })
	least, most := points[0].y, points[0].y
	for _, q := range points {
		least, most = min(least, q.y), max(most, q.y)
	}
	from, to := points[0].at, points[len(points)-1].at
	labels := [2]string{strconv.FormatFloat(most, 'g', 6, 64), strconv.FormatFloat(least, 'g', 6, 64)}
	margin := max(len(labels[0]), len(labels[1]))
	width, height := min(max(p.width, leastWidth), mostWidth)-margin-3, max(p.height, 4)
	grid := canvas(points, width, height, least, most)
	fmt.Fprintf(p.out, "%s  (%d points)\n", name, len(points))
	for y, row := range grid {
		label, tick := "", "│"
		if y == 0 || y == height-1 && most > least {
			label, tick = labels[min(y, 1)], "┤"
		}
		line := fmt.Sprintf(" %*s %s%s", margin, label, tick, string(row))
		fmt.Fprintln(p.out, strings.TrimRight(line, "\u2800 "))
	}
	fmt.Fprintf(p.out, " %*s └%s\n", margin, "", strings.Repeat("─", width))
	first, last := tickOf(from), tickOf(to)
	gap := width - utf8.RuneCountInString(first) - utf8.RuneCountInString(last)
	fmt.Fprintf(p.out, " %*s  %s%s%s\n", margin, "", first, strings.Repeat(" ", max(gap, 1)), last)
}

func tickOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// canvas draws points and the lines between them. Over a gap, which is far wider than what is usual, no line goes.
func canvas(points []point, width, height int, least, most float64) [][]rune {
	grid := make([][]rune, height)
	for y := range grid {
		grid[y] = []rune(strings.Repeat("\u2800", width))
	}
	from, span := points[0].at, points[len(points)-1].at.Sub(points[0].at).Seconds()
	place := func(q point) (x, y int) {
		if span > 0 {
			x = int(q.at.Sub(from).Seconds() / span * float64(2*width-1))
		}
		y = 2 * height
		if most > least {
			y = int(math.Round((most/2 - q.y/2) / (most/2 - least/2) * float64(4*height-1))) // halves: the whole may be too large
		}
		return x, y
	}
	set := func(x, y int) { grid[y/4][x/2] |= dots[y%4][x%2] }
	usual := span / float64(max(len(points)-1, 1))
	px, py := place(points[0])
	for i, q := range points {
		x, y := place(q)
		near := i > 0 && q.at.Sub(points[i-1].at).Seconds() <= 5*usual
		steps := 0
		if near {
			steps = max(x-px, y-py, py-y)
		}
		for s := 1; s < steps; s++ {
			set(px+(x-px)*s/steps, py+(y-py)*s/steps)
		}
		set(x, y)
		px, py = x, y
	}
	return grid
}
