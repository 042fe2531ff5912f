package query

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/conformance/ports"
	"github.com/tidemill/tidemill/engine/parquet"
)

// serve runs an engine over a copy of the lake, which waits for more, and returns its address and process.
func serve(t *testing.T) (base string, engine int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	must(t, os.CopyFS(dir, os.DirFS(lakeDir)))
	must(t, os.Truncate(filepath.Join(dir, "input.ndjson"), 0)) // it is another file in another folder
	address := ports.Free(t)
	cmd := exec.Command(binary, "run", dir, "--var", "follow=true", "--admin", address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the engine: %v\n%s", err, said.String())
		}
	})
	base = "http://" + address
	until(t, "the engine", func() bool {
		res, err := http.Get(base + "/healthz")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	})
	return base, cmd.Process.Pid
}

// post asks, and returns what was answered: status, body and the trailer.
func post(t *testing.T, base, kind, body string) (int, string, http.Header) {
	t.Helper()
	res, err := http.Post(base+"/v1/query", kind, strings.NewReader(body))
	must(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	must(t, err)
	head := res.Header.Clone()
	for k, v := range res.Trailer {
		head[k] = v
	}
	return res.StatusCode, string(data), head
}

func ask(sql, more string) string {
	text, err := json.Marshal(sql)
	if err != nil {
		panic("BUG: a text that is no JSON")
	}
	return fmt.Sprintf(`{"sql": %s%s}`, text, more)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	base, engine := serve(t)
	const js = "application/json"
	rows := fmt.Sprint(records)
	for _, c := range []struct {
		kind, body   string
		code         int
		header, says string
	}{
		{js, ask("SELECT count(*) AS n FROM readings", ""), 200, `"rows":1`, "{\"columns\":[{\"name\":\"n\",\"type\":\"BIGINT\"}],\n\"rows\":[\n[" + rows + "]],\n\"summary\":{"},
		{js, ask("SELECT count(*) AS n FROM averages_latest", `, "format": "json"`), 200, `"rows":1`, `{"n":`},
		{js, ask("SELECT device, seq FROM readings ORDER BY ALL", `, "format": "csv", "rows": 2`), 200, `"more":true`, "device,seq\ntrailer-00001,"},
		{js, ask("SELECT seq FROM readings", ""), 200, `"rows":10000,"more":true`, `"more":true`},
		{js, ask("SELECT 1 WHERE false", `, "format": "json"`), 200, `"rows":0`, ""},
		{js, ask("SELECT tmep FROM readings", ""), 400, "", `"line":1,"column":8,"text":"SELECT tmep FROM readings"`},
		{js, ask("COPY readings TO 'x'", ""), 400, "", "read-only"},
		{js, ask("FROM read_text('/etc/passwd')", ""), 400, "", "read_text may not be read"},
		{js, ask(endless, `, "timeout": "200ms"`), 400, "", "ended after 200ms"},
		{js, ask("SELECT len(range(3000000000))", ""), 400, "", "memory"},
		{js, ask("SELECT 1", `, "rows": 100000000`), 400, "", "at most 1000000"},
		{js, ask("SELECT 1", `, "timeout": "1h"`), 400, "", "up to 2m"},
		{js, ask("SELECT 1", `, "format": "xls"`), 400, "", "there is no format"},
		{js, ask("SELECT 1", `, "sources": []`), 400, "", "not understood"},
		{js, `{}`, 400, "", "there is no statement"},
		{js, `SELECT 1`, 400, "", "not understood"},
		{"text/plain", ask("SELECT 1", ""), 415, "", "application/json"},
		{"application/x-www-form-urlencoded", ask("SELECT 1", ""), 415, "", "application/json"},
	} {
		code, body, head := post(t, base, c.kind, c.body)
		if code != c.code || !strings.Contains(body, c.says) || !strings.Contains(head.Get("Tidemill-Summary"), c.header) {
			t.Errorf("%s: %d, %.300s, %s; want %d, %s, %s", c.body, code, body, head.Get("Tidemill-Summary"), c.code, c.says, c.header)
		}
	}
	code, body, _ := post(t, base, js, ask("SELECT device, ts, temp FROM readings", `, "format": "parquet", "rows": 1000000`))
	batches, err := parquet.Read([]byte(body), memory.DefaultAllocator)
	if code != 200 || err != nil {
		t.Fatalf("%d, %v", code, err)
	}
	n := int64(0)
	for _, b := range batches {
		n += b.NumRows()
		b.Release()
	}
	if n != records {
		t.Errorf("%d rows in the Parquet file", n)
	}
	crowd(t, base, engine)
}

// crowd asks more at a time than there may be, and goes away: processes end with their clients.
func crowd(t *testing.T, base string, engine int) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil { // it may be refused itself
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/query", strings.NewReader(ask(endless, `, "timeout": "2m"`)))
				if err != nil {
					panic("BUG: " + err.Error())
				}
				req.Header.Set("Content-Type", "application/json")
				if res, err := http.DefaultClient.Do(req); err == nil {
					_ = res.Body.Close()
				}
			}
		})
	}
	until(t, "a statement too many", func() bool {
		code, _, head := post(t, base, "application/json", ask("SELECT 1", ""))
		return code == http.StatusServiceUnavailable && head.Get("Retry-After") != ""
	})
	cancel()
	wg.Wait()
	until(t, "the end of the workers", func() bool { return childOf(engine) == 0 })
	until(t, "an answer again", func() bool {
		code, _, _ := post(t, base, "application/json", ask("SELECT 1", ""))
		return code == http.StatusOK
	})
}
