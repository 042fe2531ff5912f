package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// partBytes is the size of a part of an upload in parts; smaller objects are put at once.
	partBytes = 16 << 20
	// answerWithin is how long a server may take to begin its answer.
	answerWithin = 30 * time.Second
	// requestWithin is how long a whole request may take: 64 MiB at 1 MB/s.
	requestWithin = 2 * time.Minute
)

// bucket keeps objects in S3, or in what speaks it.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // ends with a slash unless it is ""
}

// parts takes a Config apart.
func (c *Config) parts() (host, name, prefix string, secure bool, err error) {
	rest := strings.TrimPrefix(c.Place, "s3://")
	name, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(path.Clean("/"+prefix), "/")
	if prefix != "" {
		prefix += "/"
	}
	if len(name) < 3 || len(name) > 63 || strings.ToLower(name) != name {
		return "", "", "", false, fmt.Errorf("%q is not the name of a bucket: 3 to 63 small letters, digits and hyphens, as in \"s3://my-bucket/lake\"", name)
	}
	if c.Endpoint == "" {
		return "s3.amazonaws.com", name, prefix, true, nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return "", "", "", false, errors.New("endpoint is a URL of a server without a path, such as \"https://s3.example.com:9000\"")
	}
	return u.Host, name, prefix, u.Scheme == "https", nil
}

func newS3(c *Config) (Store, error) {
	host, name, prefix, secure, err := c.parts()
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	transport.ResponseHeaderTimeout = answerWithin
	o := &minio.Options{Secure: secure, Region: c.Region, Transport: transport, MaxRetries: 1} // the engine tries again, and says so
	if c.AccessKey != "" {
		o.Creds = credentials.NewStaticV4(c.AccessKey, c.SecretKey, "")
	}
	client, err := minio.New(host, o)
	if err != nil {
		return nil, err
	}
	return &bucket{client, name, prefix}, nil
}

func (b *bucket) Put(ctx context.Context, name string, data []byte, when Condition) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	o := minio.PutObjectOptions{PartSize: partBytes, NumThreads: 1, ContentType: "application/octet-stream"}
	switch {
	case when.absent:
		o.SetMatchETagExcept("*")
	case when.version != "":
		o.SetMatchETag(when.version)
	}
	info, err := b.client.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(data), int64(len(data)), o)
	return info.ETag, b.error(name, err)
}

func (b *bucket) Get(ctx context.Context, name string) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	body, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", b.error(name, err)
	}
	defer body.Close()
	info, err := body.Stat()
	if err != nil {
		return nil, "", b.error(name, err)
	}
	data, err := io.ReadAll(body)
	if err == nil && info.Size != int64(len(data)) {
		err = fmt.Errorf("%d of %d bytes came", len(data), info.Size)
	}
	return data, info.ETag, b.error(name, err)
}

func (b *bucket) List(ctx context.Context, folder string) ([]Object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	if folder != "" {
		folder += "/"
	}
	var out []Object
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + folder, Recursive: true}) {
		if o.Err != nil {
			return nil, b.error(folder, o.Err)
		}
		if !strings.HasSuffix(o.Key, "/") { // some servers list folders
			out = append(out, Object{strings.TrimPrefix(o.Key, b.prefix), o.Size})
		}
	}
	return out, b.error(folder, ctx.Err())
}

func (b *bucket) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := b.remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (b *bucket) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	return b.error(name, b.client.RemoveObject(ctx, b.name, b.prefix+name, minio.RemoveObjectOptions{}))
}

func (b *bucket) Clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	for u := range b.client.ListIncompleteUploads(ctx, b.name, b.prefix, true) {
		if u.Err != nil {
			return b.error("", u.Err)
		}
		if err := b.client.RemoveIncompleteUpload(ctx, b.name, u.Key); err != nil {
			return b.error(u.Key, err)
		}
	}
	return b.error("", ctx.Err())
}

// error says what went wrong without the names of requests, and in the terms of Store.
func (b *bucket) error(name string, err error) error {
	if err == nil {
		return nil
	}
	where := "s3://" + b.name + "/" + b.prefix + name
	r := minio.ToErrorResponse(err)
	switch {
	case r.Code == "NoSuchKey":
		return fmt.Errorf("%s: %w", where, fs.ErrNotExist)
	case r.Code == "PreconditionFailed" || r.Code == "ConditionalRequestConflict" || r.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", where, ErrChanged)
	case r.Code == "NoSuchBucket":
		return fmt.Errorf("there is no bucket %s: make it first", b.name)
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s: %w", where, err)
}

var _ Store = (*bucket)(nil)
