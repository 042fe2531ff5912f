// What a simulated fleet has published is kept in a file of 4 bytes a device,
// all numbers low byte first:
//
//	bytes 0..7  8..39                        40..47             48...
//	┌──────────┬────────────────────────────┬──────────────────┬──────┬──────┬───
//	│ TIDEFLT1 │ SHA-256 of fleet's options │ start, us        │ u32  │ u32  │ ...
//	└──────────┴────────────────────────────┴──────────────────┴──────┴──────┴───
//	                                                            records of device 0 (none), 1, ... that
//	                                                            the broker has acknowledged
//
// It is written at every acknowledgement, and so is right after kill -9.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/simulate"
)

const (
	resumeMagic = "TIDEFLT1"
	resumeHead  = 48
)

// resume remembers what of a fleet was acknowledged.
type resume struct {
	file    *os.File
	counts  []uint32 // as the file had them when it was opened
	stripes [64]struct {
		sync.Mutex
		_ [56]byte // a cache line each
	}
	current []uint32

	mu  sync.Mutex
	err error
}

// openResume opens the file, or makes it. A fleet that goes on starts when it did the first time:
// o.Start is set.
func openResume(name string, o *simulate.Options) (*resume, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	r := &resume{file: f}
	if err := r.load(name, o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.current = append([]uint32(nil), r.counts...)
	return r, nil
}

func (r *resume) load(name string, o *simulate.Options) error {
	const usual = 100
	devices := o.Devices
	if devices == 0 {
		devices = usual
	}
	r.counts = make([]uint32, devices+1)
	b := make([]byte, resumeHead+4*(devices+1))
	n, err := r.file.ReadAt(b, 0)
	copy(b[n:], make([]byte, len(b)-n))
	digest := fleetDigest(*o)
	switch {
	case n == 0:
		copy(b, resumeMagic)
		copy(b[8:], digest[:])
		binary.LittleEndian.PutUint64(b[40:], uint64(o.Start.UnixMicro()))
		_, err = r.file.WriteAt(b, 0)
		return err
	case string(b[:8]) != resumeMagic:
		return fmt.Errorf("--resume: %s holds something else; it is left alone", name)
	case [32]byte(b[8:40]) != digest:
		return fmt.Errorf("--resume: %s is of a fleet with other options; use the same, or another file", name)
	case n < len(b):
		return fmt.Errorf("--resume: %s breaks off; remove it to start over: %w", name, err)
	}
	o.Start = time.UnixMicro(int64(binary.LittleEndian.Uint64(b[40:]))).UTC()
	for i := range r.counts {
		r.counts[i] = binary.LittleEndian.Uint32(b[resumeHead+4*i:])
	}
	return nil
}

// fleetDigest is of everything that decides a fleet's records but the start.
func fleetDigest(o simulate.Options) [32]byte {
	o.Start, o.Duration, o.Records = time.Time{}, 0, 0
	return sha256.Sum256(fmt.Appendf(nil, "%+v", o))
}

// done counts a record of a device.
func (r *resume) done(device int) {
	s := &r.stripes[device%len(r.stripes)]
	s.Lock()
	defer s.Unlock()
	r.current[device]++
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], r.current[device])
	if _, err := r.file.WriteAt(b[:], resumeHead+4*int64(device)); err != nil {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
}

func (r *resume) close() error { return errors.Join(r.err, r.file.Close()) }
