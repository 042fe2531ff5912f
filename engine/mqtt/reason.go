package mqtt

import "fmt"

// Reason is a reason code of MQTT 5.0, section 2.4. Below 0x80 is success.
type Reason byte

// The reason codes. Some numbers have several names, by packet.
const (
	Success             Reason = 0x00
	GrantedQoS1         Reason = 0x01
	GrantedQoS2         Reason = 0x02
	DisconnectWithWill  Reason = 0x04
	NoMatching          Reason = 0x10
	NoSubscription      Reason = 0x11
	ContinueAuth        Reason = 0x18
	Reauthenticate      Reason = 0x19
	Unspecified         Reason = 0x80
	MalformedPacket     Reason = 0x81
	ProtocolError       Reason = 0x82
	Implementation      Reason = 0x83
	UnsupportedVersion  Reason = 0x84
	ClientIDInvalid     Reason = 0x85
	BadLogin            Reason = 0x86
	NotAuthorized       Reason = 0x87
	ServerUnavailable   Reason = 0x88
	ServerBusy          Reason = 0x89
	Banned              Reason = 0x8A
	ShuttingDown        Reason = 0x8B
	BadAuthMethod       Reason = 0x8C
	KeepAliveTimeout    Reason = 0x8D
	TakenOver           Reason = 0x8E
	FilterInvalid       Reason = 0x8F
	TopicInvalid        Reason = 0x90
	IDInUse             Reason = 0x91
	IDNotFound          Reason = 0x92
	ReceiveMaxExceeded  Reason = 0x93
	AliasInvalid        Reason = 0x94
	PacketTooLarge      Reason = 0x95
	RateTooHigh         Reason = 0x96
	QuotaExceeded       Reason = 0x97
	AdminAction         Reason = 0x98
	PayloadInvalid      Reason = 0x99
	RetainNotSupported  Reason = 0x9A
	QoSNotSupported     Reason = 0x9B
	UseAnotherServer    Reason = 0x9C
	ServerMoved         Reason = 0x9D
	SharedNotSupported  Reason = 0x9E
	ConnectionRate      Reason = 0x9F
	MaximumConnectTime  Reason = 0xA0
	SubIDsNotSupported  Reason = 0xA1
	WildcardUnsupported Reason = 0xA2
)

// Failed says that the code is of a failure.
func (r Reason) Failed() bool { return r >= 0x80 }

func (r Reason) String() string {
	names := [...]string{"unspecified error", "malformed packet", "protocol error", "implementation specific error",
		"unsupported protocol version", "client identifier not valid", "bad user name or password", "not authorized",
		"server unavailable", "server busy", "banned", "server shutting down", "bad authentication method",
		"keep alive timeout", "session taken over", "topic filter invalid", "topic name invalid",
		"packet identifier in use", "packet identifier not found", "receive maximum exceeded", "topic alias invalid",
		"packet too large", "message rate too high", "quota exceeded", "administrative action",
		"payload format invalid", "retain not supported", "QoS not supported", "use another server", "server moved",
		"shared subscriptions not supported", "connection rate exceeded", "maximum connect time",
		"subscription identifiers not supported", "wildcard subscriptions not supported"}
	if i := int(r) - 0x80; i >= 0 && i < len(names) {
		return names[i]
	}
	if r == 0 {
		return "success"
	}
	return fmt.Sprintf("reason 0x%02X", byte(r))
}

// returnCode is the CONNACK return code of MQTT 3.1.1, table 3.1, that comes nearest.
func (r Reason) returnCode() byte {
	switch r {
	case Success:
		return 0
	case UnsupportedVersion:
		return 1
	case ClientIDInvalid:
		return 2
	case BadLogin, BadAuthMethod:
		return 4
	case NotAuthorized, Banned, TopicInvalid:
		return 5
	}
	return 3
}

// Error is what is wrong with bytes that came in.
type Error struct {
	Reason Reason
	Clause string // of the specification that it breaks, such as "MQTT-3.1.2-3"; of 5.0 where both have it
	Text   string // for a person
}

func (e *Error) Error() string {
	if e.Clause == "" {
		return "mqtt: " + e.Text
	}
	return "mqtt: " + e.Text + " [" + e.Clause + "]"
}

func malformed(clause, text string) *Error { return &Error{MalformedPacket, clause, text} }

func protocol(clause, text string) *Error { return &Error{ProtocolError, clause, text} }
