package backtest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/detect"
)

// history is two devices, one of which is held for a day and one of which jumps.
func made() (csv, labels string) {
	var b strings.Builder
	b.WriteString("ts,device,temp,note\n")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	noise := uint64(1)
	for i := range 3000 {
		at := begin.Add(time.Duration(i) * 5 * time.Minute)
		for _, device := range []string{"a", "b"} {
			noise = noise*6364136223846793005 + 1442695040888963407
			v := 20 + 3*math.Sin(float64(i)*2*math.Pi/288) + float64(noise>>40)/(1<<24)
			if device == "a" && i >= 2000 && i < 2100 {
				v = 40
			}
			fmt.Fprintf(&b, "%s,%s,%.3f,x\n", at.Format(time.RFC3339), device, v)
		}
	}
	label := func(i int) string { return begin.Add(time.Duration(i) * 5 * time.Minute).Format("2006-01-02 15:04:05") }
	return b.String(), fmt.Sprintf("key,from,to\na,%s,%s\n", label(1990), label(2100))
}

// TestReport runs the whole way from a CSV to a picture and compares what a
// person reads with testdata/report.txt.
func TestReport(t *testing.T) {
	csv, labels := made()
	c := Columns{Time: "ts", Key: "device", On: []string{"temp"}}
	all, err := ReadCSV(strings.NewReader(csv), c)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := ReadLabels(strings.NewReader(labels), "history.csv", all); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	reports, err := Run(all, Options{PerWeek: 0.1, Detectors: []detect.Config{
		{Kind: "ensemble", Forest: detect.ForestConfig{Trees: 10}}, {Kind: "ewma"}, {Kind: "stuck"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Text(&b, "history.csv", c.On, all, reports); err != nil {
		t.Fatal(err)
	}
	b.WriteString(Propose(Choose(reports), c))
	want, err := os.ReadFile("testdata/report.txt")
	if os.Getenv("UPDATE_TESTDATA") != "" {
		err = os.WriteFile("testdata/report.txt", b.Bytes(), 0o644)
		want = b.Bytes()
	}
	if err != nil || !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%v; got\n%s", err, b.String())
	}
	for format, head := range map[string]string{"svg": "<?xml", "png": "\x89PNG"} {
		var picture bytes.Buffer
		if err := Plot(&picture, format, "history", "temp", all[0], reports[0], 0); err != nil || !strings.HasPrefix(picture.String(), head) || picture.Len() < 1000 {
			t.Errorf("%s: %v, %d bytes", format, err, picture.Len())
		}
	}
}

// TestPicture: the signal, what would have been usual, the scores below, and what the colours mean.
func TestPicture(t *testing.T) {
	s := &Series{Labels: []Label{{3e6, 5e6}}}
	r := &Report{Scores: [][]float64{{}}, Lower: [][]float64{{}}, Upper: [][]float64{{}}, raw: [][]float64{{}}, Threshold: 3.5, Alerts: []Alert{{Row: 4}}}
	for i := range 10 {
		s.Times, s.Values = append(s.Times, int64(i)*1e6), append(s.Values, []float64{float64(i % 3)})
		r.Lower[0], r.Upper[0] = append(r.Lower[0], 0), append(r.Upper[0], 2)
		r.raw[0], r.Scores[0] = append(r.raw[0], float64(i)), append(r.Scores[0], min(float64(i), 0.4)) // cut, as in a quiet time
	}
	var b bytes.Buffer
	if err := Plot(&b, "svg", "title", "duty", s, r, 0); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, text := range []string{">title<", ">duty<", ">score<", ">usual<", ">alert<", ">label<", ">threshold<", ">8<", "fill:#C81E1E", "fill:#FAE2BE"} {
		got[text] = strings.Count(b.String(), text)
	}
	want := map[string]int{">title<": 1, ">duty<": 2, ">score<": 1, ">usual<": 1, ">alert<": 1, ">label<": 1, ">threshold<": 1, ">8<": 1, "fill:#C81E1E": 3, "fill:#FAE2BE": 3}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "no header"},
		{"time,temp\n", `no column "ts"`},
		{"ts,temp\n", ""},
		{"ts,temp\nyesterday,3\n", `line 2: "yesterday" is no time`},
		{"ts,temp\n2026-03-01\n", "line 2: it has 1 columns"},
		{"ts,temp\n1772323200,\n1772323200000,x\n2026-03-01 00:00:00.5,4\n2026-03-01T09:15+0100,5\n2026-03-01 9:30,6\n", ""},
		{"ts,temp\n1772323200,x\n1772323300,y\n", `column "temp" has no number in it`},
		{"\xef\xbb\xbfts,temp\r\n1772323200,1\r\n", ""},
	} {
		_, err := ReadCSV(strings.NewReader(c.text), Columns{Time: "ts", On: []string{"temp"}})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
	one := []*Series{{Times: []int64{0}}}
	for _, c := range []struct{ text, want string }{
		{`{"a/x.csv": [["2026-03-01", "2026-03-02"]]}`, ""},
		{`{"x.csv": 3}`, "not an object of lists"},
		{`{"x.csv": [["then", "now"]]}`, `"then" is no time`},
		{"begin,end\n1,2\n", "labels have from and to"},
		{"from,to\n1,2\n", ""},
	} {
		_, err := ReadLabels(strings.NewReader(c.text), "x.csv", one)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestThreshold: the proposal is the lowest threshold that keeps the wanted rate, and an alert that grows in the quiet time
// of another counts as in the stage.
func TestThreshold(t *testing.T) {
	r := &Report{raw: [][]float64{make([]float64, 1000)}}
	for i, s := range []float64{1, 2, 3, 4, 5} {
		r.raw[0][i*190] = s
	}
	r.raw[0][5] = 4.5
	r.raw[0][765] = 9 // far above the alert before it
	for _, c := range []struct{ most, want float64 }{{2, 5}, {4, 4}} {
		got, alerts, err := r.threshold(c.most, detect.Config{Kind: "ensemble", Signals: 1, Quiet: 100})
		if err != nil || got != c.want || float64(alerts) != c.most {
			t.Errorf("%g alerts: threshold %g with %d (%v), want %g", c.most, got, alerts, err, c.want)
		}
	}
}

// Without a wanted rate no threshold is proposed: the detector's own is as good as another.
func TestNoRate(t *testing.T) {
	csv, _ := made()
	all, err := ReadCSV(strings.NewReader(csv), Columns{Time: "ts", Key: "device", On: []string{"temp"}})
	if err != nil {
		t.Fatal(err)
	}
	reports, err := Run(all, Options{Detectors: []detect.Config{{Kind: "robust_zscore"}}})
	if err != nil || reports[0].Own != 0 || strings.Contains(Propose(reports[0], Columns{On: []string{"temp"}}), "threshold") {
		t.Errorf("%+v, %v", reports, err)
	}
}

// TestProposalHolds: at the threshold that is proposed, the detector raises as many alerts as the proposal says.
func TestProposalHolds(t *testing.T) {
	csv, _ := made()
	all, err := ReadCSV(strings.NewReader(csv), Columns{Time: "ts", Key: "device", On: []string{"temp"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []detect.Config{{Kind: "ensemble", Forest: detect.ForestConfig{Trees: 10}}, {Kind: "ewma"}, {Kind: "rcf", Forest: detect.ForestConfig{Trees: 10}}} {
		first, err := Run(all, Options{PerWeek: 2, Detectors: []detect.Config{c}})
		if err != nil {
			t.Fatal(err)
		}
		c.Threshold = first[0].Own
		second, err := Run(all, Options{Detectors: []detect.Config{c}})
		if err != nil || first[0].OwnAlerts == 0 || len(second[0].Alerts) != first[0].OwnAlerts {
			t.Errorf("%s: %d alerts at %g (%v), the proposal said %d", c.Kind, len(second[0].Alerts), c.Threshold, err, first[0].OwnAlerts)
		}
	}
}
