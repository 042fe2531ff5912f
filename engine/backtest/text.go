package backtest

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Text writes a report for a person.
func Text(w io.Writer, name string, on []string, all []*Series, reports []*Report) error {
	rows, labels := 0, 0
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for _, s := range all {
		rows += len(s.Times)
		labels += len(s.Labels)
		from, to = min(from, s.Times[0]), max(to, s.Times[len(s.Times)-1])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows of %s", name, rows, strings.Join(on, ", "))
	if len(all) > 1 {
		fmt.Fprintf(&b, ", %d keys", len(all))
	}
	fmt.Fprintf(&b, ", %s to %s, %d labels\n\n", stamp(from), stamp(to), labels)
	table(&b, reports, labels > 0)
	if labels > 0 {
		found(&b, all, Choose(reports))
		priced(&b, Choose(reports))
	}
	draw(&b, all[0], Choose(reports))
	_, err := io.WriteString(w, b.String())
	return err
}

func stamp(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02 15:04") }

func table(b *strings.Builder, reports []*Report, labelled bool) {
	fmt.Fprintf(b, "%-17s %7s %7s", "detector", "alerts", "a week")
	if labelled {
		fmt.Fprintf(b, " %9s %9s %7s %11s %8s %8s %7s %7s", "found", "precision", "recall", "early by", "NAB now", "best std", "low FP", "low FN")
	}
	cost := reports[0].PerRow > 0
	if cost {
		fmt.Fprintf(b, " %10s", "CPU us/row")
	}
	fmt.Fprintf(b, " %9s\n", "model kB")
	for _, r := range reports {
		fmt.Fprintf(b, "%-17s %7d %7.2f", r.Config.Kind, len(r.Alerts), r.PerWeek)
		if labelled {
			fmt.Fprintf(b, " %9s %9s %7.2f %11s %8.1f %8.1f %7.1f %7.1f", fmt.Sprintf("%d of %d", r.Found, r.Labels), share(r.Precision()), r.Recall(), span(r),
				r.Shipped.Score, r.Bench[0].Score, r.Bench[1].Score, r.Bench[2].Score)
		}
		if cost {
			fmt.Fprintf(b, " %10.1f", float64(r.PerRow)/1000)
		}
		fmt.Fprintf(b, " %9.1f\n", float64(r.ModelBytes)/1000)
	}
	b.WriteByte('\n')
}

func share(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func span(r *Report) string {
	if r.Found == 0 {
		return "-"
	}
	return length(r.Early)
}

func length(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	}
	if d >= 2*time.Hour {
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// Choose is the report that reads best: by the benchmark's standard profile, at the
// detectors' own thresholds, where there are labels, else the ensemble, else the first.
func Choose(reports []*Report) *Report {
	best := reports[0]
	for _, r := range reports {
		if r.Labels == 0 && r.Config.Kind == "ensemble" || r.Labels > 0 && r.Shipped.Score > best.Shipped.Score {
			best = r
		}
	}
	return best
}

// found lists the labels, and which alert came first in each.
func found(b *strings.Builder, all []*Series, r *Report) {
	fmt.Fprintf(b, "What %s found, at its own threshold", r.Config.Kind)
	if r.Threshold > 0 {
		fmt.Fprintf(b, ", %.4g", r.Threshold)
	}
	b.WriteString(":\n")
	for n, s := range all {
		for i, l := range s.Labels {
			fmt.Fprintf(b, "  %s to %s", stamp(l.From), stamp(l.To))
			if s.Key != "" {
				fmt.Fprintf(b, " of %s", s.Key)
			}
			at := slices.IndexFunc(r.Alerts, func(a Alert) bool { return a.Series == n && a.Label == i })
			if at < 0 {
				b.WriteString("  missed\n")
				continue
			}
			row := r.Alerts[at].Row
			fmt.Fprintf(b, "  alert at %s, %s before its end\n", stamp(s.Times[row]), length(time.Duration(l.To-s.Times[row])*time.Microsecond))
		}
	}
	wrong, weeks := 0, weeks(all)
	for _, a := range r.Alerts {
		if a.Label < 0 {
			wrong++
		}
	}
	fmt.Fprintf(b, "  and %d alerts outside of all labels", wrong)
	if weeks > 0 {
		fmt.Fprintf(b, ", %.1f a week", float64(wrong)/weeks)
		if len(all) > 1 {
			b.WriteString(" and key")
		}
	}
	b.WriteString("\n\n")
}

const (
	drawWide = 100
	drawHigh = 10
)

// weeks are those of all keys together.
func weeks(all []*Series) (sum float64) {
	for _, s := range all {
		sum += float64(s.Times[len(s.Times)-1]-s.Times[0]) / week
	}
	return sum
}

// draw shows the first series' first signal with its alerts and labels, a column a stretch of time.
func draw(b *strings.Builder, s *Series, r *Report) {
	low, high := make([]float64, drawWide), make([]float64, drawWide)
	least, most := math.Inf(1), math.Inf(-1)
	from, to := s.Times[0], max(s.Times[len(s.Times)-1], s.Times[0]+1)
	column := func(at int64) int { return min(int(float64(at-from)/float64(to-from)*drawWide), drawWide-1) }
	for i := range low {
		low[i], high[i] = math.Inf(1), math.Inf(-1)
	}
	for i, x := range s.Values {
		if v := x[0]; !math.IsNaN(v) && !math.IsInf(v, 0) {
			c := column(s.Times[i])
			low[c], high[c] = min(low[c], v), max(high[c], v)
			least, most = min(least, v), max(most, v)
		}
	}
	if least > most {
		return
	}
	step := max(most-least, 1e-300) / drawHigh
	for line := drawHigh - 1; line >= 0; line-- {
		cell := least + float64(line)*step
		fmt.Fprintf(b, "%10.4g |", cell)
		for c := range low {
			if high[c] >= cell && (low[c] < cell+step || line == drawHigh-1 && low[c] <= most) {
				b.WriteByte('#')
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString("\n")
	}
	marks, labels := []byte(strings.Repeat(" ", drawWide)), []byte(strings.Repeat(" ", drawWide))
	for _, a := range r.Alerts {
		if a.Series == 0 {
			marks[column(s.Times[a.Row])] = '^'
		}
	}
	for _, l := range s.Labels {
		for c := column(max(l.From, from)); c <= column(min(l.To, to)); c++ {
			labels[c] = '='
		}
	}
	fmt.Fprintf(b, "%10s |%s\n%10s |%s\n", "alerts", marks, "labels", labels)
	fmt.Fprintf(b, "%10s |%-*s%s\n\n", "", drawWide-len(stamp(to)), stamp(from), stamp(to))
}
