// Package modules keeps modules by their digests in an engine's data folder:
//
//	DATA/plugins/modules/<64 hex digits>.wasm
//	DATA/plugins/modules/<64 hex digits>.sig    one signature a line: "ed25519 KEY SIGNATURE", base64
//
// A module is written beside its place, synced and renamed, so that a file under
// its name is whole; and it is checked against its name when it is read.
//
// # What is signed?
//
// The digest as text, "sha256:" and 64 hex digits (Ed25519, RFC 8032): whoever has it
// has signed the module.
//
// Imports: env, wasm
//
// Not here: which digest runs where (rollout). Start with store.go.
package modules
