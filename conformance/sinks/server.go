package sinks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tidemill/tidemill/conformance/ports"
)

// Keys of the servers of tests.
const (
	accessKey = "tidemill"
	secretKey = "tidemill-secret"
	bucket    = "lake"
)

// gateway is a versitygw over a folder.
type gateway struct {
	dir, address string
	held         func() // the address, which is the server's while it is down, too
	cmd          *exec.Cmd
}

// newGateway starts a server with an empty bucket.
func newGateway(dir string) (*gateway, error) {
	address, held, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	g := &gateway{dir: dir, address: address, held: held}
	if err := g.start(); err != nil {
		return nil, err
	}
	return g, g.client().MakeBucket(context.Background(), bucket, minio.MakeBucketOptions{})
}

// program is where `make test` puts the server.
func program() (string, error) {
	name, err := filepath.Abs("../../bin/versitygw")
	if err == nil {
		_, err = os.Stat(name)
	}
	if err != nil {
		return "", fmt.Errorf("versitygw is not installed: run .ci/needs, as `make test` does: %w", err)
	}
	return name, nil
}

func (g *gateway) start() error {
	name, err := program()
	if err != nil {
		return err
	}
	g.cmd = exec.Command(name, "--access", accessKey, "--secret", secretKey, "--port", g.address, "--quiet", "posix", g.dir)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		return err
	}
	for range 3000 {
		if _, err = g.client().ListBuckets(context.Background()); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("versitygw does not answer: %w", err)
}

// kill ends the server as by kill -9.
func (g *gateway) kill() {
	if g.cmd != nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
		g.cmd = nil
	}
}

func (g *gateway) url() string { return "http://" + g.address }

func (g *gateway) client() *minio.Client {
	c, err := minio.New(g.address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), MaxRetries: 1})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return c
}
