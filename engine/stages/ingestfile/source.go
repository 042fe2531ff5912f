package ingestfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// rescanEvery is after how many Steps without anything to do the paths of
// followed files are looked at again.
const rescanEvery = 8

// source reads files one after the other, or, when they are followed, in turn. One that cannot be read holds up no other:
// it is tried again behind them.
type source struct {
	op      stage.Opening
	to      stage.SourceEnv
	opts    options
	waiting []string // paths not opened yet, when files are not followed
	files   []*file  // that are being read
	turn    int
	idle    int
	past    map[string]fs.FileInfo // followed files that are closed, by identity and path
	told    map[string]bool        // paths of files that are not read, and have been told of
	damaged map[string]damage      // by path
	names   map[string]int64       // by name of a source that has been opened: how far it is appended
	batch   batch
	pending *file // whose records are in batch, not appended yet
	ended   bool

	done  atomic.Int64 // bytes of finished files
	at    atomic.Int64 // bytes of the files being read
	total atomic.Int64
}

func open(op stage.Opening, to stage.SourceEnv, o options) (stage.Source, error) {
	s := &source{op: op, to: to, opts: o, names: map[string]int64{}, past: map[string]fs.FileInfo{}, told: map[string]bool{}, damaged: map[string]damage{}}
	s.batch.partition, s.batch.limit = to.Partition, maxBatch
	s.batch.encoded = o.format == formatHex || o.format == formatBase64
	if len(o.topics) > 0 && to.Channel.Key != "" {
		s.batch.topics = &topicKeys{o.topics, to.Channel.Key, to.Channel.Partitions}
	}
	paths, err := s.expand()
	if err != nil {
		return nil, err
	}
	s.waiting = paths
	if o.follow {
		return s, nil
	}
	for _, p := range paths { // every path has to lead somewhere before anything is read
		f, _, err := openFile(op.Env.FS, p)
		if err != nil {
			return nil, s.explain(p, err)
		}
		s.total.Add(f.info.Size())
		f.close()
	}
	return s, nil
}

// expand lists the files that the paths mean now, each once.
func (s *source) expand() ([]string, error) {
	var out []string
	for _, p := range s.opts.paths {
		pattern := path.Base(p)
		if !strings.ContainsAny(pattern, "*?[") {
			out = append(out, p)
			continue
		}
		dir := path.Dir(p)
		entries, err := s.op.Env.FS.ReadDir(dir)
		if err != nil && !(s.opts.follow && errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		found := len(out)
		for _, e := range entries {
			if ok, err := path.Match(pattern, e.Name()); err == nil && ok && !e.IsDir() {
				out = append(out, path.Join(dir, e.Name()))
			}
		}
		if found == len(out) && !s.opts.follow {
			return nil, fmt.Errorf("no file in %s has a name like %s", dir, pattern)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// explain says what is in the folder of a file that is not there.
func (s *source) explain(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, dirErr := s.op.Env.FS.ReadDir(path.Dir(name))
	if dirErr != nil {
		return fmt.Errorf("there is no file %s, and no folder %s", name, path.Dir(name))
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && len(names) < 10 {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no file %s; the folder holds no files", name)
	}
	return fmt.Errorf("there is no file %s; the folder holds %s", name, strings.Join(names, ", "))
}

// Step appends what waits, or else reads once and appends that.
func (s *source) Step() (stage.Status, error) {
	if s.pending != nil {
		return s.append()
	}
	if s.ended {
		return stage.Ended, nil
	}
	f, err := s.next()
	if err != nil {
		return stage.Idle, err
	}
	if f != nil {
		return s.read(f)
	}
	s.ended = s.ended || !s.opts.follow
	if s.ended {
		return stage.Ended, nil
	}
	return stage.Idle, nil
}

// next picks the file to read from.
func (s *source) next() (*file, error) {
	if s.opts.follow {
		return s.nextFollowed()
	}
	for len(s.files) == 0 {
		if len(s.waiting) == 0 {
			return nil, nil
		}
		p := s.waiting[0]
		s.waiting = s.waiting[1:]
		if err := s.asItWas(p); err != nil {
			s.waiting = append(s.waiting, p)
			return nil, err
		}
		f, head, err := openFile(s.op.Env.FS, p)
		if err != nil {
			s.waiting = append(s.waiting, p)
			return nil, s.explain(p, err)
		}
		if err := s.start(f, head, false); err != nil {
			s.waiting = append(s.waiting, p)
			return nil, errors.Join(err, f.close())
		}
		s.files = append(s.files, f)
	}
	return s.files[0], nil
}

// damage is what is wrong with the contents of a compressed file. All before it has to be decompressed again to find out
// whether it is still there, so that is left until the file is another one.
type damage struct {
	info fs.FileInfo
	err  error
}

// asItWas is the damage of a file that has not changed since that was found; nil where there is none, or nobody knows.
func (s *source) asItWas(p string) error {
	d, ok := s.damaged[p]
	if !ok {
		return nil
	}
	f, err := s.op.Env.FS.Open(p, env.ReadOnly)
	if err != nil {
		return s.explain(p, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == d.info.Size() && info.ModTime().Equal(d.info.ModTime()) {
		return d.err
	}
	delete(s.damaged, p)
	return nil
}

// start finds out where a file's reading goes on. fresh says that the file is
// known to be another than the one of the same first record before it.
func (s *source) start(f *file, head []byte, fresh bool) error {
	format := s.opts.format
	if format == "" {
		format = formatOf(f.path)
	}
	first, _ := firstRecord(head, format, &s.opts)
	if s.opts.follow && (f.packed || format == "json") {
		return fmt.Errorf("%s cannot be followed: a compressed file or a JSON array does not grow. Leave follow out", f.path)
	}
	name := identity(&s.opts, f.path, first)
	for try := 1; ; try++ {
		f.source = name
		if try > 1 {
			f.source = fmt.Sprintf("%s.%d", name, try)
		}
		at := s.to.Journal.Position(f.source)
		// What was appended and is not durable yet must not be appended again.
		from := max(int64(at.Committed), s.names[f.source])
		if from > 0 && fresh {
			continue
		}
		if next := s.to.Journal.Position(fmt.Sprintf("%s.%d", name, try+1)); next.Committed > 0 {
			continue // a later file began with the same record
		}
		ok, err := f.seek(from, format)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if !ok {
			fresh = true
			continue
		}
		s.names[f.source] = from
		f.boundary, f.reached = from, at.Reached
		for _, r := range at.Reached {
			f.farthest = max(f.farthest, int64(r))
		}
		return s.begin(f, format, head)
	}
}

// begin makes the framer.
func (s *source) begin(f *file, format string, head []byte) error {
	bom := int64(len(head) - len(bytes.TrimPrefix(head, []byte(byteOrderMark))))
	if f.boundary < bom || format == "json" {
		if err := f.skip(bom); err != nil {
			return err
		}
	}
	switch format {
	case "csv":
		columns, end, err := header(head, &s.opts, f.path)
		if err != nil {
			return err
		}
		f.framer = newRows(&s.opts, columns, s.opts.columns != nil || f.boundary >= end)
	case "json":
		f.framer = newValues(head)
	case formatHex, formatBase64:
		f.framer = newEncoded(format)
	default:
		f.framer = &lines{}
	}
	return nil
}

// read does one read of f and appends what came.
func (s *source) read(f *file) (stage.Status, error) {
	if !f.again && !f.eof {
		err := f.fill()
		if err != nil && err != io.EOF {
			if f.packed && !f.raw.failed && !s.opts.follow {
				s.damaged[f.path] = damage{f.info, err}
			}
			return stage.Idle, errors.Join(err, s.putOff(f))
		}
		if err == io.EOF && s.opts.follow && !f.gone {
			f.quiet = true
			return stage.Busy, nil
		}
		f.eof = err == io.EOF
	}
	b := &s.batch
	b.reset(s.op.Env.Clock.Now().UnixMicro())
	b.reached, b.farthest, b.pos = f.reached, f.farthest, f.boundary
	f.frame(b, f.eof)
	if !s.opts.follow {
		s.at.Store(f.raw.at)
	}
	if b.count() == 0 && b.pos == f.boundary {
		return s.after(f)
	}
	s.pending = f
	return s.append()
}

// putOff closes a file that cannot be read, until the others have been: it is opened anew then, and may be whole. One that is
// followed stays open, and waits as if it had nothing new.
func (s *source) putOff(f *file) error {
	if s.opts.follow {
		f.quiet = true
		return nil
	}
	s.files = slices.DeleteFunc(s.files, func(other *file) bool { return other == f })
	s.waiting = append(s.waiting, f.path)
	s.at.Store(0)
	return f.close()
}

func (s *source) append() (stage.Status, error) {
	f, b := s.pending, &s.batch
	err := s.to.Journal.Append(journal.Batch{Records: b.records, Lines: b.lines, LinesReceived: b.received, Source: f.source, Pos: uint64(b.pos)})
	if errors.Is(err, journal.ErrBusy) {
		return stage.Idle, nil
	}
	if err != nil {
		return stage.Idle, err
	}
	f.boundary = b.pos
	s.names[f.source] = b.pos
	s.count("empty_lines", &b.empty)
	s.count("not_records", &b.rejected)
	s.pending = nil
	return s.after(f)
}

func (s *source) count(name string, n *int64) {
	if *n > 0 {
		s.op.Count(name, *n)
		*n = 0
	}
}

// after closes a file that has been read to its end.
func (s *source) after(f *file) (stage.Status, error) {
	if !f.eof || f.again {
		return stage.Busy, nil
	}
	s.files = slices.DeleteFunc(s.files, func(other *file) bool { return other == f })
	if s.opts.follow {
		s.leave(f)
	}
	s.done.Add(f.raw.at)
	s.at.Store(0)
	return stage.Busy, f.close()
}

// Progress tells how many bytes of the files have been read, as they are on
// disk, and how many there are; 0 when files are followed, since there is no
// telling. Safe for concurrent use.
func (s *source) Progress() (done, total int64) {
	if s.opts.follow {
		return 0, 0
	}
	return s.done.Load() + s.at.Load(), s.total.Load()
}

func (s *source) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.close())
	}
	s.files = nil
	return err
}

var _ stage.Source = (*source)(nil)
