package forget

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mounted is a disk that can be reached by a path.
type Mounted struct {
	Disk   *Disk
	Dir    string // where it is mounted
	server *fuse.Server
}

// Mount makes disk reachable at the folder dir, which exists and is empty. The
// error says what to install when the machine lacks it.
func Mount(disk *Disk, dir string) (*Mounted, error) {
	m := &Mounted{Disk: disk, Dir: dir}
	return m, m.mount()
}

func (m *Mounted) mount() error {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return errors.New("there is no /dev/fuse: load the kernel's fuse module, and in a container pass the device in (--device /dev/fuse --cap-add SYS_ADMIN)")
	}
	if _, err := exec.LookPath("fusermount3"); err != nil && os.Geteuid() != 0 {
		return errors.New("there is no fusermount3, which mounts for those who are not root: apt-get install fuse3")
	}
	root := &inode{disk: m.Disk, node: m.Disk.root}
	server, err := fs.Mount(m.Dir, root, &fs.Options{
		MountOptions:   fuse.MountOptions{DirectMount: true, DisableXAttrs: true, FsName: "forget", Name: "forget", MaxWrite: 1 << 20},
		RootStableAttr: &fs.StableAttr{Ino: m.Disk.root.id},
	})
	if err != nil {
		return fmt.Errorf("the disk that forgets cannot be mounted (apt-get install fuse3 may help; in a container, --cap-add SYS_ADMIN): %w", err)
	}
	m.server = server
	return nil
}

// Off cuts the power under whoever still runs: from here on every operation
// fails and changes nothing. Programs that use the disk should be killed next.
func (m *Mounted) Off() {
	m.Disk.mu.Lock()
	defer m.Disk.mu.Unlock()
	m.Disk.dead = true
}

// Cut lets the disk forget (see Disk.Cut) and mounts it again. No program may
// have a file open on it.
func (m *Mounted) Cut(seed uint64) error {
	if err := m.Unmount(); err != nil {
		return err
	}
	m.Disk.Cut(seed)
	return m.mount()
}

// Unmount takes the disk away from its path. It waits up to five seconds for
// programs that are on their way out; then it takes the disk away from under them, lest
// they hang with it for ever, and returns an error.
func (m *Mounted) Unmount() error {
	if m.server == nil {
		return nil
	}
	server := m.server
	m.server = nil
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if err = server.Unmount(); err == nil { // waits a little between tries of its own
			return nil
		}
	}
	return errors.Join(
		fmt.Errorf("%s cannot be unmounted: does a program still have a file open there? %w", m.Dir, err),
		syscall.Unmount(m.Dir, syscall.MNT_FORCE|syscall.MNT_DETACH))
}
