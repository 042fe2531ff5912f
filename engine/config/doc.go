// Package config reads a folder of HCL files into typed blocks. All files of a
// folder are one configuration; all problems of all files are told at once.
//
//	files ->  limits.go   size, nesting, no loops: before the parser sees them
//	      ->  syntax.go   the parser, again after every mistake; rephrase.go: in our words
//	      ->  settings.go, channel.go, schema.go, plugin.go, pipeline.go: blocks
//	      ->  refs.go     references to what they mean
//	      ->  decode.go   a stage's own arguments, when plan asks for them
//
// Imports: flow, env
//
// Not here: what a stage's arguments mean (each stage decodes its own body, see
// stage), whether the graph makes sense (plan), expressions over rows (expr).
// Start with config.go, the blocks.
//
// # Why are the limits counted over the parser's own tokens?
//
// A scanner of our own would have to agree with HCL's on strings, templates and
// heredocs to the last byte, or be walked around. HCL's scanner takes no recursion,
// and time and memory in proportion to the file; only the parser behind it must be kept
// from deep files. Operators are counted too: a long chain of them nests as
// deeply in the parser, or in what it returns, as brackets do.
//
// # Why is a file with mistakes parsed again and again?
//
// HCL's parser says nothing more after the first mistake that it cannot get over. The line
// it complains of is blanked, with all positions kept, and the rest is parsed again.
// Where blanking may have lost a block or an argument, nothing is said to be missing.
//
// # Why not HCL's own evaluation of constants?
//
// It turns texts into numbers and numbers into texts without being asked, and
// "${"1e999999999" + 0}" into a text of a gigabyte. Value takes bounded memory, asks for the
// right type, and never shows a value that may be a secret.
//
// # Why not gohcl.DecodeBody?
//
// It reports in the order of a map, in words about conversions, and once per
// problem that it meets first. DecodeBody takes the same tags.
package config
