package journal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tidemill/tidemill/engine/env"
)

// errPast refuses to write to a channel that was opened for reading.
var errPast = errors.New("journal: the channel was opened for reading only")

// ErrNoSegment is what OpenPast finds where nothing was ever written.
var ErrNoSegment = errors.New("holds no segment of a channel")

// pastTries is how often OpenPast looks again when a segment goes while it looks.
const pastTries = 5

// OpenPast opens the channel in folder dir as it stands now, for reading only, also
// while its owner writes: it makes, syncs and changes nothing, and whoever owns the channel
// does not notice. What is appended later is not seen. Of the group that is being written
// only what is whole counts; it may be lost again if the machine goes down now.
//
// The owner may drop old segments meanwhile; a reader that meets that fails with an
// error for which errors.Is(err, fs.ErrNotExist) holds. Appends are refused.
func OpenPast(e *env.Env, dir string, o Options) (Log, error) {
	o.defaults()
	var err error
	for range pastTries {
		var l *disk
		if l, err = openPast(e, dir, o); err == nil {
			return l, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, err
}

func openPast(e *env.Env, dir string, o Options) (*disk, error) {
	segments, err := listSegments(e, dir)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("journal: %s %w", dir, ErrNoSegment)
	}
	l := &disk{e: e, dir: dir, o: o, pool: newPool(o.BlockBytes, o.PendingBytes/2), least: leastDirect}
	l.shown.reported = map[place]bool{}
	l.shown.holds = map[string][]uint64{}
	r := &recovery{l: l, segments: segments, past: true}
	if err := r.run(); err != nil {
		return nil, err
	}
	l.shown.segments, l.shown.at = segments, r.at
	for _, s := range segments {
		l.shown.total += s.size
	}
	l.shown.cache.lists = make([]cached, l.o.Partitions)
	l.filling.refuse = errPast
	return l, nil
}
