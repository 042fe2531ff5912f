// Package sdk holds the guest side of the plugin ABI, as files: tidemill plugin build gives them to the
// compilers, tidemill plugin new puts copies into projects. README.md is for those who write plugins, ABI.md for
// those who write SDKs.
//
// Imports: nothing
package sdk

import "embed"

// Files are the SDKs, a folder a language.
//
//go:embed c/tidemill.h rust/migrate.rs rust/tidemill.rs assemblyscript/tidemill.ts go/columns.go go/doc.go go/host_other.go go/host_wasm.go go/migrate.go go/tidemill.go
var Files embed.FS

// Templates are new projects, a folder a language, and all/ for every language; NAME stands for the plugin's name.
//
//go:embed templates
var Templates embed.FS

// Boundary is a plugin in every language that does next to nothing: what crossing into it costs is measured with it.
//
//go:embed boundary
var Boundary embed.FS
