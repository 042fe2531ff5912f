// Package ports finds TCP ports for servers that tests start in processes of their own, kill, and start again.
//
// # Why not listen on port 0, close, and use that port?
//
// The system gives such a port away again: to any connection or listener of any test that runs at the same time. So a
// server found its port taken once in a while, or worse, its clients found another test's server there. A client that
// dials such a port while nobody listens can even be connected with itself, and then holds it. The ports here are below
// those that the system gives away (Linux: net.ipv4.ip_local_port_range; RFC 6335, section 6, for others), and each
// belongs to one test at a time among all processes of the machine.
//
// Imports: nothing
//
// Not here: the servers (mosquitto, influx, sinks, rig). There is ports.go only.
package ports
