package stage

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// Asks is a server that a stage asks for a whole table, as it runs.
type Asks struct {
	Of     string // the server, as messages may show it
	Format string // of the table: csv, ndjson, json or parquet
	Fields []arrow.Field
}

// Answer is what a test lets a server say (Opening.Ask). Ask gets the tick at which the stage asks, us since 1970, or 0
// where it asks as it is opened and waits; it is called by several stages at the same time.
type Answer struct {
	Status int // of HTTP; 0: the server cannot be reached
	Body   []byte
	// After is how long the answer takes, by the journal's ticks.
	After time.Duration
	Hangs bool // there is no answer
}

// Unanswered is the error of a stage that does not open, because of what it was answered.
type Unanswered struct {
	Address string
	Err     error
}

func (u *Unanswered) Error() string { return u.Err.Error() }

// Unwrap is what went wrong.
func (u *Unanswered) Unwrap() error { return u.Err }
