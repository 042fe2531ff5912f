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
//	    crl = "revoked.pem"                                   # lists of revoked certificates, RFC 5280
//	  }
//	}
//
//	ingest "mqtt" "upstream" {                                # or from another broker
//	  to    = channel.telemetry
//	  url   = "mqtts://broker.example"
//	  topic = "dt/{site}/{asset_type}/{device}/telemetry"
//	  share = "tidemill"                                      # each message to one member of the group
//	  user  = "tidemill"
//	  password = env("BROKER_PASSWORD")
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
// # When does a changed file count?
//
// Files of certificates and users are looked at every two seconds. Who may no longer be here is cut off at
// once, and a revoked certificate does not help to resume TLS either. A file that cannot be read changes nothing, and is
// told. A changed allow comes by apply, which opens the ingest anew: clients come back, and what their
// sessions hold that they may not have any more is dropped and counted.
//
// # Why are client certificates not verified each time?
//
// A fleet that comes back at once is limited by what its handshakes compute. A certificate that has been found to be signed by
// client_ca is, as long as the same bytes are shown, the files are the same and it is valid (trust.go); that its client has the key is
// proved in each handshake, and whether it is revoked is looked up each time. That saves a sixth of what a full handshake
// takes here, and more of one that resumes.
//
// # What stands in a record's envelope?
//
// The number of the client's session and the packet identifier, where the session outlives its connection; whether the client
// says that it sends again; and user_properties. From these the engine tells duplicates (run). Every acknowledged message
// is in the journal, also one that is a duplicate.
//
// # Why does Open not listen?
//
// A changed ingest opens while the old one still has the port. The first Step
// listens, and is tried again until the port is free.
//
// # What does a client promise?
//
// With qos = 1 or 2 a message is acknowledged when the journal has it, in the order in which messages
// came, and at most receive_maximum are on their way (MQTT 5.0). The broker keeps the session, by client_id,
// while there is no connection: nothing is lost as long as the broker loses nothing and session_expiry is not
// over. What it sends again is marked, and counts once where it says so (DUP).
//
// # What does a broker lose that dies?
//
// Mosquitto acknowledges a publisher's message before it has it on disk, and saves every 30 minutes unless it
// is told otherwise (autosave_interval, autosave_on_changes). Killed or without power it loses what came since, and the sessions made
// since: their subscriptions are made again when the client comes back, messages of QoS 1 and 2 that
// waited for them are gone, and nobody is told. What was handed on and not yet marked as acknowledged comes again, marked
// by DUP or not: the channel's dedupe counts it once. Devices that publish to this engine's own
// listener have none of that.
//
// # What of a message with the retain flag and no payload?
//
// It removes a retained message, and is no record.
//
// Imports: flow, env, config, journal, decode, mqtt, publish, stage
//
// Not here: the protocol (mqtt), columns out of topics (decode). Start with
// args.go, then source.go.
package ingestmqtt
