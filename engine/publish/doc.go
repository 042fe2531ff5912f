// Package publish is the other side of the door: many MQTT clients that publish,
// cheaply. A crowd of them makes the load of a simulated fleet, and a crowd of
// one is how a sink reaches a broker.
//
// What becomes of a message:
//
//	Publish ─► queue ──► in flight ──► acknowledged ─► Options.Done
//	             ▲    window   │ resent with DUP where the broker kept the session,
//	             └─────────────┘ queued again where it did not
//
// A client costs one goroutine, which connects and reads. A few writers make
// one write of whatever has gathered for a connection. They may wait in that
// write; the reader notices a broker that is silent and closes the connection,
// which ends the wait.
//
// # Why not a client library?
//
// Those at hand keep several goroutines, timers and buffers a connection, and
// a fleet of 8,000 would cost more than the engine that it is to load.
//
// # What is kept where a connection is lost?
//
// Everything that was not acknowledged, in order. Where the broker has kept the session, QoS 1 and 2 go on
// as section 4.4 of MQTT 5.0 says: PUBLISH again with DUP, PUBREL where PUBREC had come. Where it has
// not, messages are new ones; those that had their PUBREC are the broker's, and done.
//
// # When is a message of QoS 0 done?
//
// When it has been handed to a connection. Nobody can know more.
//
// Imports: env, mqtt
//
// Not here: subscribing (stages/ingestmqtt), whose records these are
// (simulate). Start with options.go, then client.go.
package publish
