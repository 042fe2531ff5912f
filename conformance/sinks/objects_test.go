package sinks

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/objects"
)

// TestObjects: conditions, versions, lists and uploads in parts, whatever is cut.
func TestObjects(t *testing.T) {
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	p, err := newProxy(g.address, func(n int) cut {
		if n < 2 || n%2 == 0 || n > 40 {
			return through
		}
		return []cut{before, within, answerless, halfAnswer}[n/2%4]
	})
	must(t, err)
	defer p.close()
	s, err := objects.Open(env.Real(), objects.Config{Place: "s3://" + bucket + "/some/where", Endpoint: p.url(), Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey})
	must(t, err)
	ctx := context.Background()
	again := func(f func() error) {
		t.Helper()
		var err error
		for range 30 {
			if err = f(); err == nil {
				return
			}
		}
		t.Fatal(err)
	}
	big := make([]byte, 40<<20) // three parts
	for i := range big {
		big[i] = byte(rand.Uint32())
	}
	again(func() error { _, err := s.Put(ctx, "a/big", big, objects.Condition{}); return err })
	again(func() error {
		data, _, err := s.Get(ctx, "a/big")
		if err == nil && !bytes.Equal(data, big) {
			t.Fatal("other bytes came back than were put")
		}
		return err
	})
	var v string
	again(func() (err error) { v, err = s.Put(ctx, "a/list", []byte("one"), objects.Condition{}); return err })
	if _, err := s.Put(ctx, "a/list", []byte("two"), objects.Absent()); err == nil {
		t.Error("a put over what is there, which asked that nothing is")
	}
	again(func() error {
		_, err := s.Put(ctx, "a/list", []byte("two"), objects.Unchanged("nonsense"))
		if errors.Is(err, objects.ErrChanged) {
			return nil
		}
		return errors.Join(err, errors.New("a put over another version"))
	})
	again(func() error {
		data, now, err := s.Get(ctx, "a/list")
		if err == nil && (string(data) != "one" || now != v) {
			t.Errorf("got %q of version %q, not %q", data, now, v)
		}
		return err
	})
	again(func() error {
		_, _, err := s.Get(ctx, "a/none")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, errors.New("something is where nothing was put"))
	})
	again(func() error { return s.Clean(ctx) })
	for u := range g.client().ListIncompleteUploads(ctx, bucket, "", true) {
		t.Errorf("%s is left of an upload: %v", u.Key, u.Err)
	}
	var list []objects.Object
	again(func() (err error) { list, err = s.List(ctx, "a"); return err })
	if len(list) != 2 || list[0] != (objects.Object{Name: "a/big", Size: 40 << 20}) {
		t.Errorf("lists %v", list)
	}
	again(func() error { return s.Delete(ctx, "a/big") })
	if _, err := g.client().StatObject(ctx, bucket, "some/where/a/big", minio.StatObjectOptions{}); err == nil {
		t.Error("what was deleted is still there")
	}
}
