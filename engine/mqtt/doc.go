// Package mqtt is the MQTT protocol, 3.1.1 and 5.0, and a server of it: packets,
// sessions, retained messages, subscriptions. What clients publish goes to an
// Inlet, which says when it is durable, and to whoever has subscribed.
//
// A packet, section 2.1:
//
//	byte 0          bytes 1..4          the rest
//	┌──────┬──────┬──────────────────┬─────────────────────────────────────────┐
//	│ type │flags │ remaining length │ variable header (id, properties), payload│
//	└──────┴──────┴──────────────────┴─────────────────────────────────────────┘
//	  7..4   3..0   7 bits a byte, low first
//
// How a message travels:
//
//	read ──► Decode ─► handle ─► batch ──► Inlet.Append(batch, done)     one a read
//	                      │                          │
//	                      └► route ─► deliver        └► done ─► acks, in order ─► line of
//	                                     └──► out of the subscriber's connection ─► writers
//
// A connection begins with a goroutine of its own, and has one whenever it must wait: for the rest
// of a packet, a disk, its rate. Between messages a sweeper reads it (sweep.go): one goroutine for all that keep
// still, told by the kernel who has something. Bytes to
// write are gathered per connection; a few writers take the connections that
// have some, and make one write of them. A writer never waits for a client: a
// connection tries once (sock.go), and what the network does not take is written by a goroutine that lives until
// then. So a connection that keeps silent costs neither a goroutine nor a buffer.
//
// # What is supported, and what is refused?
//
//	MQTT 3.1.1, 5.0             all of it but what follows
//	MQTT 3.1 and others         CONNACK 0x01, or 0x84
//	CONNECT over 32 KiB         CONNACK 0x95
//	enhanced authentication     CONNACK 0x8C; AUTH later: DISCONNECT 0x82
//	topic aliases to clients    as many as the client allows, 64 at most; for topics that come again
//	sessions                    outlive the engine where they outlive their connection (Server.Restore)
//	$ topics                    no filter with a wildcard in front finds them; allowed where a rule names them
//	QoS 0 to a slow reader      dropped and counted, once 256 KiB wait for it
//	QoS 1, 2 to a slow reader   queued up to the limits, then dropped and counted
//	QoS 1, 2 of a client        5.0: DISCONNECT 0x93 over the receive maximum; 3.1.1: QoS 1 is read more slowly, QoS 2 as many as there are identifiers
//	packets over max_packet     DISCONNECT 0x95
//	topics, filters too deep    DISCONNECT 0x90, 0x8F
//	what a rule forbids         PUBACK, PUBREC, SUBACK 0x87; 3.1.1: SUBACK 0x80, and a PUBLISH closes the connection
//	subscriptions over the limit   SUBACK 0x97; 3.1.1: 0x80
//	sessions over the limit     CONNACK 0x97; 3.1.1: 0x03
//	retained over the limit     delivered and acknowledged, not kept, and counted; those that have expired make room first
//	connections over the limit  closed without an answer; of one address, where that is limited, likewise
//
// # When is a message acknowledged?
//
// When the inlet says that it is durable, in the order in which messages came.
// Until then more is read, up to the receive maximum. When the inlet fails, the
// connection is closed, so that the client sends again.
//
// # How does a new subscription get ten thousand retained messages?
//
// As its client takes them: QoS 0 waits until the network has room, QoS 1 and 2 until the client has answered. In between, what the
// client sends is read, so that its pings are answered however long it takes. They
// leave half of what may wait to live messages. What the client has not fetched it gets when its session goes on, what is of QoS 1 and 2 after
// a restart of the server too, where up to 64 of them may come a second time (catchup.go).
//
// # May a subscriber see what is not durable yet?
//
// Yes: commands should not wait for a disk. When the disk then fails, the publisher sends again, and the subscriber
// sees the message twice, even at QoS 2.
//
// # What is a duplicate?
//
// QoS 2: a message whose identifier has not been released, as the protocol says; it is not handed on. Everything
// else is, with the number of its session and its identifier, and whether it is sent
// again: who reads what was written down tells duplicates by that, also where the server that took the
// first one is no more. So little about messages of clients has to be kept here: which identifiers of QoS 2 were
// released lately, and which of QoS 1 were never answered. A new connection waits until everything of the one before is settled.
//
// QoS 1, a message with the identifier, topic and payload of one that came before in the session:
//
//	the one before        without DUP                        with DUP
//	never answered        that one (MQTT-2.2.1-3)            that one
//	answered              a new one (MQTT-4.3.2-5)           that one, whose answer got lost (MQTT-3.3.1-1)
//	answered, and the     a new one                          a new one, of which the first try got lost
//	client has the answer
//
// To a server MQTT-4.3.2-5 allows to take each of them for new, since QoS 1 may come twice; here they count once where that
// can be known. A client that forgets DUP, as MQTT-3.3.1-1 does not allow, counts twice where its answer got lost. A client has its
// answer when it was heard of on the same connection ten seconds after everything was answered (again.go). What was
// never answered, and who has an answer, is not known of the time before the server's start. Where payloads have a number of
// their own, a channel's dedupe needs none of this.
//
// How many may be in flight when the connection breaks, so that all of them count once: 4,096 that were sent within half a minute, of QoS 2 that
// have not been released, and 64 in any case. Who reads keeps no more of a session (run), and a session here no more of QoS 2 (released.go). Which
// session needs more than 64 kept shows in its messages that were unanswered at one time (Inbound.Many).
//
// # What outlives the server?
//
// Sessions that outlive their connection, with subscriptions, messages of QoS 1 and 2 that wait or are not
// acknowledged, and released identifiers; retained messages; wills (log.go). A client is told only of what is
// durable: a CONNACK waits for a new session, SUBACK, UNSUBACK and PUBCOMP for what they confirm, and the acknowledgement of a
// message that is retained, or on its way to such a session, waits for that too.
// What is written down a moment late is which identifier a message to a client got, and that the
// client has it: after a failure it may get the message again, under another identifier if power failed within
// milliseconds of the first time.
//
// # When is a will published, if the server stops?
//
// By the next server, since section 3.1.2.5 of MQTT 5.0 lets a server put that off until it is there again:
// after the will's delay, counted from then, unless the client has come back. A server that is
// started anew in a second would else tell everybody that its whole fleet is gone.
//
// DISCONNECT takes it back and has no answer; so the server closes the connection when that is on disk, and a client that waits
// for the end knows that no will comes any more. A disk that does not answer within a second keeps nobody waiting for
// longer: that is counted (wills_taken_back_late).
//
// # Whose is a client identifier?
//
// The principal's who made the session. Another one is refused (0x85), or else
// it could take the session, and the messages in it, over.
//
// # Why a sweeper, when Go's own poller tells goroutines apart?
//
// A message on a connection of its own costs a goroutine's wake, a read that finds nothing before it
// sleeps again, and a call of the inlet. A sweeper reads once a connection, and hands on what all
// of them sent at once; their answers then come back as one. Where the inlet would have to wait, the sweep becomes a goroutine's, and
// its connections wait with it; the others are read on.
//
// # Why does a sweeper wait in Go's poller, and not in epoll_wait?
//
// A thread that sleeps in the kernel, whose processor the scheduler takes away and gives back, is dear. An epoll can itself be
// waited for: put into Go's poller, it wakes the sweeper as a connection would wake its goroutine. A record of W3 cost a fifth less.
//
// # Why are a sweeper's connections not package net's?
//
// What is in Go's poller is heard by it too, at each message, and nobody waits there: with 5,000 connections that cost 0.9 us of 12.7. Go cannot be told
// to forget a descriptor but by closing it. So who is left to a sweeper gets another descriptor of the same connection, and package
// net's is closed (sock_linux.go); when it must wait again, or something has to be written that the network does not take, Go's poller gets
// the descriptor back as a file's. That takes no further descriptor: where there is none to be had, a connection stays package net's.
//
// # Why are sockets read and written by bare system calls?
//
// They never wait. Telling the runtime of each, as package syscall does, costs a little, and more where a call is
// long, as writing to a client on the same machine is: after 20 us its processor is given to another thread.
// Nor do they go through package net, whose own lock and poller's entry of a connection are cache misses: with 5,000 connections
// those took 1 us a message. A sock closes its descriptor itself, under the locks under which it reads and writes it.
//
// # Why are connections touched before they are visited?
//
// With thousands, what is known of one is in no cache when something comes of it. A loop that only loads a word
// of each has many misses under way at one time; a visit has one after the other. With that, what a message needs of its connection standing
// together, and edge-triggered events, a record of W3S costs an eighth less.
//
// # Why is who came last the first to be answered, in a crowd?
//
// Where messages come faster than answers can be written, connections wait, and in whichever order they are answered, the mean of their waiting
// is the same (Little's law). In the order in which they came, 5,000 clients with a message each wait for 50 ms, all alike: of none is
// anything left in the processor's caches when its turn comes, and TCP, which keeps an acknowledgement back for 40 ms so that an answer may carry it, sends it by
// itself. Of those who came last everything is still near; they have their answers after 8 ms and send the next message, and a message costs a fifth less.
// The others wait meanwhile, but nobody for longer than 200 ms because of that: then they are first, so that where so many wait that it takes longer
// to answer all of them, they are answered in the order in which they came. Nobody who publishes sees anything of that while fewer than 128 wait.
//
// A writer lets others run in between, and on one processor a sweeper does not sleep meanwhile: else all that wait would be written before
// the next messages of the first were read, and last would only be the other end of the same crowd.
//
// # Why do few connections begin or end at one time?
//
// When ten thousand drop and come back, there is a goroutine for each to be run, and Go runs them in turn: who stayed would wait
// behind all of them. So a sweeper lets go of 64 and looks at the others again, and whoever accepts lets others
// run after 16. For the same reason handshakes do not compute on all processors.
//
// # Why do handshakes wait in a line?
//
// When a fleet comes back at once and all handshakes go on side by side, all of them end at the end: later
// than clients have patience, and what was computed for them is lost. So a few are under way at one time, and the rest have not
// begun. Addresses take turns, so that one that sends thousands keeps no other out; of one address who came last is
// next: where all can be served in time the order does not matter, and where they cannot, those who have waited for long have given up, and a new device is in
// at once. One place of four goes to who has waited there the longest, so that a flood that does not end keeps no patient client out for ever. Who has not sent the whole of a first message does not stand in the
// line. A place is given up by a client that takes its time to answer, the sooner the more clients never do (hall.go).
//
// # Why does a handshake not hold its place while it waits?
//
// Places limit what computes at one time, so that connected clients are served
// during a storm. Clients that never finish would take all places if waiting counted.
//
// Imports: env
//
// Not here: what becomes of messages (stages/ingestmqtt). Start with options.go,
// the contract, then conn.go; decode.go for the protocol.
package mqtt
