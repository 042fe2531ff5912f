package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tidemill/tidemill/engine/journal"
)

// A checkpoint that is damaged on its disk is passed over, and the run goes on from one before it: sinks take back what they wrote
// since, and the journal is read again. For that the logs keep what the one before the last needs, while its file stays: the first
// checkpoint of a run, and every sixteenth, is whole, and takes the place of all before it.
//
//	| 3 whole | 4 | 5 | 6 |   6 is damaged: from 5
//	              ▲
//	              logs are kept from here
//
// What is newer is set aside before anything changes: were it read at a later start after all, it would tell of what sinks and logs do
// not hold any more. For the same reason a file that the system fails to read is not passed over, but ends the start: it may be
// whole, and come back.

// damage is what is wrong with what a file holds, or that it is gone; not that the system did not read it.
type damage struct{ error }

func (d *damage) Unwrap() error { return d.error }

func damaged(format string, args ...any) error { return &damage{fmt.Errorf(format, args...)} }

func isDamage(err error) bool {
	var d *damage
	return errors.As(err, &d)
}

// found is where a run goes on.
type found struct {
	last  *checkpoint
	parts map[string]*restored
	over  []uint64 // epochs of newer ones, newest first, which are damaged
}

// latest restores the newest checkpoint whose whole chain can be read; nil where there is none at all. It changes nothing.
func (s *store) latest(report func(string)) (*found, error) {
	epochs, err := s.epochs()
	if err != nil {
		return nil, err
	}
	f := &found{}
	for n, e := range epochs {
		f.last, f.parts, err = s.restore(e)
		switch {
		case err == nil:
			return f, nil
		case !isDamage(err):
			lost := "restore the data folder from a copy"
			if n+1 < len(epochs) { // without the only one, the run would begin anew
				lost = "removing it lets the run go on from an earlier one"
			}
			return nil, fmt.Errorf("checkpoint %d cannot be read: %w. Nothing has been changed: start again when it can be. If that file is lost for good, %s", e, err, lost)
		}
		report(fmt.Sprintf("checkpoint %d cannot be used, going back to the one before: %v", e, err))
		f.over = append(f.over, e)
	}
	if len(epochs) > 0 {
		return nil, errors.New("none of the checkpoints can be read; starting from nothing would write everything twice: restore the data folder from a copy, or remove its checkpoints folder to accept that")
	}
	return nil, nil
}

// goBack makes sure that nobody goes on from checkpoints that were passed over. It refuses to go back to where the journals and the
// feeds do not reach any more.
func (e *Engine) goBack(f *found) error {
	if len(f.over) == 0 {
		return nil
	}
	for i := range f.last.Parts {
		p := &f.last.Parts[i]
		log := e.logs[p.Channel]
		if p.Idle || log == nil {
			continue
		}
		if earliest, _ := log.Bounds(p.Partition); earliest > p.Next {
			return fmt.Errorf("checkpoint %d is the newest that can be read, and the journal of channel.%s does not hold records %d to %d of partition %d any more, which came after it: "+
				"going on without them would lose them. Restore the data folder from a copy, or remove its checkpoints folder to begin again with what the journals hold",
				f.last.Epoch, p.Channel, p.Next, earliest-1, p.Partition)
		}
	}
	if err := e.feedsReach(f.last); err != nil {
		return err
	}
	for _, epoch := range f.over {
		if err := e.store.setAside(epoch); err != nil {
			return err
		}
	}
	return nil
}

// feedsReach refuses a checkpoint of which the feeds have let go. They are not open yet: opening them takes them back.
func (e *Engine) feedsReach(last *checkpoint) error {
	parts, from := map[string]int{}, map[string][]uint64{}
	for i := range last.Parts {
		parts[last.Parts[i].Channel]++
	}
	for i := range last.Parts {
		p := &last.Parts[i]
		for _, l := range p.Lanes {
			token, known := last.Tokens[l.Feed]
			if p.Idle || !known { // no row of a feed without a token counts yet
				continue
			}
			if from[l.Feed] == nil {
				var err error
				if from[l.Feed], err = e.feedFrom(p.Channel, l.Feed, token); err != nil {
					return err
				}
			}
			if earliest := from[l.Feed][l.Lane*parts[p.Channel]+p.Partition]; earliest > l.Next {
				return fmt.Errorf("checkpoint %d is the newest that can be read, and of what pipelines fed to channel.%s records %d to %d of lane %d, partition %d, are gone, which came after it: "+
					"going on without them would lose them. Restore the data folder from a copy", last.Epoch, p.Channel, l.Next, earliest-1, l.Lane, p.Partition)
			}
		}
	}
	return nil
}

// feedFrom tells where a feed's log will begin when it is opened with a token, by partition of the log. It changes nothing.
func (e *Engine) feedFrom(channel, key string, token []byte) ([]uint64, error) {
	var t feedToken
	if err := json.Unmarshal(token, &t); err != nil {
		return nil, fmt.Errorf("the token of %s: %w", key, err)
	}
	log, err := journal.OpenPast(e.env, e.feedDir(channel, key), journal.Options{Partitions: len(t.End), Floor: t.End})
	if errors.Is(err, journal.ErrNoSegment) || errors.Is(err, fs.ErrNotExist) { // it will be made anew
		return t.End, nil
	}
	if err != nil {
		return nil, err
	}
	from := make([]uint64, log.Partitions())
	for p := range from {
		from[p], _ = log.Bounds(p)
	}
	return from, log.Close()
}

// setAside keeps a damaged checkpoint for people, by a name that nothing is read from.
func (s *store) setAside(epoch uint64) error {
	if err := s.env.FS.Rename(s.name(epoch), s.name(epoch)+".damaged"); err != nil {
		return err
	}
	return s.env.FS.SyncDir(s.dir)
}

// stay are the checkpoints that a run may have to go on from, the last one first.
func (c *coordinator) stay() []*checkpoint {
	if c.last.before == nil {
		return []*checkpoint{c.last}
	}
	return []*checkpoint{c.last, c.last.before}
}

// hold tells the journals what is still needed.
func (c *coordinator) hold() {
	need := map[string][]uint64{} // nothing of a channel that nobody reads
	c.holdFeeds()
	for _, t := range c.engine.tasks {
		if t.merge == nil && need[t.name] == nil {
			need[t.name] = make([]uint64, t.log.Partitions())
		}
	}
	for n, from := range c.stay() {
		for i := range from.Parts {
			if p := &from.Parts[i]; p.Partition < len(need[p.Channel]) {
				least(&need[p.Channel][p.Partition], p.Next, n == 0)
			}
		}
	}
	for name, log := range c.engine.logs {
		log.Hold("tasks", need[name])
	}
	for _, d := range c.engine.delivers {
		var done uint64
		for n, from := range c.stay() {
			if at, ok := from.Delivered[d.key]; ok {
				least(&done, at, n == 0)
			}
		}
		d.spool.log.Hold("deliverer", []uint64{done})
	}
}

// holdFeeds tells the logs of feeds what the tasks of their channels still need.
func (c *coordinator) holdFeeds() {
	next := map[string]uint64{}
	for n, from := range c.stay() {
		for i := range from.Parts {
			for _, l := range from.Parts[i].Lanes {
				key := fmt.Sprintf("%s %d %d", l.Feed, l.Lane, from.Parts[i].Partition)
				at := next[key]
				least(&at, l.Next, n == 0)
				next[key] = at
			}
		}
	}
	for _, f := range c.engine.feeds() {
		var need []uint64
		for _, t := range c.engine.tasks {
			if t.merge == nil || !t.merge.reads(f) {
				continue
			}
			if need == nil {
				need = make([]uint64, f.lanes*f.parts)
			}
			for lane := range f.lanes {
				need[lane*f.parts+t.part] = next[fmt.Sprintf("%s %d %d", f.key, lane, t.part)]
			}
		}
		f.log.Hold("tasks", need)
	}
}

// least makes of an offset the lower one; the first is taken as it is.
func least(at *uint64, other uint64, first bool) {
	if first || other < *at {
		*at = other
	}
}
