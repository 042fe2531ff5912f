package meter

// SetCustom returns the module with one custom section of that name, at its
// end, in place of those that it had.
func SetCustom(module []byte, name string, data []byte) ([]byte, error) {
	m, err := Read(module, Limits{})
	if err != nil {
		return nil, err
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	put := func(id byte, b []byte) {
		out = append(appendU32(append(out, id), uint32(len(b))), b...)
	}
	for _, s := range m.sections {
		if s.id == 0 {
			if r := (&reader{b: s.data}); r.name() == name {
				continue
			}
		}
		put(s.id, s.data)
	}
	put(0, append(appendName(nil, name), data...))
	return out, nil
}
