package forget

import (
	"context"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// inode shows a node to the kernel.
type inode struct {
	fs.Inode
	disk *Disk
	node *node
}

// show makes the kernel's inode of a node. The caller holds disk.mu.
func (i *inode) show(ctx context.Context, n *node, out *fuse.EntryOut) *fs.Inode {
	n.attr(&out.Attr)
	return i.NewInode(ctx, &inode{disk: i.disk, node: n}, fs.StableAttr{Mode: n.mode & syscall.S_IFMT, Ino: n.id})
}

func (n *node) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = n.id, n.mode, 1
	out.Size = uint64(len(n.data))
	out.Blocks = (out.Size + sector - 1) / sector
	out.Blksize = 4096
}

// enter locks the disk; after a cut of the power nothing answers.
func (i *inode) enter() syscall.Errno {
	i.disk.mu.Lock()
	if i.disk.dead {
		i.disk.mu.Unlock()
		return syscall.EIO
	}
	return 0
}

func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := i.enter(); e != 0 {
		return nil, e
	}
	defer i.disk.mu.Unlock()
	n := i.node.names[name]
	if n == nil {
		return nil, syscall.ENOENT
	}
	return i.show(ctx, n, out), 0
}

func (i *inode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	if e := i.enter(); e != 0 {
		return nil, e
	}
	defer i.disk.mu.Unlock()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(i.node.names)) {
		n := i.node.names[name]
		list = append(list, fuse.DirEntry{Name: name, Mode: n.mode, Ino: n.id})
	}
	return fs.NewListDirStream(list), 0
}

// make adds a new node to the folder.
func (i *inode) make(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := i.enter(); e != 0 {
		return nil, e
	}
	defer i.disk.mu.Unlock()
	if i.node.names[name] != nil {
		return nil, syscall.EEXIST
	}
	n := i.disk.newNode(mode)
	i.node.apply(change{name: n})
	return i.show(ctx, n, out), 0
}

func (i *inode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return i.make(ctx, name, syscall.S_IFDIR|mode&0o7777, out)
}

func (i *inode) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return i.make(ctx, name, mode, out)
}

func (i *inode) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n, errno := i.make(ctx, name, syscall.S_IFREG|mode&0o7777, out)
	return n, nil, 0, errno
}

func (i *inode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (i *inode) remove(name string, dir bool) syscall.Errno {
	if e := i.enter(); e != 0 {
		return e
	}
	defer i.disk.mu.Unlock()
	n := i.node.names[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case dir && !n.isDir():
		return syscall.ENOTDIR
	case dir && len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	i.node.apply(change{name: nil})
	return 0
}

func (i *inode) Unlink(_ context.Context, name string) syscall.Errno { return i.remove(name, false) }
func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno  { return i.remove(name, true) }

func (i *inode) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if to.EmbeddedInode().Operations().(*inode).node != i.node {
		return syscall.EXDEV
	}
	if flags != 0 {
		return syscall.EINVAL
	}
	if e := i.enter(); e != 0 {
		return e
	}
	defer i.disk.mu.Unlock()
	n := i.node.names[name]
	if n == nil {
		return syscall.ENOENT
	}
	if name != newName {
		i.node.apply(change{name: nil, newName: n})
	}
	return 0
}

func (i *inode) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if e := i.enter(); e != 0 {
		return nil, e
	}
	defer i.disk.mu.Unlock()
	n := 0
	if off < int64(len(i.node.data)) {
		n = copy(dest, i.node.data[off:])
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (i *inode) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if e := i.enter(); e != 0 {
		return 0, e
	}
	defer i.disk.mu.Unlock()
	i.disk.stats.Writes++
	i.node.write(data, int(off))
	return uint32(len(data)), 0
}

func (i *inode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if e := i.enter(); e != 0 {
		return e
	}
	defer i.disk.mu.Unlock()
	return i.disk.sync(i.node)
}

func (i *inode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if e := i.enter(); e != 0 {
		return e
	}
	defer i.disk.mu.Unlock()
	i.node.attr(&out.Attr)
	return 0
}

func (i *inode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if e := i.enter(); e != 0 {
		return e
	}
	defer i.disk.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		i.node.mode = i.node.mode&syscall.S_IFMT | mode&0o7777
	}
	if size, ok := in.GetSize(); ok {
		i.node.truncate(int(size))
	}
	i.node.attr(&out.Attr)
	return 0
}

// Statfs tells of a disk with plenty of room.
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks, out.Bfree, out.Bavail = 1<<28, 1<<28, 1<<28
	return 0
}

var (
	_ fs.NodeLookuper  = (*inode)(nil)
	_ fs.NodeReaddirer = (*inode)(nil)
	_ fs.NodeMkdirer   = (*inode)(nil)
	_ fs.NodeMknoder   = (*inode)(nil)
	_ fs.NodeCreater   = (*inode)(nil)
	_ fs.NodeOpener    = (*inode)(nil)
	_ fs.NodeUnlinker  = (*inode)(nil)
	_ fs.NodeRmdirer   = (*inode)(nil)
	_ fs.NodeRenamer   = (*inode)(nil)
	_ fs.NodeReader    = (*inode)(nil)
	_ fs.NodeWriter    = (*inode)(nil)
	_ fs.NodeFsyncer   = (*inode)(nil)
	_ fs.NodeGetattrer = (*inode)(nil)
	_ fs.NodeSetattrer = (*inode)(nil)
	_ fs.NodeStatfser  = (*inode)(nil)
)
