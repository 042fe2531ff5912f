package main

// joins measures both joins alone, in this process, also with many keys: an interval join in which each row
// finds one partner, and a view that gives two values to each row. It returns the last result.
func (b *bencher) joins(r *benchResult) (*benchResult, error) {
	var runs []alone
	for _, many := range []bool{false, true} {
		runs = append(runs,
			alone{name: "interval", many: many, kind: "join", typ: "interval", inputs: 2, period: 1_000_000,
				body: "by = [device]\nkeep = [device, temp]\ntake = { rpm = rpm }\nbefore = \"1s\"\nafter = \"1s\"\n"},
			alone{name: "latest", many: many, kind: "join", typ: "latest", inputs: 2, period: 1_000_000, view: true,
				body: "by = [device]\ntake = { rpm = rpm, double = rpm * 2 }\n"})
	}
	return b.alone(r, runs)
}
