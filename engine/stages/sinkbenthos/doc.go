// Package sinkbenthos hands rows to any output of Benthos: the sink "benthos".
//
//	sink "benthos" "archive" {
//	  from   = alarm.too_warm
//	  config = {
//	    http_client = { url = "https://example.com/alarms", verb = "POST" }
//	  }
//	}
//
// A row is a message: a JSON object, or what body says, an object of expressions or a
// text. The rows of one write are one Benthos batch.
//
// # What is promised?
//
// At least once: the spool moves on when the output has confirmed the whole batch. When
// it fails, the whole batch is written again. While an output neither confirms nor fails, the
// sink tells that every timeout, and goes on waiting; it does not write the batch a second time.
//
// Imports: benthos, config, stage
//
// Not here: Benthos (benthos), retries and the spool (run). Start with args.go,
// then sink.go.
package sinkbenthos
