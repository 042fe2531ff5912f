// The list, ROOT/_tidemill/NAME.json, is a Manifest as JSON. Every change
// replaces it whole, on condition that it still is the one that was read.

package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/tidemill/tidemill/engine/objects"
)

// Folder is where lists are, below the root of the tables.
const Folder = "_tidemill"

// version of the list's format.
const version = 1

// Manifest is the list of a table's files.
type Manifest struct {
	Version int    `json:"version"`
	Table   string `json:"table"`
	Life    int    `json:"life"`    // of the writer
	Next    uint64 `json:"next"`    // place in the spool before which everything is in Files
	Changes int64  `json:"changes"` // how often the list was written
	Shape   Shape  `json:"shape"`
	Files   []File `json:"files"` // in the order in which they came
	// Gone are files that were taken off the list and are still there.
	Gone []Gone `json:"gone,omitempty"`
}

// Shape is what a reader needs to know of all files.
type Shape struct {
	Sink    string `json:"sink"` // address
	Channel string `json:"channel"`
	// Columns are of all files, in the order in which they were first seen: a file may lack some.
	Columns []Column `json:"columns"`
	// Partition are the columns that the folders' names add or repeat.
	Partition []Column `json:"partition,omitempty"`
	// Key and Revision tell what revises what: of rows with equal Key the one with
	// the greatest Revision counts. Without revisions both are empty.
	Key      []string `json:"key,omitempty"`
	Revision string   `json:"revision,omitempty"`
}

// Column is a column of a table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as in HCL: number, integer, bool, string, timestamp, list(number); of a partition also date
	Unit string `json:"unit,omitempty"`
}

// File is a file of a table.
type File struct {
	Name string `json:"name"` // below the root
	// Final is, of a merged file that waits, the name that it gets when the files that it replaces go; see doc.go.
	Final     string            `json:"final,omitempty"`
	Due       int64             `json:"due_us,omitempty"` // when that is, us since 1970
	Rows      int64             `json:"rows"`
	Bytes     int64             `json:"bytes"`
	Checksum  string            `json:"crc32c"`
	Schema    string            `json:"schema"` // digest of its columns: files of one digest can be merged
	Partition map[string]string `json:"partition,omitempty"`
	From      uint64            `json:"from"` // places in the spool
	To        uint64            `json:"to"`   // behind the last
	MinTime   int64             `json:"min_time_us"`
	MaxTime   int64             `json:"max_time_us"`
	Offsets   []Offsets         `json:"offsets"`
	Merged    int               `json:"merged,omitempty"` // of how many files it was made
	// Plans and Plugins are the digests of what made the rows.
	Plans   []string `json:"plans,omitempty"`
	Plugins []string `json:"plugins,omitempty"`
}

// Offsets say which records the rows of a partition of the channel come from.
type Offsets struct {
	Partition int   `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"` // the last
}

// Gone is a file that no reader finds any more.
type Gone struct {
	Name string `json:"name"`
	// Until is when it may be removed, us since 1970.
	Until int64 `json:"until_us"`
	// By is the name of the merged file that replaces it, while that waits: it goes when that gets its final name.
	By string `json:"by,omitempty"`
}

// Dir is the folder of a file, or that for which it waits.
func (f *File) Dir() string {
	if f.Final != "" {
		return path.Dir(f.Final)
	}
	return path.Dir(f.Name)
}

// Where merged files wait. Neither the folder's name nor the files' endings are what
// those look for who look for Parquet files.
const (
	waitingFolder = Folder + "/merged"
	waitingEnd    = ".merged"
	fileEnd       = ".parquet"
)

// waiting is the name under which a merged file waits for its own.
func waiting(name string) string {
	return path.Join(waitingFolder, strings.TrimSuffix(name, fileEnd)+waitingEnd)
}

func listName(table string) string { return path.Join(Folder, table+".json") }
func viewName(table string) string { return path.Join(Folder, table+".sql") }

// Read reads the list of a table. A table that is not there is fs.ErrNotExist.
func Read(ctx context.Context, s objects.Store, table string) (*Manifest, error) {
	m, _, err := read(ctx, s, table)
	return m, err
}

func read(ctx context.Context, s objects.Store, table string) (*Manifest, string, error) {
	data, v, err := s.Get(ctx, listName(table))
	if err != nil {
		return nil, "", err
	}
	m := &Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, "", fmt.Errorf("the list of files %s cannot be read: %w", listName(table), err)
	}
	if m.Version != version || m.Table != table {
		return nil, "", fmt.Errorf("the list of files %s is of version %d and table %q; this program knows version %d", listName(table), m.Version, m.Table, version)
	}
	return m, v, nil
}

// Tables lists the names of the tables below a root.
func Tables(ctx context.Context, s objects.Store) ([]string, error) {
	list, err := s.List(ctx, Folder)
	var out []string
	for _, o := range list {
		if name, ok := strings.CutSuffix(path.Base(o.Name), ".json"); ok {
			out = append(out, name)
		}
	}
	return out, err
}
