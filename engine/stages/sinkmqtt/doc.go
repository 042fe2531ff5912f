// Package sinkmqtt publishes rows over MQTT: the sink "mqtt".
//
//	sink "mqtt" "dispatch" {              # to the subscribers of this configuration's own ingest "mqtt"
//	  from  = alarm.too_warm
//	  topic = "alarms/${device}"
//	}
//
//	sink "mqtt" "headquarters" {          # to another broker
//	  from     = alarm.too_warm
//	  url      = "mqtts://broker.example" # port 8883; mqtt:// has 1883
//	  user     = "plant-7"
//	  password = env("BROKER_PASSWORD")
//	  topic    = "plant7/alarms/${device}"
//	  payload  = { device = device, text = "${name} since ${since}" }  # a text, or the row as JSON when left out
//	  qos      = 1
//	  retain   = true
//	  tls {
//	    ca = "broker-ca.pem"              # cert and key: who this client is
//	  }
//	}
//
// # What is promised?
//
// At least once, in order. A batch of rows is done, and its spool moves on, when the broker
// has confirmed every row: PUBACK, or with qos = 2 PUBREC and PUBCOMP. A lost connection is made again, with growing
// pauses, and what was not confirmed is sent again, as the session says. A batch that was on
// its way when the process died is published again by the next one.
//
// # What does the own ingest's server do with a row?
//
// It gives it to the sessions that have subscribed, as it does with what clients publish, and
// keeps it when it is retained. That is a step in memory, done when the row is handed
// over; a session that has no room drops it, and counts that. It does not come into the channel.
//
// # What if the broker does not want a row?
//
// A topic that is none, a payload that it calls malformed or too large: the row
// is rejected with the broker's reason. Not authorized, a quota and other reasons are no fault of the row's;
// it is tried again, as sinkhttp does with 403.
//
// # Why is there a client identifier?
//
// The broker knows the session by it. Two sinks with the same one take the
// connection from each other. When left out, it is "tidemill-" and the sink's address.
//
// Imports: config, expr, mqtt, publish, stage
//
// Not here: connections and what is in flight (publish), retries and the spool
// (run). Start with args.go, then sink.go.
package sinkmqtt
