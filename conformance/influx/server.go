package influx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/conformance/ports"
)

// User and Password are of the one user that a Server knows; Token is what they are by the API of version 2.
const (
	User     = "analyst"
	Password = "secret=,1"
	Token    = User + ":" + Password
)

// patience is how long influxd may take to answer for the first time.
const patience = time.Minute

const settings = `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "DIR/meta"
[data]
  dir = "DIR/data"
  wal-dir = "DIR/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "ADDRESS"
  auth-enabled = true
  log-enabled = false
  max-row-limit = 0
[logging]
  level = "warn"
`

// Server is an influxd with a folder of its own.
type Server struct {
	Address string
	held    func() // the address, which is the server's while it is down, too
	dir     string
	cmd     *exec.Cmd
	said    bytes.Buffer
}

// Binary finds influxd.
func Binary() (string, error) {
	if name, err := filepath.Abs("../../bin/influxd"); err == nil {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	name, err := exec.LookPath("influxd")
	if err != nil {
		return "", errors.New("influxd is not installed: run .ci/needs, as `make test` does")
	}
	return name, nil
}

// NewServer starts an influxd in a folder, at an address that stays its own.
func NewServer(dir string) (*Server, error) {
	address, held, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, held: held, dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "influxd.conf"), []byte(strings.NewReplacer("DIR", dir, "ADDRESS", s.Address).Replace(settings)), 0o644); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	_, err = s.do("POST", "/query", url.Values{"q": {fmt.Sprintf("CREATE USER %s WITH PASSWORD '%s' WITH ALL PRIVILEGES", User, Password)}})
	return s, err
}

// Start starts influxd, again after Kill, and waits until it answers.
func (s *Server) Start() error {
	name, err := Binary()
	if err != nil {
		return err
	}
	s.cmd = exec.Command(name, "-config", filepath.Join(s.dir, "influxd.conf"))
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "HOME="+s.dir)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get("http://" + s.Address + "/ping")
		if err == nil {
			return res.Body.Close()
		}
	}
	s.Kill()
	return fmt.Errorf("influxd does not answer; it says:\n%s", s.said.String())
}

// Kill ends influxd as by kill -9.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()
}

// URL is where the server is.
func (s *Server) URL() string { return "http://" + s.Address }

// Create makes a database, with a retention policy autogen that keeps everything.
func (s *Server) Create(database string) error {
	_, err := s.do("POST", "/query", url.Values{"q": {fmt.Sprintf("CREATE DATABASE %q", database)}})
	return err
}

// Series is one series of an answer, as InfluxQL gives it.
type Series struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"` // numbers are json.Number
}

// Query asks in InfluxQL; times come as integers of nanoseconds.
func (s *Server) Query(database, q string) ([]Series, error) {
	body, err := s.do("POST", "/query", url.Values{"db": {database}, "q": {q}, "epoch": {"ns"}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Results []struct {
			Series []Series
			Error  string
		}
		Error string
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, err
	}
	var out []Series
	for _, r := range answer.Results {
		if answer.Error += r.Error; answer.Error != "" {
			break
		}
		out = append(out, r.Series...)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", q, answer.Error)
	}
	return out, nil
}

func (s *Server) do(method, path string, form url.Values) ([]byte, error) {
	r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(User, Password)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 && !bytes.HasPrefix(body, []byte(`{"results"`)) {
		err = fmt.Errorf("influxd answered %s: %s", res.Status, body)
	}
	return body, err
}
