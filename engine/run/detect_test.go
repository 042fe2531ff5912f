package run_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
)

// odd is a pipeline with one detector, which ends in whatever is said.
func odd(args, rest string) string {
	return fmt.Sprintf(`
channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number, door = bool }
}
ingest "file" "in" {
  to   = channel.c
  path = "/in/*.ndjson"
}
pipeline "p" {
  from = channel.c
  anomaly "rcf" "odd" {
    on      = [temp]
    with    = [door]
    trees   = 8
    samples = 64
    warm_up = 20
    %s
  }
  rule "few" {
    from   = anomaly.odd
    where  = score != null
    select = [device, score, grade]
  }
  %s
  sink "file" "few" {
    from = rule.few
    path = "/out/few.ndjson"
  }
}
`, strings.ReplaceAll(args, "; ", "\n"), rest)
}

const everything = `sink "file" "all" {
    from = anomaly.odd
    path = "/out/all.ndjson"
  }`

// doors are rows of two devices whose door opens now and then, and then it is warm.
func doors(rows int) string {
	var b strings.Builder
	noise := uint64(5)
	for i := range rows {
		for d := range 2 {
			noise = noise*6364136223846793005 + 1442695040888963407
			temp, open := float64(noise>>40)/(1<<24), i%40 >= 33
			if open {
				temp += 30
			}
			fmt.Fprintf(&b, "{\"device\":\"d%d\",\"ts\":%d,\"temp\":%.4f,\"door\":%t}\n", d, 1_700_000_000_000+int64(i)*60_000, temp, open)
		}
	}
	return b.String()
}

// TestUnread: the plan knows which columns of a detector nobody reads; scores are the same, bit for bit,
// whether what explains them is read or not.
func TestUnread(t *testing.T) {
	play := func(text string) ([]string, []bool) {
		l := newLab(t)
		l.write("/in/1.ndjson", doors(300))
		p := l.plan(text)
		at := slices.IndexFunc(p.Pipelines[0].Nodes, func(n *plan.Node) bool { return strings.HasSuffix(n.Address, ".odd") })
		var reads []bool
		for _, column := range []string{"score", "attribution", "expected", "lower"} {
			reads = append(reads, p.Pipelines[0].Nodes[at].Reads(column))
		}
		l.complete(text)
		if all := l.lines("/out/all.ndjson"); len(all) > 0 && !strings.Contains(all[len(all)-1], `"attribution":1,`) {
			t.Errorf("what is read is not there: %s", all[len(all)-1])
		}
		return l.lines("/out/few.ndjson"), reads
	}
	few, unread := play(odd("", ""))
	same, read := play(odd("", everything))
	if len(few) == 0 || !slices.Equal(few, same) {
		t.Errorf("%d rows where few columns are read, %d where all are, or other ones", len(few), len(same))
	}
	if !slices.Equal(unread, []bool{true, false, false, false}) || slices.Contains(read, false) {
		t.Errorf("read are %v where few are, %v where all are", unread, read)
	}
}

// TestSuppress: rows in a circumstance that is known neither alert nor move the model: what is said of the
// others is what is said where such rows never came.
func TestSuppress(t *testing.T) {
	rows := doors(400)
	var closed strings.Builder
	for _, line := range strings.SplitAfter(rows, "\n") {
		if !strings.Contains(line, `"door":true`) {
			closed.WriteString(line)
		}
	}
	play := func(in, args string) (open, shut []string, s run.Status) {
		l := newLab(t)
		l.write("/in/1.ndjson", in)
		s = l.complete(odd(args, everything))
		for _, line := range l.lines("/out/all.ndjson") {
			if strings.Contains(line, `"door":true`) {
				open = append(open, line)
			} else {
				shut = append(shut, line)
			}
		}
		return open, shut, s
	}
	const threshold = "threshold = 1.6"
	open, shut, s := play(rows, threshold+"; suppress = door")
	_, want, _ := play(closed.String(), threshold)
	if len(want) == 0 || !slices.Equal(shut, want) {
		t.Errorf("rows with the door shut: %d, without the others %d, or they differ", len(shut), len(want))
	}
	if len(open) == 0 {
		t.Fatal("no row has an open door")
	}
	for _, line := range open {
		if !strings.Contains(line, `"score":null,"grade":0,`) {
			t.Fatalf("a suppressed row was judged: %s", line)
		}
	}
	count := int64(0)
	for _, st := range s.Stages {
		count += st.Counters["suppressed"]
	}
	if count != int64(len(open)) {
		t.Errorf("%d rows counted as suppressed, %d were", count, len(open))
	}
	loud, _, _ := play(rows, threshold)
	if !slices.ContainsFunc(loud, func(line string) bool { return !strings.Contains(line, `"grade":0,`) }) {
		t.Error("without suppress nothing alerts either, so that nothing was shown")
	}
}

// TestFeedbackFar: labels for a detector whose rows come from a pipeline are refused, with the reason.
func TestFeedbackFar(t *testing.T) {
	l := newLab(t)
	l.write("/in/1.ndjson", doors(3))
	e := l.open(`
channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number, door = bool }
}
channel "far" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number }
}
ingest "file" "in" {
  to   = channel.c
  path = "/in/*.ndjson"
}
pipeline "p" {
  from = channel.c
  rule "r" { select = [device, ts, temp] }
  sink "channel" "far" {
    from = rule.r
    to   = channel.far
  }
}
pipeline "q" {
  from = channel.far
  anomaly "ewma" "odd" { on = [temp] }
  sink "file" "out" {
    from = anomaly.odd
    path = "/out/q.ndjson"
  }
}
`, true)
	err := e.Feedback(run.Feedback{Stage: "anomaly.odd", Key: []string{"d1"}, Label: "normal"})
	if !errors.Is(err, run.ErrFeedback) || !strings.Contains(err.Error(), "come from a pipeline, which labels do not reach") {
		t.Errorf("a label that cannot arrive: %v", err)
	}
	l.steps(e.Done)
	l.close()
}

// TestRejectsBehindDetector: what rejects show of a row does not depend on who looks on.
func TestRejectsBehindDetector(t *testing.T) {
	text := odd("", `rule "never" { where = temp > 1000 }
  join "latest" "known" {
    from    = [anomaly.odd, rule.never]
    by      = [device]
    take    = { then = temp }
    missing = "reject"
  }
  rule "chosen" {
    from   = join.known
    select = [device, score, then]
  }
  sink "file" "chosen" {
    from = rule.chosen
    path = "/out/chosen.ndjson"
  }
  sink "file" "refused" { path = "/out/refused.ndjson" }
  rejects = sink.refused`)
	var seen [2][]string
	for i := range seen {
		l := newLab(t)
		l.write("/in/1.ndjson", doors(100))
		e := l.open(text, true)
		if i == 1 {
			tap, err := e.Tap("anomaly.odd")
			l.must(err)
			l.steps(e.Done)
			tap.Close()
		}
		l.steps(e.Done)
		l.close()
		seen[i] = l.lines("/out/refused.ndjson")
	}
	if len(seen[0]) != 200 || !strings.Contains(seen[0][199], `attribution\":1`) || !slices.Equal(seen[0], seen[1]) {
		t.Errorf("%d and %d rejects, or others when somebody looks on: %s\n%s", len(seen[0]), len(seen[1]), seen[0][199], seen[1][199])
	}
}
