package tidemill

// Migrate names a function that turns the state of one key, as an older version of the plugin left it, into this
// version's. Call it in an init function, behind EachRow.
//
//	func migrate(r *tidemill.Row) { // version 1 had count = integer; version 2 has total = number
//		if r.OldVersion() == 1 {
//			*r.StateNumber(StateTotal) = float64(r.OldInteger(0))
//		}
//	}
//
// plugin.hcl says what there was: state has a block from, with the lines version = 1 and columns = { count = integer }. Old columns go
// by number, in that order; what is not set is zero.
func Migrate(key func(*Row)) { theRow.migrate = key }

// OldVersion is the version of the state that Migrate's function is given.
func (r *Row) OldVersion() int { return int(r.batch.oldVersion) }

// OldNumber is a number of the old state.
func (r *Row) OldNumber(column int) float64 {
	child, _ := r.oldChild(column)
	return *at[float64](r.old(child) + r.keys[0]*8)
}

// OldInteger is an integer of the old state.
func (r *Row) OldInteger(column int) int64 {
	child, _ := r.oldChild(column)
	return *at[int64](r.old(child) + r.keys[0]*8)
}

// OldBytes are bytes of the old state. They are the host's until the function ends.
func (r *Row) OldBytes(column int) []byte {
	child, width := r.oldChild(column)
	n := *at[uint32](r.old(child+1) + r.keys[0]*4)
	return slice[byte](r.old(child)+r.keys[0]*width, int(n))
}

// schema is the beginning of an ArrowSchema.
type schema struct {
	format, name, metadata, pad uint32
	flags, nChildren            int64
	children                    uint32
}

// oldChild finds a column among the children, of which bytes take two, and how wide its bytes are.
func (r *Row) oldChild(column int) (child int, width uint32) {
	s := at[schema](r.batch.oldSchema)
	list := slice[uint32](s.children, int(s.nChildren))
	for ; ; child++ {
		format := at[schema](list[child]).format
		if *at[byte](format) == 'I' {
			continue
		}
		if column--; column >= 0 {
			continue
		}
		for digit := format + 2; *at[byte](format) == 'w' && *at[byte](digit) != 0; digit++ {
			width = width*10 + uint32(*at[byte](digit)-'0')
		}
		return child, width
	}
}

func (r *Row) old(child int) uint32 {
	return slice[uint32](childAt(r.batch.oldState, child).buffers, 2)[1]
}

// migrateKeys calls the function for each key; 1 says that there is none.
func (r *Row) migrateKeys(place uint32) int32 {
	if r.migrate == nil {
		return 1
	}
	r.batch, r.row, r.rows = at[batch](place), 0, 0
	r.findState()
	r.keys = r.one[:]
	for key := range uint32(at[array](r.batch.oldState).length) {
		r.one[0] = key
		r.migrate(r)
	}
	return 0
}
