// A segment is a file of blocks, one after the other, without an index. Its
// name is its number, 16 decimal digits and ".seg". Numbers are little-endian.
//
//	 segment                      block
//	+------------------+         +--------------------+ 0
//	| Head block       |         | header, 72 bytes   |
//	+------------------+         +--------------------+ 72
//	| blocks of        |         | payloads           |
//	| group 7          |         +--------------------+ 72 + payload bytes
//	+------------------+         | metadata           |
//	| Marks block      |         +--------------------+ 72 + payload bytes + metadata bytes
//	+------------------+
//	| group 8 ...      |
//
//	 header
//	 0        4        8        12       16       20       24   26 27 28
//	+--------+--------+--------+--------+--------+--------+----+--+--+--------+
//	| "TMJ1" | header | body   | payload| meta   | count  | pt |kd|fl| nth    |
//	|        | CRC32C | CRC32C | bytes  | bytes  |        |    |  |  |        |
//	+--------+--------+--------+--------+--------+--------+----+--+--+--------+
//	 32                40                48                56                64
//	+-----------------+-----------------+-----------------+-----------------+-----------------+
//	| first offset    | seq             | time, us        | owner           | group           |
//	+-----------------+-----------------+-----------------+-----------------+-----------------+
//
// pt is the partition, 65535 for all; kd the Kind; fl how the metadata is laid
// out; nth how many blocks stand before it in its group, which tells where the group began, and so
// where what was synced before it ended (0 in files of before, which says the least). The header's checksum covers bytes 8 to 72, then the segment's number and
// the block's position in it (8 bytes each, not stored): a block that lies
// where it was not written is not a block. That is what keeps a payload that
// holds a copy of a segment from being taken for blocks. In a Head, count is the
// number of the format that its segment is written in: 0 stands for all before
// formats had numbers, and a later format than this program's is refused at Open,
// since what it knows nothing of would look like damage.
//
//	 metadata of Records                    metadata of Tick, End, Note
//	+---------------------------------+    +---------------------------------+
//	| payload lengths, u16 or u32     |    | first offset by partition, u64  |
//	| receive times: base i64         |    +---------------------------------+
//	|   [+ count u32, or count i64]   |     (the payload is the note's body)
//	| topics: n u16, n (len u16, text)|
//	|   [+ count u16, when n > 1]     |     metadata of Marks
//	| principals: likewise            |    +---------------------------------+
//	| [envelopes: count u16, bytes]   |    | n u32, n sources:               |
//	| [source: len u16, text; pos u64]|    |   len u16, text; committed u64  |
//	+---------------------------------+    +---------------------------------+
//	 metadata of Head
//	+-----------------------------------------------------------------------+
//	| partitions u32, next offset of each u64                               |
//	| newest block time of the segment before, i64                          |
//	| voids: n u32, n seq u64                                               |
//	| sources: n u32, n (len u16, text; committed u64; r u8; [reached u64s])|
//	| [gaps: n u32, n (partition u32; from u64; to u64)]                    |
//	+-----------------------------------------------------------------------+
//
//
//	 padding, at the end of the metadata of any block of a large group
//	+---------------------------------+------------------------------------------+
//	| zeros                           | bytes of the padding, these two too: u16 |
//	+---------------------------------+------------------------------------------+
//
// A Head says how everything stood before its segment, so that older segments
// can be trimmed, and overrules them: a block of an older segment at or past the
// next offset of its partition, or listed under voids, does not count. Offsets in
// a gap were given to records that were never acknowledged, and hold nothing.
package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	magic = 0x314a4d54 // "TMJ1"
	// format is the number of what is drawn above; whoever changes what a
	// reader must understand adds one, and keeps reading what was before.
	format     = 1
	headerSize = 72
	// allPartitions is the partition of blocks that concern every one.
	allPartitions = 1<<16 - 1
	// maxCount is how many records a block may hold; an index in a dictionary fits in 16 bits.
	maxCount = 1<<16 - 1
	// maxBody is more than any block's body; a header that claims more is not one.
	maxBody = 1 << 28
	suffix  = ".seg"
)

// Kinds that only this package sees.
const (
	kindHead Kind = 200 + iota
	kindMarks
)

// How the metadata of Records is laid out.
const (
	flagWide      = 1 << iota // lengths are u32
	flagSame                  // one receive time for all
	flagRaw                   // receive times are i64 each, without a base
	flagSourced               // source and position follow
	flagEnveloped             // envelopes follow, before those
	flagPadded                // of any kind of block: a padding follows
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the same table each time

// header is the fixed part of a block.
type header struct {
	bodyCRC   uint32
	payload   uint32 // bytes
	meta      uint32 // bytes
	count     uint32
	partition uint16
	kind      Kind
	flags     uint8
	first     uint64
	seq       uint64
	time      int64
	owner     uint64
	group     uint64
	nth       uint32 // in its group
}

func (h *header) size() int64 { return headerSize + int64(h.payload) + int64(h.meta) }

// encode writes the header of a block at position at of a segment to b.
func (h *header) encode(b []byte, segment uint64, at int64) {
	_ = b[headerSize-1]
	le := binary.LittleEndian
	le.PutUint32(b[0:], magic)
	le.PutUint32(b[8:], h.bodyCRC)
	le.PutUint32(b[12:], h.payload)
	le.PutUint32(b[16:], h.meta)
	le.PutUint32(b[20:], h.count)
	le.PutUint16(b[24:], h.partition)
	b[26], b[27] = byte(h.kind), h.flags
	le.PutUint32(b[28:], h.nth)
	le.PutUint64(b[32:], h.first)
	le.PutUint64(b[40:], h.seq)
	le.PutUint64(b[48:], uint64(h.time))
	le.PutUint64(b[56:], h.owner)
	le.PutUint64(b[64:], h.group)
	le.PutUint32(b[4:], headerCRC(b, segment, at))
}

func headerCRC(b []byte, segment uint64, at int64) uint32 {
	var where [16]byte
	binary.LittleEndian.PutUint64(where[0:], segment)
	binary.LittleEndian.PutUint64(where[8:], uint64(at))
	return crc32.Update(crc32.Checksum(b[8:headerSize], castagnoli()), castagnoli(), where[:])
}

// decodeHeader reads the header that b starts with; ok is false unless it is
// the whole and right header of a block at that place.
func decodeHeader(b []byte, segment uint64, at int64) (h header, ok bool) {
	le := binary.LittleEndian
	if len(b) < headerSize || le.Uint32(b) != magic || le.Uint32(b[4:]) != headerCRC(b, segment, at) {
		return header{}, false
	}
	h = header{
		bodyCRC:   le.Uint32(b[8:]),
		payload:   le.Uint32(b[12:]),
		meta:      le.Uint32(b[16:]),
		count:     le.Uint32(b[20:]),
		partition: le.Uint16(b[24:]),
		kind:      Kind(b[26]),
		flags:     b[27],
		nth:       le.Uint32(b[28:]),
		first:     le.Uint64(b[32:]),
		seq:       le.Uint64(b[40:]),
		time:      int64(le.Uint64(b[48:])),
		owner:     le.Uint64(b[56:]),
		group:     le.Uint64(b[64:]),
	}
	return h, h.payload <= maxBody && h.meta <= maxBody && h.count <= maxCount
}

func bodyCRC(body []byte) uint32 { return crc32.Checksum(body, castagnoli()) }

func segmentName(dir string, id uint64) string {
	return fmt.Sprintf("%s/%016d%s", dir, id, suffix)
}

// segmentID reads a segment's number from the name of a file; ok is false for
// files that are not segments.
func segmentID(base string) (id uint64, ok bool) {
	digits, found := strings.CutSuffix(base, suffix)
	if !found || len(digits) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}
