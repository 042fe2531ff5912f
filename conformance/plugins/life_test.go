package plugins

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/plugindev"
)

// TestRemainingLife computes the error of the rul plugin on the engines that its weights have not seen.
func TestRemainingLife(t *testing.T) {
	name := os.Getenv("TIDEMILL_TURBOFAN")
	if name == "" {
		t.Skip("TIDEMILL_TURBOFAN names no train_FD001.txt of NASA's C-MAPSS data")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	columns := []int{1, 6, 7, 8, 11, 12, 13, 15, 16, 17, 18, 19, 21, 24, 25}
	rows := &plugindev.Rows{Columns: make([][]any, len(columns))}
	last := map[string]float64{}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) != 26 {
			continue
		}
		if unit, err := strconv.Atoi(words[0]); err != nil || unit <= 80 {
			continue
		}
		rows.Keys = append(rows.Keys, words[0])
		for i, c := range columns {
			v, err := strconv.ParseFloat(words[c], 64)
			if err != nil {
				t.Fatal(err)
			}
			rows.Columns[i] = append(rows.Columns[i], v)
		}
		last[words[0]] = rows.Columns[0][rows.Len()-1].(float64)
	}
	_, module := build(t, "../../plugins/rul")
	out, err := load(t, module).Score(rows)
	if err != nil || len(out) != rows.Len() {
		t.Fatal(len(out), "rows", err)
	}
	sum := 0.0
	for i, y := range out {
		d := y - math.Min(last[rows.Keys[i]]-rows.Columns[0][i].(float64), 125)
		sum += d * d
	}
	rmse := math.Sqrt(sum / float64(len(out)))
	t.Logf("%d rows of %d engines, RMSE %.2f cycles", len(out), len(last), rmse)
	if rmse > 11.5 || len(last) != 20 {
		t.Errorf("RMSE %.2f on %d engines; plugins/rul/README.md says 11.1 on 20", rmse, len(last))
	}
}
