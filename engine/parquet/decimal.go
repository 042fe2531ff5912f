package parquet

import "math"

// Limits of a dictionary of decimals: the table that finds a value's number has
// one place for every step between the least and the greatest value.
const (
	decimalRange = 1 << 16
	// decimalShare is how many values of a chunk there must be for each in its dictionary.
	decimalShare = 4
)

// decimals finds dictionaries of doubles without hashing; see doc.go. Its memory
// is used again and again.
type decimals struct {
	scaled []int64
	table  []uint32 // number in the dictionary plus one, by value
}

// dictionary returns the values that there are, rising, and the number of each
// value in it. ok is false when values are no short decimals, or too many.
// The results are valid until the next call.
func (d *decimals) dictionary(values []float64, ids []uint32) (dict []float64, _ []uint32, ok bool) {
	if len(values) == 0 {
		return nil, ids, false
	}
	for _, power := range [...]float64{1, 10, 100, 1000, 10000} {
		if !fits(values[:min(len(values), 64)], power) {
			continue
		}
		if least, greatest, all := d.scale(values, power); all {
			if uint64(greatest-least) >= decimalRange {
				return nil, ids, false
			}
			return d.number(least, greatest, power, ids)
		}
	}
	return nil, ids, false
}

// fits tells whether values are integers over a power of ten, bit for bit.
func fits(values []float64, power float64) bool {
	for _, v := range values {
		x := math.RoundToEven(v * power)
		if !(math.Abs(x) < 1<<52) || math.Float64bits(x/power) != math.Float64bits(v) {
			return false
		}
	}
	return true
}

func (d *decimals) scale(values []float64, power float64) (least, greatest int64, ok bool) {
	if cap(d.scaled) < len(values) {
		d.scaled = make([]int64, len(values))
	}
	d.scaled = d.scaled[:len(values)]
	least, greatest = math.MaxInt64, math.MinInt64
	const magic = 1<<52 + 1<<51 // adding it rounds to even and leaves the integer in the low bits
	for i, v := range values {
		x := v * power
		if !(math.Abs(x) < 1<<50) {
			return 0, 0, false
		}
		n := int64(math.Float64bits(x+magic)&(1<<52-1)) - 1<<51
		if math.Float64bits(float64(n)/power) != math.Float64bits(v) {
			return 0, 0, false
		}
		d.scaled[i] = n
		least, greatest = min(least, n), max(greatest, n)
	}
	return least, greatest, true
}

func (d *decimals) number(least, greatest int64, power float64, ids []uint32) ([]float64, []uint32, bool) {
	span := int(greatest-least) + 1
	if cap(d.table) < span {
		d.table = make([]uint32, decimalRange)
	}
	table := d.table[:span]
	clear(table)
	for _, n := range d.scaled {
		table[n-least] = 1
	}
	found := 0
	for _, x := range table {
		found += int(x)
	}
	if found*decimalShare > len(d.scaled) && found > 1 {
		return nil, ids, false
	}
	dict := make([]float64, 0, found)
	for i, x := range table {
		if x != 0 {
			table[i] = uint32(len(dict))
			dict = append(dict, float64(int64(i)+least)/power)
		}
	}
	ids = grow(ids, len(d.scaled))
	for i, n := range d.scaled {
		ids[i] = table[n-least]
	}
	return dict, ids, true
}

// grow returns a slice of n elements with s's memory if it is enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/4)[:n]
	}
	return s[:n]
}
