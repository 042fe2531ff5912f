package query

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tidemill/tidemill/conformance/ports"
)

// TestBucket: of a lake in S3 only the files are fetched that conditions leave, and once.
func TestBucket(t *testing.T) {
	t.Parallel()
	address := gateway(t)
	dir, cache := t.TempDir(), t.TempDir()
	for _, name := range []string{"p.hcl", "input.ndjson"} {
		data, err := os.ReadFile(filepath.Join(lakeDir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	where := []string{"--var", "path=s3://lake/deep", "--var", "endpoint=http://" + address}
	if r := tidemill(t, "", append([]string{"run", dir}, where...)...); r.code != 0 {
		t.Fatal(r.err)
	}
	query := func(args ...string) result {
		return tidemill(t, "", append(append([]string{"query", dir, "--cache", cache}, where...), args...)...)
	}
	const one = "SELECT count(*) AS n FROM readings WHERE site = 'lyon' AND day = '2025-11-22'"
	want := sql(t, one)
	if r := query("--format", "csv", one); r.code != 0 || r.out != "n\n"+want+"\n" || want == "0" {
		t.Errorf("%s%s; want %s", r.out, r.err, want)
	}
	fetched := sums(t, cache)
	enough := sizeOf(t, cache)
	if n := strings.Count(fetched, "/readings-"); n == 0 || strings.Count(fetched, "site=lyon/day=2025-11-22/") != n {
		t.Errorf("fetched were:\n%s", fetched)
	}
	if r := query("--cache-limit", "1kB", "SELECT count(*) FROM readings"); r.code != 1 || !strings.Contains(r.err, "a condition on site or day") {
		t.Errorf("%d %s", r.code, r.err)
	}
	const all = "SELECT site, count(*), sum(temp)::DECIMAL(18,3) FROM readings GROUP BY ALL ORDER BY ALL"
	want = sql(t, all)
	if r := query("--format", "csv", all); r.code != 0 || !strings.HasSuffix(strings.TrimSpace(r.out), want) {
		t.Errorf("%s%s; want %s", r.out, r.err, want)
	}
	// What another statement needs goes first when room is scarce.
	before := sizeOf(t, cache)
	if r := query("--cache-limit", fmt.Sprintf("%dB", enough), one); r.code != 0 {
		t.Error(r.err)
	}
	if size := sizeOf(t, cache); size > enough || before <= enough {
		t.Errorf("the cache has %d bytes where %d are enough, and had %d", size, enough, before)
	}
}

// sizeOf is how many bytes the files of a folder have.
func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	must(t, filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			size += info.Size()
		}
		return err
	}))
	return size
}

// gateway starts a versitygw, which `make test` installs, with an empty bucket.
func gateway(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs("../../bin/versitygw")
	must(t, err)
	address := ports.Free(t)
	cmd := exec.Command(name, "--access", "tidemill", "--secret", "tidemill-secret", "--port", address, "--quiet", "posix", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("versitygw is not installed: run .ci/needs, as `make test` does: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4("tidemill", "tidemill-secret", ""), MaxRetries: 1})
	must(t, err)
	until(t, "the bucket", func() bool { return c.MakeBucket(context.Background(), "lake", minio.MakeBucketOptions{}) == nil })
	return address
}
