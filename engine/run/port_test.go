package run_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
)

// TestApplySamePort exchanges an ingest for another one on the same port: the new one listens when the old one has let
// go, and nothing that was answered is lost.
func TestApplySamePort(t *testing.T) {
	address := ports.Free(t)
	door := func(name string) string {
		return fmt.Sprintf("ingest \"http\" %q {\n  to     = channel.c\n  listen = %q\n  path   = \"/%s\"\n}\n", name, address, name)
	}
	l := newLab(t)
	l.write("/out/x", "")
	l.open(telemetry+door("old")+copying("p"), false)
	post := func(path, body string) {
		t.Helper()
		answered := make(chan int, 1)
		var ask func()
		ask = func() {
			resp, err := http.Post("http://"+address+path, "application/x-ndjson", strings.NewReader(body))
			if err != nil { // it does not listen yet
				answered <- 0
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body) // of no interest
			_ = resp.Body.Close()                 // read to its end
			answered <- resp.StatusCode
		}
		go ask()
		l.steps(func() bool {
			select {
			case code := <-answered:
				if code == http.StatusOK {
					return true
				}
				go ask()
			default:
				time.Sleep(100 * time.Microsecond) // the kernel brings it, not the machine that is stepped
			}
			return false
		})
	}
	post("/old", records(0, 100))
	l.must(l.swap(telemetry + door("new") + copying("p")))
	post("/new", records(100, 100))
	l.settle()
	l.expect("/out/p.ndjson", 200)
	http.DefaultClient.CloseIdleConnections()
	l.close()
}
