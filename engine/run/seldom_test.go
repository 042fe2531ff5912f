package run_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// files lists the names in a folder that end so.
func (l *lab) files(dir, end string) (out []string) {
	entries, err := l.machine.Env().FS.ReadDir(dir)
	l.must(err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), end) {
			out = append(out, dir+"/"+e.Name())
		}
	}
	return out
}

func (l *lab) length(name string) int64 {
	f, err := l.machine.Env().FS.Open(name, env.ReadOnly)
	l.must(err)
	defer f.Close()
	info, err := f.Stat()
	l.must(err)
	return info.Size()
}

// TestSeldom plays rows to models with many checkpoints, crashes and disks that fail, from one file of models to the next: scores are
// those of an undisturbed run, and old files go.
func TestSeldom(t *testing.T) {
	const parts = 12
	play := func(trouble bool) (scores []string, names map[string]bool) {
		l, names := newLab(t), map[string]bool{}
		text := watched(2, 1.5, "temp > 0")
		l.write("/in/00.ndjson", signals(0, 1))
		l.open(text, false)
		for i := range parts {
			from, to := 1+i*signalRows/parts, 1+(i+1)*signalRows/parts
			l.write(fmt.Sprintf("/in/%02d.ndjson", i+1), signals(from, to))
			l.settle()
			for _, name := range l.files("/data/checkpoints", ".seldom") {
				names[name] = true
			}
			switch {
			case !trouble:
			case i%4 == 1:
				l.machine.Crash(uint64(i))
				l.open(text, false)
			case i%4 == 3:
				l.must(l.engine.Close())
				l.open(text, false)
			default:
				l.machine.Fail(env.Fault{Op: env.OpWrite, Name: ".seldom", Err: fmt.Errorf("no room"), Times: 2})
			}
		}
		turn := 0
		l.steps(func() bool {
			turn++
			return turn%100 == 0 && len(l.lines("/out/all.ndjson")) >= 5*(signalRows+1) && len(l.lines("/out/forest.ndjson")) >= 5*(signalRows+1)
		})
		l.settle()
		size := int64(0)
		for _, name := range l.files("/data/checkpoints", ".seldom") {
			size += l.length(name)
		}
		if size > 3<<20 {
			t.Errorf("files of models have %d bytes", size)
		}
		l.close()
		return scoresOf(l), names
	}
	want, names := play(false)
	if got, _ := play(true); !slices.Equal(got, want) {
		t.Errorf("%d rows in all, %d undisturbed, or other scores", len(got), len(want))
	}
	if len(names) < 8 {
		t.Errorf("%d files are too few to show that old ones go", len(names))
	}
}

// TestSeldomDamage: a file of models that is damaged or gone is found out at a start.
func TestSeldomDamage(t *testing.T) {
	for name, spoil := range map[string]func(l *lab, file string){
		"checksum": func(l *lab, file string) {
			f, err := l.machine.Env().FS.Open(file, env.ReadWrite)
			l.must(err)
			_, err = f.WriteAt([]byte{255, 255, 255}, 1000)
			l.must(err)
			l.must(f.Close())
		},
		"checksum of the record": func(l *lab, file string) { // of which table the first record is
			f, err := l.machine.Env().FS.Open(file, env.ReadWrite)
			l.must(err)
			_, err = f.WriteAt([]byte("x"), 24)
			l.must(err)
			l.must(f.Close())
		},
		"no such file|not exist": func(l *lab, file string) { l.must(l.machine.Env().FS.Remove(file)) },
	} {
		l := newLab(t)
		text := watched(1, 1.5, "temp > 0")
		l.write("/in/1.ndjson", signals(0, 100))
		l.open(text, false)
		l.steps(func() bool { return l.totals().Rows >= 500 })
		l.settle()
		l.close()
		files := l.files("/data/checkpoints", ".seldom")
		if len(files) == 0 {
			t.Fatal("there is no file of models")
		}
		spoil(l, files[0])
		_, err := run.Open(l.plan(text), run.Options{Env: l.machine.Env(), Data: "/data", Specs: l.specs(), Report: l.report})
		if err == nil || !strings.Contains(err.Error(), "none of the checkpoints can be read") {
			t.Errorf("%s: %v", name, err)
		}
		found := false
		for _, word := range strings.Split(name, "|") {
			found = found || l.reported(word)
		}
		if !found {
			t.Errorf("%s is not reported: %s", name, strings.Join(l.reports, "\n"))
		}
	}
}

// TestSeldomAgain: a detector that was taken out and put back begins anew, also after a crash, though files still hold
// its former models.
func TestSeldomAgain(t *testing.T) {
	both := watched(1, 1.5, "temp > 0")
	cut := func(text, from, to string) string {
		before, rest, _ := strings.Cut(text, from)
		_, after, _ := strings.Cut(rest, to)
		return before + to + after
	}
	without := cut(cut(both, `anomaly "rcf"`, `rule "other"`), `sink "file" "forest"`, `sink "file" "other"`)
	play := func(crash bool) []string {
		l := newLab(t)
		rows := func(i, from, to int) {
			l.write(fmt.Sprintf("/in/%d.ndjson", i), signals(from, to))
			l.settle()
		}
		l.write("/in/0.ndjson", signals(0, 150))
		l.open(both, false)
		l.settle()
		l.must(l.swap(without))
		rows(1, 150, 170)
		l.must(l.swap(both))
		rows(2, 170, 200)
		if crash {
			l.machine.Crash(7)
			l.open(both, false)
		}
		rows(3, 200, 260)
		l.close()
		return scoresOf(l)
	}
	want := play(false)
	if got := play(true); !slices.Equal(got, want) || len(want) < 5*(260+240) {
		t.Errorf("%d rows after a crash, %d without, or other scores", len(got), len(want))
	}
}

// TestSeldomSilent: files come free also where most devices have fallen silent and one goes on.
func TestSeldomSilent(t *testing.T) {
	l := newLab(t)
	l.write("/in/00.ndjson", signals(0, 70))
	l.open(watched(1, 1.5, "temp > 0"), false)
	l.settle()
	first := l.files("/data/checkpoints", ".seldom")
	lines := strings.SplitAfter(signals(70, 3000), "\n")
	for i := range 30 {
		var b strings.Builder
		for k := i * len(lines) / 30; k < (i+1)*len(lines)/30; k++ {
			if strings.Contains(lines[k], `"d0"`) {
				b.WriteString(lines[k])
			}
		}
		l.write(fmt.Sprintf("/in/%02d.ndjson", i+1), b.String())
		l.settle()
	}
	last := l.files("/data/checkpoints", ".seldom")
	if len(first) == 0 || slices.Contains(last, first[0]) {
		t.Errorf("the first of %v is still among %v", first, last)
	}
	l.close()
}

// TestSeldomBefore: where the newest checkpoint is damaged, with which a file of models came free, the one before it can still be read.
func TestSeldomBefore(t *testing.T) {
	const parts = 12
	play := func(damages int) []string {
		l, text := newLab(t), watched(2, 1.5, "temp > 0")
		l.write("/in/00.ndjson", signals(0, 1))
		l.open(text, false)
		var had []string
		gone := func(name string) bool { return !slices.Contains(l.files("/data/checkpoints", ".seldom"), name) }
		look := func() {
			files, epochs := l.files("/data/checkpoints", ".seldom"), l.files("/data/checkpoints", ".checkpoint")
			if slices.ContainsFunc(had, gone) && len(epochs) > 1 && damages > 0 {
				damages--
				l.machine.Crash(uint64(damages))
				f, err := l.machine.Env().FS.Open(slices.Max(epochs), env.ReadWrite)
				l.must(err)
				_, err = f.WriteAt([]byte{255}, 30)
				l.must(err)
				l.must(f.Close())
				l.open(text, false)
			}
			had = files
		}
		for i := range parts {
			l.write(fmt.Sprintf("/in/%02d.ndjson", i+1), signals(1+i*signalRows/parts, 1+(i+1)*signalRows/parts))
			end := l.machine.Env().Clock.Now().Add(2 * time.Second)
			l.steps(func() bool {
				look()
				return l.machine.Env().Clock.Now().After(end)
			})
		}
		if damages > 0 {
			t.Errorf("%d more checkpoints were to be damaged", damages)
		}
		l.close()
		return scoresOf(l)
	}
	want := play(0)
	if got := play(2); !slices.Equal(got, want) || len(want) != 2*5*(signalRows+1) {
		t.Errorf("%d rows in all, %d undisturbed, or other scores", len(got), len(want))
	}
}

// TestSeldomRebuilt: models that were made again from the journal are written, though no row may have come for them since, and come
// back from there after one crash and after several.
func TestSeldomRebuilt(t *testing.T) {
	text := watched(2, 1.5, "temp > 0")
	other := strings.ReplaceAll(text, "samples = 64", "samples = 32")
	play := func(crash bool) []string {
		l := newLab(t)
		l.write("/in/0.ndjson", signals(0, 150))
		l.open(text, false)
		l.settle()
		l.must(l.swap(other))
		if !l.reported("its state is made again") {
			t.Fatal("no model was made again")
		}
		l.settle()
		for i := range 5 { // few rows: most models are still where they were written first
			if crash {
				l.machine.Crash(uint64(i))
				l.open(other, false)
			}
			l.write(fmt.Sprintf("/in/%d.ndjson", i+1), signals(150+10*i, 160+10*i))
			l.settle()
		}
		l.close()
		return scoresOf(l)
	}
	want := play(false)
	if got := play(true); !slices.Equal(got, want) || len(want) != 2*5*200 {
		t.Errorf("%d rows after a crash, %d without, or other scores", len(got), len(want))
	}
}
