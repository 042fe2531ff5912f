package stagetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Streams runs a stage over random streams, each in its plainest way and in six others: what goes out, in which order, what is
// rejected and what is counted must be the same. body makes the block's arguments from a stream's seed; the columns are
//
//	device:string  door:string  temp:number  seq:integer  open:bool
//
// Rows come late, twice, with nulls, and in keys by device and door that no other row has, so that a stage which refuses
// one gets to know a key by that row alone. It returns how many rows went out, were rejected, and were counted under names, in all.
func Streams(t *testing.T, spec stage.Spec, seeds uint64, body func(r *rand.Rand) string) (out, rejects, counts int) {
	t.Helper()
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 23))
		args := body(r)
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			a := txtar.Parse(Run(t, spec, streamOf(r, args), 6))
			for _, f := range a.Files {
				n := bytes.Count(f.Data, []byte("\n"))
				switch f.Name {
				case "errors":
					t.Fatalf("%s\nof\n%s", f.Data, args)
				case "out":
					out += n - 1
				case "rejects":
					rejects += n
				case "counts":
					counts += n
				}
			}
		}) {
			t.Logf("its arguments are\n%s", args)
			break
		}
	}
	return out, rejects, counts
}

// streamOf writes a case with a random stream.
func streamOf(r *rand.Rand, args string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "-- args --\n%s\n-- at --\nkey device\n", args)
	const second = int64(1_000_000)
	now, devices, doors, jump := int64(36_000), 1+r.IntN(4), 1+r.IntN(6), 1+r.IntN(60)
	clocks := make([]int64, devices)
	stamp := func(s int64) string { return string(flow.AppendTime(nil, s*second)) }
	last := ""
	for range 2 + r.IntN(8) {
		b.WriteString("-- rows --\n_time _received device:string door:string temp:number seq:integer open:bool\n")
		for range 1 + r.IntN(15) {
			d := r.IntN(devices)
			clocks[d] = max(clocks[d], now-60) + r.Int64N(20)
			if r.IntN(8) == 0 {
				clocks[d] += r.Int64N(int64(jump) * 10) // a gap
			}
			at := clocks[d]
			switch r.IntN(6) {
			case 0:
				at -= r.Int64N(120)
			case 1:
				at -= r.Int64N(3000)
			}
			if now += r.Int64N(3); r.IntN(12) > 0 || last == "" {
				last = fmt.Sprintf("d%d %s %s %d %t", d, orNull(r, fmt.Sprint("x", r.IntN(doors))), orNull(r, fmt.Sprint(r.IntN(40)-20)), r.IntN(30), r.IntN(2) == 0)
			}
			fmt.Fprintf(&b, "%s %s %s\n", stamp(at), stamp(now), last)
		}
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, "-- hidden --\n_time _received device:string\n%s %s d%d\n", stamp(now+r.Int64N(600)), stamp(now), r.IntN(devices))
		}
		now += r.Int64N(int64(jump))
		fmt.Fprintf(&b, "-- tick %s --\n", stamp(now))
	}
	if r.IntN(3) > 0 {
		b.WriteString("-- end --\n")
	}
	return b.Bytes()
}

// orNull is a cell, or now and then a null.
func orNull(r *rand.Rand, cell string) string {
	if r.IntN(15) == 0 {
		return "-"
	}
	return cell
}
