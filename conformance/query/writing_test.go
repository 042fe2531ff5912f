package query

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWhileWriting: an engine writes, merges and removes files as fast as it can. Each answer is of one moment:
// no record is missing that an earlier one had, none is there twice, and no file goes away under it.
func TestWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input, err := os.ReadFile(filepath.Join(lakeDir, "input.ndjson"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "p.hcl"), []byte(pipeline), 0o644))
	live, err := os.Create(filepath.Join(dir, "input.ndjson"))
	must(t, err)
	defer live.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	engine := exec.CommandContext(ctx, binary, "run", dir, "--var", "follow=true")
	engine.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, engine.Start())
	defer func() {
		_ = engine.Process.Signal(os.Interrupt)
		_ = engine.Wait()
	}()
	rest, last, answers, most := input, int64(0), 0, 0
	for last < records {
		if len(rest) > 0 {
			n := bytes.LastIndexByte(rest[:min(len(rest), len(input)/10)], '\n') + 1
			_, err := live.Write(rest[:n])
			must(t, err)
			rest = rest[n:]
		}
		r := tidemill(t, "", "query", dir, "--format", "csv",
			"SELECT count(*), count(DISTINCT (_partition, _offset, _index)), count(DISTINCT (device, seq)), count(DISTINCT site) FROM readings")
		if strings.Contains(r.err, "nothing has been written") {
			continue
		}
		var rows, distinct, sent, sites int64
		_, line, _ := strings.Cut(r.out, "\n")
		if _, err := fmt.Sscanf(line, "%d,%d,%d,%d", &rows, &distinct, &sent, &sites); r.code != 0 || err != nil {
			t.Fatalf("after %d answers: exit %d, %v\n%s\n%s", answers, r.code, err, r.out, r.err)
		}
		if rows != distinct || rows != sent || rows < last || rows > records {
			t.Fatalf("%d rows, %d distinct, %d sent, after %d", rows, distinct, sent, last)
		}
		if rows > last {
			most++
		}
		last = rows
		if answers++; ctx.Err() != nil {
			t.Fatalf("%d of %d rows", last, records)
		}
	}
	if most < 3 {
		t.Errorf("only %d answers showed anything new: the test sees nothing of the writing", most)
	}
	t.Logf("%d answers, %d of them with new rows", answers, most)
}
