package expr

import "testing"

// BenchmarkKernel measures single instructions over 1,024 rows.
func BenchmarkKernel(b *testing.B) {
	const n = 1024
	m := &machine{regs: []reg{{kind: kNum, mask: -1}, {kind: kNum, mask: -1}, {kind: kNum, mask: -1}, {kind: kBool, mask: -1}}}
	for i := range 2 {
		f := m.regs[i].floats(n)
		for k := range f {
			f[k] = float64((k*7919+i*31)%97) - 40
		}
	}
	for _, k := range []struct {
		name string
		in   instr
	}{
		{"subVV", instr{run: subVV, args: []int{0, 1}, dst: 2}},
		{"subVC", instr{run: subVC, args: []int{0}, dst: 2, f: 32}},
		{"divVC", instr{run: divVC, args: []int{0}, dst: 2, f: 9}},
		{"finite", instr{run: finite, dst: 2}},
		{"ltVV", instr{run: cmpNumVV, args: []int{0, 1}, dst: 3, sub: cmpLT}},
		{"ltVC", instr{run: cmpNumVC, args: []int{0}, dst: 3, sub: cmpLT, f: 3}},
		{"gtVC", instr{run: cmpNumVC, args: []int{0}, dst: 3, sub: cmpGT, f: 3}},
	} {
		b.Run(k.name, func(b *testing.B) {
			k.in.run(m, &k.in, n)
			start := cpuTime()
			for b.Loop() {
				k.in.run(m, &k.in, n)
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(b.N*n), "cpu-ns/row")
		})
	}
}
