// What outlives the server stands in a folder: numbered logs, and a snapshot
// of all that the logs up to its number say. Numbers are little-endian.
//
//	0000000000000007.snap    sessions and retained messages after log 7
//	0000000000000008.log     what has changed since
//	0000000000000009.log
//
//	an entry, in both
//	 0        4         8         12
//	+--------+---------+---------+-----------------+
//	| length | head    | body    | body            |
//	| u32    | CRC32C  | CRC32C  | (saved.go)      |
//	+--------+---------+---------+-----------------+
//
// The head's checksum covers the length, the number of the file and the entry's
// position in it. A bit that has flipped costs its entry: after a head that
// cannot be read the next one is looked for. An entry of a kind that only a newer binary knows is passed over too, and
// told as that and not as damage. A torn tail is never gone on with: every process, and every failed sync,
// begins a log.
package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

const (
	entryHead  = 12
	maxEntry   = 1 << 29 // bytes; a head that claims more is none
	compactMin = 16 << 20
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the same table each time

// entryLog writes entries down, many at a time. Safe for concurrent use. A nil one writes nothing.
type entryLog struct {
	env    *env.Env
	dir    string
	report func(string)
	count  func(string, int64)
	quit   <-chan struct{} // nobody waits for the disk any more

	mu     sync.Mutex
	some   sync.Cond
	buf    []byte        // entries, heads without checksums
	dones  []func(error) // of entries in buf
	busy   bool          // the writer is writing
	failed error         // of the latest group
	closed bool
	ended  chan struct{} // closed when the writer is through

	// Of the writer.
	file   env.File
	number uint64
	at     int64
	old    int64 // bytes of logs behind the snapshot and before file
	small  int64 // bytes of the snapshot
}

// openLog reads what the folder holds into m, and begins a log.
func openLog(e *env.Env, dir string, m *saved, quit <-chan struct{}, report func(string), count func(string, int64)) (*entryLog, error) {
	if err := e.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	l := &entryLog{env: e, dir: dir, quit: quit, report: report, count: count, ended: make(chan struct{})}
	l.some.L = &l.mu
	if err := e.FS.SyncDir(dir); err != nil { // a snapshot's name too, before list removes what it overrules
		return nil, err
	}
	snap, logs, err := l.list()
	if err != nil {
		return nil, err
	}
	if err := l.settle(logs); err != nil {
		return nil, err
	}
	if l.small, err = l.replay(snap, logs, m); err != nil {
		return nil, err
	}
	for _, n := range logs {
		l.old += l.sizeOf(n)
		l.number = n
	}
	l.number = max(l.number, snap)
	if err := l.begin(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

func (l *entryLog) name(n uint64, kind string) string {
	return path.Join(l.dir, fmt.Sprintf("%016d.%s", n, kind))
}

// list finds the newest snapshot (0: none) and the logs behind it, and removes what it overrules.
func (l *entryLog) list() (snap uint64, logs []uint64, err error) {
	entries, err := l.env.FS.ReadDir(l.dir)
	if err != nil {
		return 0, nil, err
	}
	var snaps []uint64
	for _, e := range entries {
		digits, kind, _ := strings.Cut(e.Name(), ".")
		n, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case err != nil || len(digits) != 16:
		case kind == "snap":
			snaps = append(snaps, n)
		case kind == "log":
			logs = append(logs, n)
		}
	}
	if len(snaps) > 0 {
		snap = slices.Max(snaps)
	}
	for _, n := range snaps {
		if n < snap {
			l.remove(l.name(n, "snap"))
		}
	}
	behind := logs[:0]
	for _, n := range logs {
		if n > snap {
			behind = append(behind, n)
			continue
		}
		l.remove(l.name(n, "log"))
	}
	slices.Sort(behind)
	return snap, behind, nil
}

// remove removes a file that is no longer needed; if that fails the next process tries again.
func (l *entryLog) remove(name string) { _ = l.env.FS.Remove(name) }

func (l *entryLog) sizeOf(n uint64) int64 {
	f, err := l.env.FS.Open(l.name(n, "log"), env.ReadOnly)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// replay reads a snapshot and logs into m. It returns the size of the snapshot.
func (l *entryLog) replay(snap uint64, logs []uint64, m *saved) (int64, error) {
	size := int64(0)
	if snap > 0 {
		n, err := l.read(snap, "snap", m)
		if err != nil {
			return 0, err
		}
		size = n
	}
	for _, n := range logs {
		if _, err := l.read(n, "log", m); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// read reads the entries of a file into m. Damage is reported and passed over; an error
// means that the file could not be read at all.
func (l *entryLog) read(number uint64, kind string, m *saved) (int64, error) {
	name := l.name(number, kind)
	f, err := l.env.FS.Open(name, env.ReadOnly)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	b := make([]byte, info.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	newer := 0
	for at, good := 0, 0; at < len(b); { // good: where what could be read ended
		body, size, ok := entryAt(b, at, number)
		err := errEntry
		if ok {
			err = m.apply(body)
		}
		if err == errNewer {
			newer++
		} else if err != nil {
			at += max(size, 1)
			continue
		}
		if at > good {
			l.damaged(name, good, at-good)
		}
		at += size
		good = at
	}
	if newer > 0 {
		l.newer(name, newer)
	}
	// What is unreadable up to the end is what a crash has torn: nobody was told that it is there.
	return info.Size(), nil
}

func (l *entryLog) damaged(name string, at, bytes int) {
	l.count("log_damage", 1)
	l.report(fmt.Sprintf("%s: %d bytes from %d on cannot be read; what they said of sessions or retained messages is lost", name, bytes, at))
}

// newer reports entries that are whole, and of which this binary does not know what they say. A snapshot does not have them.
func (l *entryLog) newer(name string, entries int) {
	l.count("log_newer", int64(entries))
	l.report(fmt.Sprintf("%s: %d entries were written by a newer version of tidemill and are passed over: what they say of sessions is unknown to this one, and lost once it clears old logs away",
		name, entries))
}

// entryAt returns the entry at a place; size 0: there is none, not ok: its body is damaged.
func entryAt(b []byte, at int, number uint64) (body []byte, size int, ok bool) {
	if len(b)-at < entryHead {
		return nil, 0, false
	}
	h, le := b[at:], binary.LittleEndian
	n := int(le.Uint32(h))
	if n == 0 || n > maxEntry || le.Uint32(h[4:]) != headSum(h, number, int64(at)) || len(h)-entryHead < n {
		return nil, 0, false
	}
	body = h[entryHead : entryHead+n]
	return body, entryHead + n, le.Uint32(h[8:]) == crc32.Checksum(body, castagnoli())
}

func headSum(head []byte, number uint64, at int64) uint32 {
	var where [16]byte
	binary.LittleEndian.PutUint64(where[:], number)
	binary.LittleEndian.PutUint64(where[8:], uint64(at))
	return crc32.Update(crc32.Checksum(head[:4], castagnoli()), castagnoli(), where[:])
}

// seal fills in the checksums of entries that will stand at a place of a file.
func seal(entries []byte, number uint64, at int64) {
	le := binary.LittleEndian
	for i := 0; i < len(entries); {
		h := entries[i:]
		n := int(le.Uint32(h))
		le.PutUint32(h[4:], headSum(h, number, at+int64(i)))
		le.PutUint32(h[8:], crc32.Checksum(h[entryHead:entryHead+n], castagnoli()))
		i += entryHead + n
	}
}

// add writes an entry down soon. It does not wait.
func (l *entryLog) add(body func(dst []byte) []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.buf = appendEntry(l.buf, body)
	l.mu.Unlock()
	l.some.Signal()
}

func appendEntry(dst []byte, body func([]byte) []byte) []byte {
	at := len(dst)
	dst = body(append(dst, make([]byte, entryHead)...))
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-entryHead))
	return dst
}

// after calls done when everything added so far is on disk; with an error when it may not be, at the end.
func (l *entryLog) after(done func(error)) {
	l.mu.Lock()
	if idle := len(l.buf) == 0 && !l.busy; idle || l.closed {
		err := l.failed
		if !idle {
			err = errLogClosed
		}
		l.mu.Unlock()
		done(err)
		return
	}
	l.dones = append(l.dones, done)
	l.mu.Unlock()
	l.some.Signal()
}

// wait waits until everything added so far is on disk.
func (l *entryLog) wait() error {
	if l == nil {
		return nil
	}
	done := make(chan error, 1)
	l.after(func(err error) { done <- err })
	return <-done
}

// waitAtMost is wait, but not for longer than d; false: then, or after an error, it may not be on disk.
func (l *entryLog) waitAtMost(d time.Duration) bool {
	if l == nil {
		return true
	}
	done, late := make(chan error, 1), make(chan struct{})
	l.after(func(err error) { done <- err })
	defer l.env.Clock.After(d, func() { close(late) })()
	select {
	case err := <-done:
		return err == nil
	case <-late:
		return false
	}
}

// maxUnwritten is how many bytes may wait for the disk before connections are read no further.
const maxUnwritten = 16 << 20

// full says whether too much waits for the disk.
func (l *entryLog) full() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buf) > maxUnwritten
}

// close writes what waits and ends the log.
func (l *entryLog) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.some.Broadcast()
	<-l.ended
}

var errLogClosed = errors.New("mqtt: the server stops, and its disk does not answer")

// write is the writer: it takes what has gathered and syncs it, so that what comes during a
// sync is one group.
func (l *entryLog) write() {
	defer close(l.ended)
	for {
		l.mu.Lock()
		for len(l.buf) == 0 && len(l.dones) == 0 && !l.closed {
			l.some.Wait()
		}
		group, dones := l.buf, l.dones
		l.buf, l.dones, l.busy = nil, nil, true
		over := l.closed && len(group) == 0 && len(dones) == 0
		l.mu.Unlock()
		if over {
			if l.file != nil {
				_ = l.file.Close() // all that was written is synced
			}
			return
		}
		err := l.failed
		if len(group) > 0 {
			err = l.put(group)
		}
		l.mu.Lock()
		l.busy, l.failed = false, err
		l.mu.Unlock()
		for _, done := range dones {
			done(err)
		}
		if l.old+l.at > max(compactMin, 4*l.small) {
			l.compact()
		}
	}
}

// put makes a group durable, however long that takes: after an error in a log of its own, since after a
// failed sync nothing is known of what the one before holds. Entries that stand in both say the same twice.
func (l *entryLog) put(group []byte) error {
	pause := 10 * time.Millisecond
	for told := false; ; {
		err := l.try(group)
		if err == nil {
			return nil
		}
		if l.file != nil {
			_ = l.file.Close()
			l.old, l.file = l.old+l.at, nil
		}
		if !told {
			l.report("sessions and retained messages cannot be written down, trying again: " + err.Error())
			told = true
		}
		l.count("log_errors", 1)
		passed := make(chan struct{})
		stop := l.env.Clock.After(pause, func() { close(passed) })
		select {
		case <-passed:
		case <-l.quit:
			stop()
			return errors.Join(errLogClosed, err)
		}
		pause = min(2*pause, time.Second)
	}
}

func (l *entryLog) try(group []byte) error {
	if l.file == nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	seal(group, l.number, l.at)
	l.env.Point("mqtt.before-write")
	if _, err := l.file.WriteAt(group, l.at); err != nil {
		return err
	}
	l.env.Point("mqtt.before-sync")
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.at += int64(len(group))
	return nil
}

// begin begins the next log.
func (l *entryLog) begin() error {
	f, err := l.env.FS.Open(l.name(l.number+1, "log"), env.Create)
	if err != nil {
		return err
	}
	l.number++
	if err := l.env.FS.SyncDir(l.dir); err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.at = f, 0
	return nil
}
