package objects

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

// ErrChanged says that a put's condition did not hold: somebody else has put something there.
var ErrChanged = errors.New("it was changed by somebody else")

// Store keeps objects by name. Names are relative, with forward slashes. One
// that is not there gives an error that is fs.ErrNotExist. Safe for concurrent use.
type Store interface {
	// Put makes an object, or replaces it, and returns its version. When it
	// fails the object may be there nevertheless, whole, and durably only where the
	// failure is ErrChanged: then whoever finds that it is what was to be put is done.
	Put(ctx context.Context, name string, data []byte, when Condition) (version string, err error)
	Get(ctx context.Context, name string) (data []byte, version string, err error)
	// List lists the objects below a folder, "" for all, sorted by name. What was left
	// of puts that failed is not listed.
	List(ctx context.Context, folder string) ([]Object, error)
	// Delete removes objects, as soon after each other as can be; one that is not there is no error.
	Delete(ctx context.Context, names ...string) error
	// Clean removes what was left of puts that failed. Nobody may be putting meanwhile.
	Clean(ctx context.Context) error
}

// Object is an entry of a list.
type Object struct {
	Name string
	Size int64 // bytes
}

// Condition is what a put asks for. The zero Condition asks for nothing.
type Condition struct {
	absent  bool
	version string
}

// Absent asks that there is no such object.
func Absent() Condition { return Condition{absent: true} }

// Unchanged asks that the object is still of this version.
func Unchanged(version string) Condition { return Condition{version: version} }

// Config says where a store is.
type Config struct {
	// Place is a folder, or s3://BUCKET/PREFIX.
	Place string
	// The rest is for S3. Endpoint is a URL, "" for AWS. Without keys requests are not signed.
	Endpoint, Region, AccessKey, SecretKey string
}

// DataScheme in front of a place means the engine's data folder.
const DataScheme = "data://"

// Below returns the Config with a place in the data folder spelled out.
func (c Config) Below(data string) Config {
	if rest, ok := strings.CutPrefix(c.Place, DataScheme); ok {
		c.Place = path.Join(data, rest)
	}
	return c
}

// S3 tells whether a place is in a bucket.
func S3(place string) bool { return strings.HasPrefix(place, "s3://") }

// Check says what is wrong with a Config, for its author; "" if nothing is.
func (c *Config) Check() string {
	if !S3(c.Place) {
		return ""
	}
	_, _, _, _, err := c.parts()
	if err != nil {
		return err.Error()
	}
	return ""
}

// Open opens a store. It does not touch the world yet.
func Open(e *env.Env, c Config) (Store, error) {
	if S3(c.Place) {
		return newS3(&c)
	}
	return &local{fs: e.FS, root: path.Clean(c.Place)}, nil
}

// Checksum is the CRC32C of an object's bytes, in eight hexadecimal digits.
func Checksum(data []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}
