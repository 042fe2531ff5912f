package mqtt

// Version is the protocol level of CONNECT.
type Version byte

const (
	// V311 is MQTT 3.1.1.
	V311 Version = 4
	// V5 is MQTT 5.0.
	V5 Version = 5
)

// Type is a packet's type, section 2.1.2.
type Type byte

// The packet types.
const (
	Connect Type = iota + 1
	Connack
	Publish
	Puback
	Pubrec
	Pubrel
	Pubcomp
	Subscribe
	Suback
	Unsubscribe
	Unsuback
	Pingreq
	Pingresp
	Disconnect
	Auth
)

func (t Type) String() string {
	return [...]string{"type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
		"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}[t&15]
}

// MaxPacket is the largest packet that the protocol can express: 5 bytes of
// header and a remaining length of 268,435,455.
const MaxPacket = 268_435_455 + 5

// Limits are what a reader of packets accepts. Zero values take the most that
// the protocol can express.
type Limits struct {
	Packet int // bytes of a packet with its header
	Levels int // levels of a topic or a filter
}

// Packet is one control packet of any type. Its slices point into the buffer that it
// was decoded from. A Packet can be decoded into again and again.
type Packet struct {
	Type Type
	// Of PUBLISH.
	Dup, Retain bool
	QoS         byte
	// ID is the packet identifier, of all types that have one.
	ID uint16
	// Topic is of PUBLISH; in 5.0 it may be empty beside a topic alias.
	Topic, Payload []byte

	Reason         Reason // of CONNACK (in 3.1.1 the return code), PUBACK to PUBCOMP, DISCONNECT, AUTH
	SessionPresent bool
	Reasons        []byte // of SUBACK and UNSUBACK
	Filters        []Filter

	Login Login
	Props Props

	// RawProps is the property section of a PUBLISH, without its length.
	RawProps []byte
	// Checked is a topic that is known to be well formed; setting it saves
	// checking it again.
	Checked []byte
}

// Login is what CONNECT says.
type Login struct {
	Version                Version
	CleanStart             bool
	KeepAlive              uint16 // seconds; 0: none
	ClientID               []byte
	HasUser, HasPassword   bool
	User, Password         []byte
	HasWill, WillRetain    bool
	WillQoS                byte
	WillTopic, WillPayload []byte
	WillProps              Props
	RawWillProps           []byte
}

// Filter is one entry of SUBSCRIBE, or the name alone of UNSUBSCRIBE.
type Filter struct {
	Name              []byte
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	// RetainHandling says when retained messages are sent: 0 always, 1 when the
	// subscription is new, 2 never.
	RetainHandling byte
}

// reset empties p for another packet; slices keep their memory. Field by field,
// since a Packet is large, and what its type does not have is not read.
func (p *Packet) reset() {
	p.Dup, p.Retain, p.QoS, p.ID, p.Reason, p.SessionPresent = false, false, 0, 0, 0, false
	p.Topic, p.Payload, p.RawProps = nil, nil, nil
	p.Reasons, p.Filters = p.Reasons[:0], p.Filters[:0]
	p.Props.reset()
}

// flagsOf returns the reserved flags of a type other than PUBLISH.
func flagsOf(t Type) byte {
	if t == Pubrel || t == Subscribe || t == Unsubscribe {
		return 2
	}
	return 0
}
