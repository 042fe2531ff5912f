package mqtt

// connect reads CONNECT, section 3.1.
func (p *Packet) connect(c *cursor) {
	l := &p.Login
	*l = Login{}
	name := c.text()
	level := c.byte()
	if c.bad != nil {
		return
	}
	if string(name) != "MQTT" || level != byte(V311) && level != byte(V5) {
		l.Version = Version(level)
		c.fail(&Error{UnsupportedVersion, "MQTT-3.1.2-2", "the protocol is neither MQTT 3.1.1 nor MQTT 5.0"})
		return
	}
	l.Version = Version(level)
	flags := c.byte()
	c.flags(l, flags)
	l.KeepAlive = c.u16()
	if l.Version == V5 {
		p.sectionOf(c, c.section(), Connect, &p.Props)
		if c.bad == nil && p.Props.Has(AuthData) && !p.Props.Has(AuthMethod) {
			c.fail(protocol("MQTT-3.1.2-11", "authentication data without a method"))
		}
	}
	l.ClientID = c.text()
	if l.HasWill {
		if l.Version == V5 {
			l.RawWillProps = c.section()
			p.sectionOf(c, l.RawWillProps, will, &l.WillProps)
		}
		l.WillTopic, l.WillPayload = c.text(), c.bytes()
	}
	if l.HasUser {
		l.User = c.text()
	}
	if l.HasPassword {
		l.Password = c.bytes()
	}
	if c.bad == nil && len(l.ClientID) == 0 && l.Version == V311 && !l.CleanStart {
		c.fail(&Error{ClientIDInvalid, "MQTT-3.1.3-8", "an empty client identifier needs a clean session in MQTT 3.1.1"})
	}
}

func (c *cursor) flags(l *Login, flags byte) {
	l.CleanStart, l.HasWill = flags&2 != 0, flags&4 != 0
	l.WillQoS, l.WillRetain = flags>>3&3, flags&0x20 != 0
	l.HasPassword, l.HasUser = flags&0x40 != 0, flags&0x80 != 0
	switch {
	case flags&1 != 0:
		c.fail(malformed("MQTT-3.1.2-3", "the reserved flag of CONNECT is set"))
	case l.WillQoS == 3:
		c.fail(malformed("MQTT-3.1.2-12", "a will of QoS 3"))
	case !l.HasWill && (l.WillQoS != 0 || l.WillRetain):
		c.fail(malformed("MQTT-3.1.2-11", "flags of a will without a will"))
	case l.Version == V311 && l.HasPassword && !l.HasUser:
		c.fail(malformed("MQTT-3.1.2-22", "a password without a user name"))
	}
}
