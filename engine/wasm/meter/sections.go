package meter

// rewriteSection copies what a table, memory, global, start or element section
// holds, with function indices moved up by m's shift and maxima lowered to the
// limits. Read calls it too, to count and to check.
func (m *Module) rewriteSection(id byte, s *reader, limits Limits) []byte {
	c := &copier{m: m, reader: s}
	switch id {
	case 4:
		m.tables = s.count("tables", limits.Tables)
		c.u32(m.tables)
		for range m.tables {
			c.one()
			c.limits("items of a table", limits.TableItems, 1<<32-1)
		}
	case 5:
		m.memories = s.count("memories", 1)
		c.u32(m.memories)
		for range m.memories {
			m.MemoryMin = c.limits("pages of memory", limits.MemoryPages, 1<<16)
		}
	case 6:
		m.globals = s.count("globals", maxGlobals)
		c.u32(m.globals)
		m.mutable = nil
		for i := range m.globals {
			if typ := c.one(); c.one() == 1 {
				m.canSet(m.imported[Global]+i, typ)
			}
			c.constant()
		}
	case 8:
		c.function(s.u32())
	case 9:
		n := s.count("element segments", maxItems)
		c.u32(n)
		for range n {
			c.element()
		}
	}
	return c.out
}

// copier copies from a reader to out.
type copier struct {
	*reader
	m   *Module
	out []byte
}

func (c *copier) one() byte {
	b := c.byte()
	c.out = append(c.out, b)
	return b
}

// u32 writes a number.
func (c *copier) u32(v uint32) { c.out = appendU32(c.out, v) }

// copyU32 copies a number.
func (c *copier) copyU32() uint32 {
	v := c.reader.u32()
	c.u32(v)
	return v
}

// function writes the index of a function, moved.
func (c *copier) function(f uint32) {
	if f >= c.m.functionCount() {
		c.fail("there is no function %d", f)
	}
	c.u32(c.m.moved(f))
}

func (c *copier) limits(what string, limit, natural uint32) uint32 {
	flag, least, most := readLimits(c.reader)
	if least > limit {
		c.fail("%d %s from the start; at most %d are allowed", least, what, limit)
	}
	if limit < natural && (flag == 0 || most > limit) {
		flag, most = 1, limit
	}
	c.out = append(c.out, flag)
	c.u32(least)
	if flag == 1 {
		c.u32(most)
	}
	return least
}

// constant copies a constant expression.
func (c *copier) constant() {
	for c.err == nil {
		switch op := c.one(); op {
		case opEnd:
			return
		case opI32Const:
			c.out = appendS64(c.out, int64(int32(c.leb(32, true))))
		case opI64Const:
			c.out = appendS64(c.out, int64(c.leb(64, true)))
		case opF32Const:
			c.out = append(c.out, c.bytes(4)...)
		case opF64Const:
			c.out = append(c.out, c.bytes(8)...)
		case opGlobalGet:
			c.global(c.copyU32())
		case opRefNull:
			c.one()
		case opRefFunc:
			c.function(c.reader.u32())
		case opVector:
			if sub := c.copyU32(); sub != 12 {
				c.fail("instruction fd %d is not constant", sub)
			}
			c.out = append(c.out, c.bytes(16)...)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // i32 and i64 add, sub, mul: the extension of constant expressions
		default:
			c.fail("instruction %#x is not constant", op)
		}
	}
}

func (c *copier) global(i uint32) {
	if i >= c.m.globalCount() {
		c.fail("there is no global %d", i)
	}
}

// element copies an element segment.
func (c *copier) element() {
	flags := c.copyU32()
	if flags > 7 {
		c.fail("an element segment has flags %d", flags)
		return
	}
	passive, explicit, expressions := flags&1 != 0, flags&2 != 0, flags&4 != 0
	if !passive {
		if explicit {
			c.copyU32()
		}
		c.constant()
	}
	if passive || explicit {
		c.one() // element kind or reference type
	}
	n := c.count("elements", maxItems)
	c.u32(n)
	for range n {
		if expressions {
			c.constant()
		} else {
			c.function(c.reader.u32())
		}
		if c.err != nil {
			return
		}
	}
}

// names copies the name section with function indices moved; nil when it is malformed. The
// runtime reads past the end of some that are, so Read refuses them.
func (m *Module) names(data []byte, base int) []byte {
	r := &reader{b: data, base: base}
	out := []byte{}
	for r.more() {
		id := r.byte()
		sub := r.sub(r.u32())
		if r.err != nil {
			return nil
		}
		c := &copier{m: m, reader: sub}
		switch id {
		case 0: // the module
			c.out = appendName(c.out, sub.name())
		case 1: // functions
			n := sub.count("names", maxItems)
			c.u32(n)
			for range n {
				c.function(sub.u32())
				c.out = appendName(c.out, sub.name())
			}
		case 2, 3: // locals and labels of functions
			n := sub.count("functions", maxItems)
			c.u32(n)
			for range n {
				c.function(sub.u32())
				k := sub.count("names", maxItems)
				c.u32(k)
				for range k {
					c.copyU32()
					c.out = appendName(c.out, sub.name())
				}
			}
		default:
			c.out = append(c.out, sub.b...)
			sub.at = len(sub.b)
		}
		if sub.err != nil || sub.at != len(sub.b) {
			return nil
		}
		out = append(appendU32(append(out, id), uint32(len(c.out))), c.out...)
	}
	if r.err != nil {
		return nil
	}
	return out
}
