package query

import (
	_ "embed"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed testdata/hostile.txt
var hostile string

// TestHostile: statements that want more than to read the lake are refused with a reason, and what they name is as before.
func TestHostile(t *testing.T) {
	t.Parallel()
	const most = 100
	var statements, reasons []string
	var in strings.Builder
	for _, line := range strings.Split(hostile, "\n") {
		text, why, ok := strings.Cut(line, "  =>  ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		fmt.Fprintf(&in, "%s;\n.mark%d\n", text, len(statements))
		statements, reasons = append(statements, text), append(reasons, why)
	}
	if len(statements) < most {
		t.Fatalf("%d statements", len(statements))
	}
	before := sums(t, lakeDir)
	cmd := exec.Command(binary, "query", lakeDir, "--interactive", "--memory", "64MiB", "--timeout", "30s")
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for i, text := range statements {
		said, after, ok := strings.Cut(rest, fmt.Sprintf("there is no .mark%d:", i))
		if !ok {
			t.Fatalf("nothing was said after %s\n%s", text, rest)
		}
		if !strings.Contains(said, reasons[i]) || strings.Contains(said, " ms)") {
			t.Errorf("%s\nsaid: %s\nwant: %s", text, said, reasons[i])
		}
		_, rest, _ = strings.Cut(after, "\n")
	}
	if after := sums(t, lakeDir); after != before {
		t.Errorf("the lake has changed:\n%s\nbefore:\n%s", after, before)
	}
	if left := sums(t, cmd.Dir); left != "" {
		t.Errorf("files were left: %s", left)
	}
	for _, name := range []string{"/tmp/tidemill-hostile.csv", "/tmp/tidemill-hostile", "/tmp/tidemill-hostile.db", "/dev/shm/x"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// TestSecrets: nothing of what a statement is told names the machine's files.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"SELECT nothing FROM readings", "FROM '/etc/passwd'", "SELECT * FROM read_parquet('x')"} {
		r := tidemill(t, "", "query", lakeDir, text)
		if r.code != 1 || r.out != "" || strings.Contains(r.err, filepath.Dir(lakeDir)) {
			t.Errorf("%s: exit %d\n%s\n%s", text, r.code, r.out, r.err)
		}
	}
}

// sums lists the files of a folder with checksums.
func sums(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s %08x\n", name, crc32.ChecksumIEEE(data))
		return err
	}))
	return b.String()
}
