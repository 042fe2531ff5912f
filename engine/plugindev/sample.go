package plugindev

import (
	"math"

	"github.com/tidemill/tidemill/engine/splitmix"
	"github.com/tidemill/tidemill/engine/wasm"
)

// chance draws values for rows.
type chance struct{ splitmix.Source }

func (c *chance) below(n int) int { return int(c.Next() % uint64(n)) }

// plain are rows as they mostly are: small numbers, few nulls.
func plain(m *wasm.Manifest, c *chance, n int) *Rows {
	rows := &Rows{Columns: make([][]any, len(m.Reads))}
	names := []string{"t1", "t2", "t3", "trailer-4", "t5"}
	for range n {
		rows.Keys = append(rows.Keys, names[c.below(len(names))])
		for i, col := range m.Reads {
			var v any
			if c.below(20) > 0 {
				v = c.value(col.Type, len(rows.Keys))
			}
			rows.Columns[i] = append(rows.Columns[i], v)
		}
	}
	return rows
}

func (c *chance) value(typ string, row int) any {
	switch typ {
	case "number":
		return math.Round(float64(c.Next()%100_000)/10-3000) / 100
	case "integer":
		return int64(c.Next()%1000) - 100
	case "bool":
		return c.below(2) == 0
	case "timestamp":
		return 1_700_000_000_000_000 + int64(row)*1_000_000
	case "string":
		return []string{"a", "north", "Zürich", "two words", "unit C", ""}[c.below(6)]
	}
	b := make([]byte, c.below(40))
	for i := range b {
		b[i] = byte(c.Next())
	}
	return b
}

// edges are rows with values that are seldom, and that sensors send all the same.
func edges(m *wasm.Manifest, c *chance, n int) *Rows {
	rows := plain(m, c, n)
	for i, col := range m.Reads {
		for row := range n {
			if c.below(3) == 0 {
				rows.Columns[i][row] = c.edge(col.Type)
			}
		}
	}
	for row := range min(n, 3) { // and some with nothing at all
		for i := range rows.Columns {
			rows.Columns[i][row] = nil
		}
	}
	return rows
}

func (c *chance) edge(typ string) any {
	switch typ {
	case "number":
		return []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, 1e300}[c.below(9)]
	case "integer", "timestamp":
		return []int64{0, -1, math.MaxInt64, math.MinInt64, 1 << 53}[c.below(5)]
	case "bool":
		return nil
	case "string":
		long := make([]byte, 300)
		for i := range long {
			long[i] = 'x'
		}
		return []string{"", "\x00", "é€😀", string(long), "{\"a\":[1,2]}", "-", "\n"}[c.below(7)]
	}
	b := make([]byte, c.below(600))
	for i := range b {
		b[i] = []byte{0, 0xff, '{', '[', 0x80, 0x08, 0x5b, byte(c.Next())}[c.below(8)]
	}
	return b
}

// mutated are rows of a plugin's tests with some of their values changed: payloads cut short and with bits
// flipped, and values from other rows.
func mutated(m *wasm.Manifest, c *chance, from *Rows, n int) *Rows {
	if from.Len() == 0 {
		return &Rows{Columns: make([][]any, len(m.Reads))}
	}
	var pick []int
	for range n {
		pick = append(pick, c.below(from.Len()))
	}
	rows := from.take(pick)
	for i := range rows.Columns {
		for row := range n {
			b, payload := rows.Columns[i][row].([]byte)
			switch {
			case payload && len(b) > 0 && c.below(2) == 0:
				b = append([]byte{}, b...)
				for range 1 + c.below(3) {
					b[c.below(len(b))] ^= 1 << c.below(8)
				}
				if c.below(3) == 0 {
					b = b[:c.below(len(b)+1)]
				}
				rows.Columns[i][row] = b
			case !payload && c.below(8) == 0:
				rows.Columns[i][row] = from.Columns[i][c.below(from.Len())]
			}
		}
	}
	return rows
}
