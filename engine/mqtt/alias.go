package mqtt

// maxAliases is how many topic aliases a connection sets for its client at most, whatever the client allows.
const maxAliases = 64

// minAliased is the shortest topic that gets an alias, which itself takes three bytes.
const minAliased = 4

// aliases are the topic aliases that a connection sets for its client, section 3.3.2.3.4 of MQTT
// 5.0: alias i+1 stands for topics[i].
//
// The topics that come often are found as Misra and Gries do ("Finding repeated elements", 1982): each topic
// in the table has a count, a topic that is not there takes one off each, and takes the place of one that
// has none left. A topic gets its alias when it comes for the second time, so that a topic that comes once costs nothing.
type aliases struct {
	most   int // as the client says; 0: none
	topics []aliased
}

type aliased struct {
	topic string
	count uint8
	set   bool // the client has been told
}

// alias is what a PUBLISH says: number 0 is none; known leaves the topic out, since the client has been told.
type alias struct {
	number uint16
	known  bool
}

// of counts a message of a topic, and says which alias it is sent with.
func (a *aliases) of(topic string) alias {
	if a.most == 0 || len(topic) < minAliased {
		return alias{}
	}
	for i := range a.topics {
		if t := &a.topics[i]; t.topic == topic {
			t.count = min(t.count, 254) + 1
			return alias{uint16(i + 1), t.set}
		}
	}
	if len(a.topics) < min(a.most, maxAliases) {
		a.topics = append(a.topics, aliased{topic: topic, count: 1})
		return alias{}
	}
	free := -1
	for i := range a.topics {
		if a.topics[i].count == 0 {
			free = i
		} else {
			a.topics[i].count--
		}
	}
	if free >= 0 {
		a.topics[free] = aliased{topic: topic, count: 1}
	}
	return alias{}
}

// told notes that a PUBLISH with this alias goes out.
func (a *aliases) told(by alias) {
	if by.number != 0 {
		a.topics[by.number-1].set = true
	}
}
