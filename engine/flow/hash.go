package flow

import "github.com/zeebo/xxh3"

// Hash is the one hash that decides where a key goes. It is part of the data
// format: partitions of a channel on disk depend on it. XXH3, 64 bits, seed 0.
func Hash(key []byte) uint64 { return xxh3.Hash(key) }

// HashText is Hash of a text.
func HashText(key string) uint64 { return xxh3.HashString(key) }

// PartitionOf returns the partition, of n, of a key with this hash.
func PartitionOf(hash uint64, n int) int {
	// The high half of the product is an unbiased range reduction without a division (Lemire 2019).
	return int((hash >> 32 * uint64(n)) >> 32)
}
