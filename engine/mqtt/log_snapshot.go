package mqtt

import (
	"errors"
	"path"

	"github.com/tidemill/tidemill/engine/env"
)

// settle makes durable what only the page cache held, of a process that was killed or whose sync failed, before anybody is answered by it.
func (l *entryLog) settle(logs []uint64) error {
	for _, n := range logs {
		f, err := l.env.FS.Open(l.name(n, "log"), env.ReadWrite)
		if err != nil {
			return err
		}
		if err := errors.Join(env.Settle(f, 0), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// compact makes a snapshot of all logs and begins a new one. When it fails the logs stay.
func (l *entryLog) compact() {
	if l.file != nil {
		_ = l.file.Close()
		l.old, l.file = l.old+l.at, nil
	}
	size, err := l.snapshot()
	if err != nil {
		l.report("old sessions and retained messages cannot be cleared away: " + err.Error())
		l.small = l.old // so that it is not tried again at once
	} else {
		l.old, l.small = 0, size
	}
	if err := l.begin(); err != nil {
		l.report("sessions and retained messages cannot be written down: " + err.Error())
	}
}

func (l *entryLog) snapshot() (int64, error) {
	snap, logs, err := l.list()
	if err != nil {
		return 0, err
	}
	m := newSaved()
	if _, err := l.replay(snap, logs, m); err != nil {
		return 0, err
	}
	b := m.lasting(l.env.Clock.Now().UnixMicro()).append(nil)
	seal(b, l.number, 0)
	temp := path.Join(l.dir, "snapshot.tmp")
	f, err := l.env.FS.Open(temp, env.Create)
	if err != nil {
		return 0, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(b, 0)
	}
	l.env.Point("mqtt.snapshot")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.env.FS.Rename(temp, l.name(l.number, "snap"))
	}
	if err == nil {
		err = l.env.FS.SyncDir(l.dir)
	}
	if err != nil {
		return 0, err
	}
	_, _, err = l.list() // removes what is overruled
	return int64(len(b)), err
}
