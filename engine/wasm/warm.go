package wasm

import (
	"fmt"
	"sync"
)

// spares are instances that have come to life and wait for a runner, by the settings that they read.
type spares struct {
	mu    sync.Mutex
	bySet map[string][]*spare
}

// spare is an instance, and what it printed when it came to life.
type spare struct {
	instance *Instance
	lines    []spareLine
}

type spareLine struct {
	level int
	text  []byte
}

// maxSpares is how many instances wait for one set of settings.
const maxSpares = 16

// Warm makes n instances ready, of which the next runners and those that lose theirs take one each: a swap then
// waits for none. It takes milliseconds an instance, so it is not called while rows wait.
func (p *Plugin) Warm(settings map[string]Setting, n int) error {
	key := fmt.Sprint(settings)
	for {
		p.spares.mu.Lock()
		have := len(p.spares.bySet[key])
		p.spares.mu.Unlock()
		if have >= min(n, maxSpares) {
			return nil
		}
		s := &spare{}
		room := p.Limits.LogBytes
		i, err := p.open(settings, func(level int, line []byte) {
			if room -= len(line) + logOverhead; room >= 0 {
				s.lines = append(s.lines, spareLine{level, append([]byte(nil), line...)})
			}
		}, nil)
		if err != nil {
			return err
		}
		s.instance = i
		p.spares.mu.Lock()
		if p.spares.bySet == nil {
			p.spares.bySet = map[string][]*spare{}
		}
		p.spares.bySet[key] = append(p.spares.bySet[key], s)
		p.spares.mu.Unlock()
	}
}

// spare takes an instance that waits; nil when none does.
func (p *Plugin) spare(settings map[string]Setting) *spare {
	p.spares.mu.Lock()
	defer p.spares.mu.Unlock()
	if len(p.spares.bySet) == 0 {
		return nil
	}
	key := fmt.Sprint(settings)
	list := p.spares.bySet[key]
	if len(list) == 0 {
		return nil
	}
	p.spares.bySet[key] = list[:len(list)-1]
	return list[len(list)-1]
}

// open gives the runner an instance: one that waits, or a new one.
func (r *Runner) open() (err error) {
	r.instance, err = r.born(r.log)
	return err
}

// born returns an instance that has just come to life. What it printed then goes to log.
func (r *Runner) born(log func(level int, line []byte)) (*Instance, error) {
	if s := r.plugin.spare(r.o.Settings); s != nil {
		s.instance.log, s.instance.overdue = r.log, r.overdue
		for _, l := range s.lines {
			log(l.level, l.text)
		}
		return s.instance, nil
	}
	i, err := r.plugin.open(r.o.Settings, log, r.overdue)
	if err != nil {
		return nil, err
	}
	i.log = r.log
	return i, nil
}
