package influx

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/conformance/rig"
)

// binary is what TestMain has built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemill-influx")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = rig.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer common.stop()
	return m.Run()
}

// common is the influxd of all tests that leave theirs alone.
var common shared

type shared struct {
	once   sync.Once
	server *Server
	dir    string
	err    error
}

// database makes a database of the test's own on the common server.
func database(t testing.TB) (s *Server, name string) {
	t.Helper()
	common.once.Do(func() {
		if common.dir, common.err = os.MkdirTemp("", "tidemill-influxd"); common.err == nil {
			common.server, common.err = NewServer(common.dir)
		}
	})
	must(t, common.err)
	name = strings.ReplaceAll(t.Name(), "/", "_") // in a bucket's name, what follows / is the retention policy
	must(t, common.server.Create(name))
	return common.server, name
}

func (s *shared) stop() {
	if s.server != nil {
		s.server.Kill()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // only scratch
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
