package decode

// findList notes where the list to explode stands. Its elements are read
// after the rest of the record.
func (d *jsonDecoder) findList(p int, n *node, depth int) int {
	if n.blamed == d.stamp {
		return d.fail(p, "found the list %q, which is to be exploded, a second time; it should stand once", n.name)
	}
	n.blamed = d.stamp
	end := d.skip(p, depth)
	switch {
	case end < 0:
		return -1
	case d.s[p] == '[':
		d.list, d.depth = p, depth+1
	case d.s[p] != 'n':
		return d.fail(p, "found %s where the list %q, which is to be exploded, should be", d.glimpse(p), n.name)
	}
	return end
}

// explode makes a row of each element of the list that findList has found.
func (d *jsonDecoder) explode(u undo) {
	if d.list < 0 {
		d.empty()
		return
	}
	n := d.nodes.find(d.c.Explode)
	if n == nil {
		panic("BUG: the list to explode was found without a name")
	}
	first, repeated := d.row, 0
	for p := d.list; ; {
		p = d.space(p + 1)
		if d.s[p] == ']' { // an empty list: elsewhere an element stands here
			d.empty()
			return
		}
		if d.row-first == d.c.MaxRows {
			d.fail(d.list, "found a list of more than %d elements to explode", d.c.MaxRows)
		}
		p = d.element(p, n, first, &repeated)
		if d.fault != "" {
			d.abandon(u, d.row+1)
			return
		}
		d.row++
		d.index++
		if p = d.space(p); d.s[p] == ']' {
			break
		}
	}
	d.rows = d.row
}

// element decodes the element at p into the current row.
func (d *jsonDecoder) element(p int, n *node, first int, repeated *int) (end int) {
	d.ensure(d.row)
	d.last++
	d.stamp = d.last
	clear(d.valueless)
	if d.row > first {
		if *repeated += d.repeat(first); *repeated > maxRepeated {
			return d.fail(d.list, "found a list to explode that repeats the rest of the record until it has over %d MiB", maxRepeated>>20)
		}
	}
	d.path = append(d.path[:0], d.c.Explode...)
	d.prev = n
	if n.col == nil && !n.prefix {
		end = d.unknown(p, d.depth)
	} else {
		end = d.known(p, n, d.depth)
	}
	if end >= 0 {
		d.finish(d.row)
	}
	return end
}

// repeat copies what the record has set in row first to the current row and
// returns how many bytes of text and lists that took.
func (d *jsonDecoder) repeat(first int) (size int) {
	for _, c := range d.cols {
		if c.stamp != d.parent || c.skip {
			continue
		}
		if !c.repeat(first, d.row) {
			return maxRepeated + 1
		}
		if c.ends != nil {
			size += int(c.ends[first+1]-c.ends[first]) * 8 // at most, for a list
		}
	}
	return size
}

// empty ends a record that gives no row because it has no elements.
func (d *jsonDecoder) empty() {
	for _, c := range d.cols {
		c.back(d.row, d.row+1)
	}
	d.out.Stats.Empty++
}
