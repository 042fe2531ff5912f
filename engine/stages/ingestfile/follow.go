package ingestfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
)

// maxFollowed limits how many files are followed at once: each holds a descriptor and a buffer.
const maxFollowed = 1000

// missingLimit is how many rescans a renamed or removed file is still read:
// whoever writes it may not have noticed yet.
const missingLimit = 25

// nextFollowed picks a file that may have something, in turn. When none has,
// it looks now and then whether paths lead to other files.
func (s *source) nextFollowed() (*file, error) {
	for range s.files {
		f := s.files[s.turn%len(s.files)]
		s.turn++
		if !f.quiet {
			return f, nil
		}
	}
	// All were at their ends the last time; after this they get another look.
	for _, f := range s.files {
		f.quiet = false
	}
	s.idle++
	known := len(s.names)
	if s.idle%rescanEvery == 1 || known == 0 {
		if err := s.rescan(); err != nil {
			return nil, err
		}
	}
	// A file without its last line end stays open to being completed.
	s.ended = s.to.Once && len(s.names) == known
	return nil, nil
}

// rescan compares the files that are being read with those that the paths
// lead to.
func (s *source) rescan() error {
	paths, err := s.expand()
	if err != nil {
		return err
	}
	here := map[*file]bool{}
	var wrong error // of the first path that cannot be read; the others are looked at all the same
	for _, p := range paths {
		if err := s.look(p, here); err != nil && wrong == nil {
			wrong = err
		}
	}
	for _, f := range s.files {
		f.missing++
		if here[f] {
			f.missing = 0
		}
		f.gone = f.gone || f.missing >= missingLimit
	}
	return wrong
}

// look opens a path and finds out whether it is a file that is being read.
func (s *source) look(p string, here map[*file]bool) error {
	now, head, err := openFile(s.op.Env.FS, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // whether the file that was there is there still, nobody knows
		for _, f := range s.files {
			here[f] = here[f] || f.path == p
		}
		return err
	}
	format := s.opts.format
	if format == "" {
		format = formatOf(p)
	}
	first, whole := firstRecord(head, format, &s.opts)
	now.identity = identity(&s.opts, p, first)
	f, fresh := s.find(now)
	switch {
	case f != nil:
		here[f] = true
		return now.close()
	case !whole:
		return now.close()
	case s.copyOf(now, head):
		s.op.Count("copies_skipped", 1)
		return now.close()
	case len(s.files) >= maxFollowed:
		s.op.Count("files_over_limit", 1)
		return now.close()
	}
	if err := s.start(now, head, fresh); err != nil {
		now.close()
		return err
	}
	here[now] = true
	s.files = append(s.files, now)
	s.total.Add(now.info.Size())
	return nil
}

// find returns the file being read that now is; fresh says that there is none,
// and that now is known to be another than the one that begins alike.
func (s *source) find(now *file) (_ *file, fresh bool) {
	if info := s.past[now.identity+"@"+now.path]; info != nil {
		same, known := sameFile(info, now.info)
		fresh = known && !same
	}
	for _, f := range s.files {
		same, known := sameFile(f.info, now.info)
		if !known {
			same = f.path == now.path && f.identity == now.identity
		}
		alike := f.identity == now.identity && f.path == now.path
		switch {
		case f.gone:
			fresh = fresh || alike
		case same && now.info.Size() >= f.pos:
			return f, false
		case same:
			// Truncated: what is left in the buffer is all there will be.
			f.gone, fresh = true, true
		case alike:
			fresh = true // another file took its place
		}
	}
	return nil, fresh
}

// maxPast limits how many closed files are remembered, and how many that are not read have been told of: beyond it, they are told again.
const maxPast = 10_000

// leave remembers a followed file that is closed, so that another one under its
// name, though it begins alike, is not taken for it.
func (s *source) leave(f *file) {
	if len(s.past) >= maxPast {
		clear(s.past)
	}
	s.past[f.identity+"@"+f.path] = f.info
}

// copyOf tells whether another path leads to a file that begins alike: a copy
// that a rotation has made, or is about to truncate. One that goes on otherwise is none, and told of: what is in
// it is not read, since it would not be known from the other after a restart.
func (s *source) copyOf(now *file, head []byte) bool {
	for _, f := range s.files {
		if f.gone || f.identity != now.identity || f.path == now.path {
			continue
		}
		of := file{file: f.file, info: now.info} // f may have been shorter when it was opened
		other, err := of.head()
		n := min(len(head), len(other))
		if err == nil && !bytes.Equal(head[:n], other[:n]) && !s.told[now.path] && s.op.Report != nil {
			if len(s.told) >= maxPast {
				clear(s.told)
			}
			s.op.Report(fmt.Sprintf("%s: not read: its first record is that of %s, by which files that are followed are known", now.path, f.path))
			s.told[now.path] = true
		}
		return true
	}
	return false
}
