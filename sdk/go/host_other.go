//go:build !wasm

package tidemill

import "unsafe"

// Outside of Wasm there is no host: these let editors and go vet read a plugin.

func hostLog(int32, unsafe.Pointer, int32) {}

func hostConfigNumber(unsafe.Pointer, int32) float64 { panic("a plugin runs as WebAssembly only") }

func hostConfigText(unsafe.Pointer, int32, unsafe.Pointer, int32) int32 {
	panic("a plugin runs as WebAssembly only")
}

func hostFail(unsafe.Pointer, int32) { panic("a plugin runs as WebAssembly only") }
