// Package ingestmqtt lets devices publish into a channel: the ingest "mqtt", an
// MQTT server of our own.
//
//	ingest "mqtt" "trucks" {
//	  to     = channel.telemetry
//	  listen = ["tls://0.0.0.0:8883", "tcp://127.0.0.1:1883"]  # also ws:// and wss://
//	  topic  = "dt/{site}/{asset_type}/{device}/telemetry"    # names become columns
//	  users  = "users.txt"                                    # name:hash, bcrypt or argon2id
//	  allow  = ["dt/+/+/${username}/#", "cmd/${username}/#"]  # or { publish = [...], subscribe = [...] }
//	  tls {
//	    cert = "server.pem"
//	    key  = "server.key"
//	    client_ca   = "devices.pem"
//	    client_auth = "require"                               # or "optional"
//	  }
//	}
//
// A message whose topic is like the template is a record of the channel, and
// acknowledged when the journal has it on disk. Every message, also one of another topic, goes
// to the clients that have subscribed, so that commands and answers travel by the same door.
//
// # Who may connect?
//
// Everybody, where neither users nor required client certificates are configured; that is allowed on loopback
// addresses only, or with insecure = true. Where they are, nobody else may, on any address.
//
// # Why does Open not listen?
//
// A changed ingest opens while the old one still has the port. The first Step
// listens, and is tried again until the port is free.
//
// # What of a message with the retain flag and no payload?
//
// It removes a retained message, and is no record.
//
// Imports: flow, env, config, journal, decode, mqtt, stage
//
// Not here: the protocol (mqtt), columns out of topics (decode). Start with
// args.go, then source.go.
package ingestmqtt
