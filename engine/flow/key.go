package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// A key of several values is their encodings, one after the other: equal keys
// have equal bytes, different ones different bytes, and each value can be read
// back. The order of the bytes means nothing.
//
//	0                      null
//	1 | 2                  false, true
//	3 + 8 bytes            integer, little-endian
//	4 + 8 bytes            number, IEEE 754; -0 is written as 0, every NaN as one
//	5 + 8 bytes            timestamp, us since 1970
//	6 + uvarint + bytes    string, its length before it
const (
	keyNull = iota
	keyFalse
	keyTrue
	keyInt
	keyFloat
	keyTime
	keyString
)

// KeyType says whether values of a type can be part of a key.
func KeyType(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.BOOL, arrow.INT64, arrow.FLOAT64, arrow.TIMESTAMP, arrow.STRING, arrow.NULL:
		return true
	}
	return false
}

// AppendKey appends the encoding of one value of a column to dst. The column's
// type must be a KeyType.
func AppendKey(dst []byte, a arrow.Array, row int) []byte {
	if a.IsNull(row) {
		return append(dst, keyNull)
	}
	le := binary.LittleEndian
	switch a := a.(type) {
	case *array.Boolean:
		if a.Value(row) {
			return append(dst, keyTrue)
		}
		return append(dst, keyFalse)
	case *array.Int64:
		return le.AppendUint64(append(dst, keyInt), uint64(a.Value(row)))
	case *array.Float64:
		v := a.Value(row)
		switch {
		case v == 0:
			v = 0
		case v != v:
			v = math.NaN()
		}
		return le.AppendUint64(append(dst, keyFloat), math.Float64bits(v))
	case *array.Timestamp:
		return le.AppendUint64(append(dst, keyTime), uint64(a.Value(row)))
	case *array.String:
		v := a.Value(row)
		return append(binary.AppendUvarint(append(dst, keyString), uint64(len(v))), v...)
	}
	panic("BUG: " + a.DataType().Name() + " cannot be a key")
}

// KeySize is how many bytes AppendKey appends for one value.
func KeySize(a arrow.Array, row int) int {
	if a.IsNull(row) {
		return 1
	}
	switch a := a.(type) {
	case *array.Boolean:
		return 1
	case *array.String:
		n := a.ValueLen(row)
		return 1 + (bits.Len(uint(n)|1)+6)/7 + n
	}
	return 9
}

var errKey = errors.New("damaged key")

// KeyColumns reads keys of several values back into columns of the given types,
// a row a key. The columns belong to the caller. An error means that
// a key was not written by AppendKey over columns of these types.
func KeyColumns(keys [][]byte, types []arrow.DataType, b func(t arrow.DataType) array.Builder) ([]arrow.Array, error) {
	builders := make([]array.Builder, len(types))
	for i, t := range types {
		builders[i] = b(t)
		builders[i].Reserve(len(keys))
		defer builders[i].Release()
	}
	for _, key := range keys {
		rest := key
		for i := range builders {
			var err error
			if rest, err = appendKeyValue(builders[i], rest); err != nil {
				return nil, fmt.Errorf("%w, value %d", err, i)
			}
		}
		if len(rest) > 0 {
			return nil, fmt.Errorf("%w: %d bytes too many", errKey, len(rest))
		}
	}
	cols := make([]arrow.Array, len(builders))
	for i := range builders {
		cols[i] = builders[i].NewArray()
	}
	return cols, nil
}

// appendKeyValue moves one value from the front of key to a builder.
func appendKeyValue(b array.Builder, key []byte) (rest []byte, err error) {
	if len(key) == 0 {
		return nil, errKey
	}
	tag, key := key[0], key[1:]
	switch tag {
	case keyNull:
		b.AppendNull()
		return key, nil
	case keyFalse, keyTrue:
		if b, ok := b.(*array.BooleanBuilder); ok {
			b.Append(tag == keyTrue)
			return key, nil
		}
	case keyInt, keyFloat, keyTime:
		if len(key) < 8 {
			return nil, errKey
		}
		if appendKeyWord(b, tag, binary.LittleEndian.Uint64(key)) {
			return key[8:], nil
		}
	case keyString:
		n, used := binary.Uvarint(key)
		if used <= 0 || n > uint64(len(key)-used) {
			return nil, errKey
		}
		if b, ok := b.(*array.StringBuilder); ok {
			b.BinaryBuilder.Append(key[used : used+int(n)])
			return key[used+int(n):], nil
		}
	}
	return nil, errKey
}

func appendKeyWord(b array.Builder, tag byte, w uint64) bool {
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(int64(w))
		return tag == keyInt
	case *array.Float64Builder:
		b.Append(math.Float64frombits(w))
		return tag == keyFloat
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(w))
		return tag == keyTime
	}
	return false
}
