// Package benthos runs inputs and outputs of Benthos, the stream processor of
// Redpanda, inside the engine: components of its packages io and pure.
//
// A component is configured as Benthos is: as YAML text, or as an object of HCL of
// the same structure.
//
//	config = <<EOT                        config = {
//	  http_server:                          http_server = {
//	    address: 127.0.0.1:4195               address = "127.0.0.1:4195"
//	    path: /post                           path    = "/post"
//	EOT                                     }
//	                                      }
//
// In HCL text, $${...} is Benthos's own interpolation, and ${...} HCL's. Benthos sees no
// environment variables; env("NAME") does.
//
// # Why is this a package of its own?
//
// Benthos brings 12 MB of memory and 25 ms of start with it. Nothing else imports it.
//
// Imports: config
//
// Not here: what becomes of messages (stages/ingestbenthos, stages/sinkbenthos).
// Start with config.go.
package benthos
