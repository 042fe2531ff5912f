package enrich

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/engine/env"
)

// version is one of the table, used from the first row behind that tick on.
type version struct {
	tick   int64 // us; 0: from the start
	digest string
	source string // sourceOf where it was read; "": an older binary wrote the line
}

// versions is the log of the table's versions in the data folder (doc.go). What stands there is durable before a
// version is used.
type versions struct {
	env    *env.Env
	dir    string
	source string    // sourceOf where versions come from now
	log    []version // from other places too, if the configuration once named others
	// closed says that nothing was looked for outside after the last of them: it is history that is replayed.
	closed bool
}

const (
	logName  = "versions"
	closedBy = "closed"
)

// Past is the log of versions of the stage at an address, of one partition, as a replay that begins at a time, us
// since 1970, needs it: it begins with the version that was in use then, and is closed. nil: none was kept in the data folder.
func Past(e *env.Env, data, address string, partition int, from int64) ([]byte, error) {
	v := &versions{env: e, dir: Folder(data, address, partition)}
	if err := v.load(); err != nil || len(v.log) == 0 {
		return nil, err
	}
	first := 0
	for i, x := range v.log {
		if x.tick <= from {
			first = i
		}
	}
	text := ""
	for _, x := range v.log[first:] {
		text += x.line()
	}
	return []byte(text + closedBy + "\n"), nil
}

// Folder is where versions are kept in a data folder.
func Folder(data, address string, partition int) string {
	return path.Join(data, "enrich", fmt.Sprintf("%s.%d", address, partition))
}

func (x version) line() string {
	if x.source == "" {
		return fmt.Sprintf("%d %s\n", x.tick, x.digest)
	}
	return fmt.Sprintf("%d %s %s\n", x.tick, x.digest, x.source)
}

// sourceOf names a place where tables come from, by what messages may show of it: a secret that changes in a URL makes no other place of it.
func sourceOf(shown string) string { return digestOf([]byte(shown)) }

// maxVersions is how many versions are kept. A replay of what came before them begins with the oldest.
const maxVersions = 1000

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:32]
}

func openVersions(e *env.Env, dir, shown string) (*versions, error) {
	v := &versions{env: e, dir: dir, source: sourceOf(shown)}
	if err := e.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := e.FS.SyncDir(dir); err != nil { // what a killed process had renamed, and no more, is durable before it is used
		return nil, err
	}
	return v, v.load()
}

// load reads the log, if there is one.
func (v *versions) load() error {
	name := path.Join(v.dir, logName)
	data, err := env.ReadWhole(v.env.FS, name, 1<<26)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		var x version
		if !strings.HasSuffix(line, "\n") {
			break // a crash came while it was written, and so before it was used
		}
		if line == closedBy+"\n" {
			v.closed = true
			break
		}
		words := strings.Fields(line)
		tick, err := int64(0), error(nil)
		if len(words) > 1 {
			tick, err = strconv.ParseInt(words[0], 10, 64)
		}
		if err != nil || len(words) < 2 || len(words) > 3 {
			return fmt.Errorf("%s is damaged: %q", name, line)
		}
		if x.tick, x.digest = tick, words[1]; len(words) > 2 {
			x.source = words[2]
		}
		v.log = append(v.log, x)
	}
	return nil
}

// first is the version that a stage begins with which has no state: the first since versions come from where they come from now. What an
// older binary wrote may be from anywhere. In history that is replayed all that was used then counts.
func (v *versions) first() (version, bool) {
	if v.closed && len(v.log) > 0 {
		return v.log[0], true
	}
	i := len(v.log)
	for i > 0 && v.log[i-1].source == v.source {
		i--
	}
	if i == len(v.log) {
		return version{}, false
	}
	return v.log[i], true
}

// ours tells whether a version may be one of the place where they come from now.
func (v *versions) ours(x version) bool { return v.closed || x.source == "" || x.source == v.source }

// due is the newest version that is in use at a tick and was not before: after a tick that is past.
func (v *versions) due(past, tick int64) (version, bool) {
	for i := len(v.log) - 1; i >= 0; i-- {
		if x := v.log[i]; x.tick <= tick && v.ours(x) {
			return x, x.tick > past
		}
	}
	return version{}, false
}

// last is the tick of the newest version; -1 when there is none.
func (v *versions) last() int64 {
	if len(v.log) == 0 {
		return -1
	}
	return v.log[len(v.log)-1].tick
}

// add makes a version durable.
func (v *versions) add(tick int64, data []byte) (string, error) {
	x := version{tick, digestOf(data), v.source}
	if err := env.WriteWhole(v.env.FS, path.Join(v.dir, x.digest), data); err != nil {
		return "", err
	}
	log := append(v.log[:len(v.log):len(v.log)], x)
	gone := log[:max(0, len(log)-maxVersions)]
	log = log[len(gone):]
	text := ""
	for _, x := range log {
		text += x.line()
	}
	if err := env.WriteWhole(v.env.FS, path.Join(v.dir, logName), []byte(text)); err != nil {
		return "", err
	}
	v.log = log
	for _, old := range gone {
		if !slices.ContainsFunc(log, func(x version) bool { return x.digest == old.digest }) {
			_ = v.env.FS.Remove(path.Join(v.dir, old.digest)) // what stays there costs room and nothing else
		}
	}
	return x.digest, nil
}

func (v *versions) read(digest string, most int64) ([]byte, error) {
	return env.ReadWhole(v.env.FS, path.Join(v.dir, digest), most)
}
