// Package ingestbenthos takes messages from any input of Benthos: the ingest "benthos".
//
//	ingest "benthos" "posts" {
//	  to     = channel.telemetry
//	  config = <<EOT
//	    socket_server:
//	      network: tcp
//	      address: 127.0.0.1:4000
//	      scanner:
//	        lines: {}
//	EOT
//	}
//
// Each message is a record. It is acknowledged to the input when the journal has it on
// disk; what that means upstream is the input's matter. A configuration that Benthos does not
// take is told by validate, at its line. What inputs there are is in that message.
//
// # What is promised?
//
// At least once, for inputs that send again what was not acknowledged. An input that reads a file
// begins at its beginning with every start; ingest "file" does not. A channel with dedupe counts once what comes twice.
//
// Imports: benthos, config, journal, stage
//
// Not here: Benthos (benthos). Start with args.go, then source.go.
package ingestbenthos
