//go:build !unix

package mqtt

// readOnce and writeOnce do nothing here, so that everything is read by goroutines, and written by a sock's drain.
func readOnce(int, []byte) (n int, again bool, err error)  { return 0, true, nil }
func writeOnce(int, []byte) (n int, again bool, err error) { return 0, true, nil }
