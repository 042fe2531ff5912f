package query

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/lake"
)

// Request is one statement, with all that answering it takes. It travels as JSON.
type Request struct {
	SQL     string
	Sources []lake.Source
	Format  string // one of Formats
	// Rows is how many are written at most; 0 for all. Of FormatTable and FormatPlot there is a limit in any case.
	Rows    int64
	Memory  int64         // bytes
	Threads int           //
	Timeout time.Duration // 0 for none
	// Width and Height are of tables and plots, characters.
	Width, Height int
	// Cache is a folder for files out of buckets, and CacheLimit how large it may become, bytes.
	Cache      string
	CacheLimit int64
	// Scratch is a folder for a Parquet file on its way out.
	Scratch string
	// Polite says that others on this machine have more important things to do.
	Polite bool
}

// Formats of an answer.
const (
	FormatTable    = "table"
	FormatCSV      = "csv"
	FormatJSON     = "json"     // an object a line
	FormatDocument = "document" // one JSON document that names its columns once
	FormatParquet  = "parquet"
	FormatPlot     = "plot"
)

// Formats lists them.
func Formats() []string {
	return []string{FormatTable, FormatCSV, FormatJSON, FormatDocument, FormatParquet, FormatPlot}
}

// Limits of a request.
const (
	maxSQL     = 1 << 20 // bytes
	minMemory  = 16 << 20
	tableRows  = 10_000 // that a table on a screen holds
	plotRows   = 2_000_000
	maxThreads = 256
)

// Check says what is wrong with a request; nil if nothing is.
func (q *Request) Check() error {
	switch {
	case len(q.SQL) > maxSQL:
		return &Problem{Message: fmt.Sprintf("the statement has %d bytes; the limit is %d", len(q.SQL), maxSQL)}
	case strings.TrimSpace(q.SQL) == "":
		return &Problem{Message: "there is no statement", Right: "such as: SELECT * FROM lake LIMIT 10"}
	case strings.ContainsRune(q.SQL, 0):
		return &Problem{Message: "the statement has a zero byte"}
	case !slices.Contains(Formats(), q.Format):
		return &Problem{Message: fmt.Sprintf("there is no format %.40q", q.Format), Right: strings.Join(Formats(), ", ")}
	case q.Rows < 0 || q.Timeout < 0:
		return &Problem{Message: "rows and timeout are not negative"}
	case q.Memory < minMemory:
		return &Problem{Message: fmt.Sprintf("the memory limit is %d MiB", q.Memory>>20), Right: fmt.Sprintf("at least %d MiB", minMemory>>20)}
	case q.Threads < 1 || q.Threads > maxThreads:
		return &Problem{Message: fmt.Sprintf("threads is %d", q.Threads), Right: fmt.Sprintf("1 to %d", maxThreads)}
	}
	return nil
}

// Summary is what is told of an answer beside its rows.
type Summary struct {
	Rows      int64 `json:"rows"`
	More      bool  `json:"more,omitempty"` // there were more than asked for
	Files     int   `json:"files"`          // that could hold what was asked for,
	OfFiles   int   `json:"of_files"`       // of so many of the tables that the statement names
	FilesSize int64 `json:"files_bytes"`
}

// Said is what a process that answers a Request says at its end, as a line of JSON on standard error.
type Said struct {
	Done    *Summary `json:"done,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// Late says that a statement has run for longer than it may.
func Late(limit time.Duration) error {
	return &Problem{Message: fmt.Sprintf("the statement was ended after %s", limit), Right: "give it more time, or less to do"}
}
