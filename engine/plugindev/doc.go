// Package plugindev is for those who write plugins: new projects, the manifest
// in plugin.hcl, compilers, test blocks, the guarantees that every module is held to, and measuring.
//
//	plugin.hcl -> ReadProject   what the plugin is: columns, state, arguments
//	           -> Generate      the same as constants of its language: plugin.h, .rs, .go, .ts
//	           -> Build         its compiler, then the manifest as a section: a module
//	           -> RunTests      rows in, rows out, from *.test.hcl
//	module     -> Check         the guarantees, with rows made up from the manifest
//	           -> Measure       what a row costs, in time and in fuel
//
// # Why does the manifest stand in plugin.hcl and not in the source?
//
// Four languages would need four ways to write it, and a way to keep it and the code in step. Here the code
// is given its column numbers by the manifest: a column that is misspelt does not compile.
//
// # Why is the SDK copied into a project?
//
// A project builds without a network and next year as today: the digest of a module does not change with the
// version of Tidemill that builds it. A project without a copy is built with the SDK of this binary.
//
// # Which rows does Check use?
//
// Rows made up from the manifest (a seed decides), and the rows of the plugin's tests, which know what makes sense. The
// guarantees hold for both.
//
// Imports: splitmix, config, env, state, wasm, wasm/meter
//
// Not here: running plugins (wasm), the store of modules and which device gets which. Start with
// project.go, then check.go.
package plugindev
