// Package config reads a folder of HCL files into typed blocks. All files of a
// folder are one configuration; all problems of all files are told at once.
//
// Imports: flow, env
//
// Not here: what a stage's arguments mean (each stage decodes its own body, see
// stage), whether the graph makes sense (plan), expressions (expr). Start with
// config.go, the blocks.
package config
