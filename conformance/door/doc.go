// Package door lets others' clients, and many of them, through the real binary's
// door: MQTT over TCP, TLS and WebSocket. It holds tests only.
//
//	clients_test.go  mosquitto's clients, npm mqtt, the AWS IoT SDK, paho for Go: at home, also after a restart
//	durable_test.go  kill -9 and cuts of the power: what was acknowledged counts once
//	storm_test.go    a fleet that comes back at once
//	silence_test.go  ten thousand who connect and say nothing, or not all
//	upstream_test.go between a real mosquitto and its publishers: either is killed
//	broker_tls_test.go what is published to and taken from a real mosquitto over TLS
//	alias_test.go    topic aliases to clients of two libraries
//	device_test.go   a client of our own, for what libraries do not do
//
// Imports: forget, mosquitto, ports, rig, engine/mqtt
//
// Not here: hostile bytes, which engine/mqtt's own tests send. Start with world_test.go.
package door
