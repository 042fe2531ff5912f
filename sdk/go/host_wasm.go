package tidemill

import "unsafe"

//go:wasmimport tidemill log
func hostLog(level int32, text unsafe.Pointer, n int32)

//go:wasmimport tidemill config_number
func hostConfigNumber(name unsafe.Pointer, n int32) float64

//go:wasmimport tidemill config_text
func hostConfigText(name unsafe.Pointer, n int32, to unsafe.Pointer, room int32) int32

//go:wasmimport tidemill fail
func hostFail(text unsafe.Pointer, n int32)

//go:wasmexport tidemill_alloc
func exportAlloc(size int32) int32 { return int32(theRow.alloc(int(size))) }

//go:wasmexport tidemill_run
func exportRun(at int32) int32 { return int32(theRow.run(uint32(at))) }

//go:wasmexport tidemill_migrate
func exportMigrate(at int32) int32 { return theRow.migrateKeys(uint32(at)) }
