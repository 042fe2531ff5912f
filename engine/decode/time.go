package decode

import "github.com/tidemill/tidemill/engine/flow"

// numberTime converts a number to a time by unit, see Field.Unit; false when
// it is out of range.
func numberTime(d decimal, unit string) (int64, bool) {
	if unit == "" {
		switch {
		case d.below(11):
			unit = "s"
		case d.below(14):
			unit = "ms"
		case d.below(17):
			unit = "us"
		default:
			unit = "ns"
		}
	}
	shift := int64(6)
	switch unit {
	case "ms":
		shift = 3
	case "us":
		shift = 0
	case "ns":
		shift = -3
	}
	us, ok := d.scaled(shift)
	return us, ok && us >= flow.MinTime && us <= flow.MaxTime
}
