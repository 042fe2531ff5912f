//go:build !duckdb || !cgo

package query

import (
	"context"
	"errors"
	"io"

	"github.com/tidemill/tidemill/engine/env"
)

// Available tells whether Run can run anything: whether DuckDB is in this binary.
const Available = false

// ErrUnavailable says how to get a binary that can.
var ErrUnavailable = errors.New("this binary was built without SQL. It takes a C compiler: make build, or CGO_ENABLED=1 go build -tags duckdb ./engine/cmd/tidemill")

// Run answers a request.
func Run(context.Context, *env.Env, *Request, io.Writer) (Summary, error) {
	return Summary{}, ErrUnavailable
}
