package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tidemill/tidemill/engine/run"
)

// ErrNotRunning says that no engine runs on a data folder.
var ErrNotRunning = errors.New("no engine is running on this data folder")

// Client talks to the engine that runs on a data folder.
type Client struct{ http *http.Client }

// NewClient returns a client for a data folder. It does not connect yet.
func NewClient(data string) *Client {
	socket := filepath.Join(data, SocketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		name, done, err := shorten(socket)
		if err != nil {
			return nil, err
		}
		defer done()
		return (&net.Dialer{}).DialContext(ctx, "unix", name)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks what the engine is doing. The error is ErrNotRunning when there is none.
func (c *Client) Status(ctx context.Context) (run.Status, error) {
	var s run.Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Apply asks for another configuration. A refusal is in the reply.
func (c *Client) Apply(ctx context.Context, q ApplyRequest) (ApplyReply, error) {
	var r ApplyReply
	body, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	return r, c.call(ctx, http.MethodPost, "/v1/apply", body, &r)
}

// plainCause is a failure of the socket without the request.
func plainCause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s: %w", op.Addr, syscall.EACCES)
	}
	return err
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the engine runs as another user, and only that one may ask it: %w", plainCause(err))
	case err != nil:
		return nil, fmt.Errorf("the running engine did not answer: %w", err)
	}
	return res, nil
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("the running engine stopped answering: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the running engine said something that is not understood (%s): %w", res.Status, err)
	}
	return nil
}
