package mqtt

// ids is a set of packet identifiers. Few are kept in a map; many, of a client of MQTT 3.1.1 that nothing but their
// number limits, in 8 KiB. The zero value is empty.
type ids struct {
	n    int
	few  map[uint16]struct{}
	many *[1 << 16 / 64]uint64 // nil: all are in few
}

// fewIDs is how many take as much memory in a map as all of them take in the array.
const fewIDs = 1_024

func (s *ids) has(id uint16) bool {
	if s.many != nil {
		return s.many[id/64]&(1<<(id%64)) != 0
	}
	_, ok := s.few[id]
	return ok
}

func (s *ids) add(id uint16) {
	if s.has(id) {
		return
	}
	s.n++
	if s.many == nil && s.n <= fewIDs {
		if s.few == nil {
			s.few = make(map[uint16]struct{}, 1)
		}
		s.few[id] = struct{}{}
		return
	}
	if s.many == nil {
		s.many = new([1 << 16 / 64]uint64)
		for known := range s.few {
			s.many[known/64] |= 1 << (known % 64)
		}
		s.few = nil
	}
	s.many[id/64] |= 1 << (id % 64)
}

// remove says whether the identifier was there. The array goes when nothing is left in it; the map stays, for the next.
func (s *ids) remove(id uint16) bool {
	if !s.has(id) {
		return false
	}
	s.n--
	if s.n == 0 && s.many != nil {
		s.many = nil
	} else if s.many != nil {
		s.many[id/64] &^= 1 << (id % 64)
	} else {
		delete(s.few, id)
	}
	return true
}
