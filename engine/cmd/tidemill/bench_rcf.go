package main

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/engine/detect"
)

// Forests of 30 trees of 256 samples in 8 dimensions, one a device.
const (
	forestWork  = "RCF"  // points of a device come by sixteens
	forestCold  = "RCFC" // each point is another device's
	forestSize  = 300    // devices, a hundred megabytes: more than caches hold
	forestDims  = 8
	forestTrees = 30
	forestBurst = 16
	forestWarm  = 3000 // points that every model has seen
)

// forest measures score and update of a random cut forest, and of the
// same algorithm over pointers beside it, in this process.
func (b *bencher) forest(r *benchResult) error {
	r.Devices, r.Records = forestSize, 8*forestSize*forestBurst
	burst := forestBurst
	if r.Workload == forestCold {
		burst = 1
	}
	points := forestPoints(4096)
	f := detect.NewForest(detect.ForestConfig{Signals: forestDims, Shingle: 1, Trees: forestTrees, Samplers: forestTrees / 2, Samples: 256, Decay: 1.0 / 2560})
	warm := make([]byte, f.Size())
	f.Init(warm, 1)
	for i := range forestWarm {
		f.Push(points[i%len(points)])
		f.Update()
	}
	models := make([][]byte, forestSize)
	for i := range models {
		models[i] = append([]byte(nil), warm...)
	}
	sum := 0.0
	n, at := int(r.Records), 0
	var err error
	r.CPU, err = cpuPerRecord(n, 2*b.runs+1, func() error {
		for i := range n {
			if i%burst == 0 {
				f.Attach(models[i/burst%forestSize])
			}
			f.Push(points[at&(len(points)-1)])
			sum += f.Score(f.Current())
			f.Update()
			at++
		}
		return nil
	})
	if err != nil {
		return err
	}
	mean := sum / float64(at)
	r.Wall, r.RSS = r.CPU, float64(f.Size())*forestSize/1e6
	return b.forestPeer(r, points, burst, mean)
}

// forestPeer measures the plain algorithm; fewer devices, for each takes megabytes.
func (b *bencher) forestPeer(r *benchResult, points [][]float64, burst int, mean float64) error {
	const devices = 40
	peers := make([]*plainForest, devices)
	for d := range peers {
		peers[d] = newPlainForest(forestTrees, 256, 1.0/2560, uint64(d))
		for i := range forestWarm {
			peers[d].update(points[(i+d)%len(points)])
		}
	}
	sum, at, n := 0.0, 0, devices*forestBurst
	var err error
	r.Peer = "pointer trees"
	r.PeerCPU, err = cpuPerRecord(n, b.runs, func() error {
		for i := range n {
			p, x := peers[i/burst%devices], points[at&(len(points)-1)]
			sum += p.score(x)
			p.update(x)
			at++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if other := sum / float64(at); math.Abs(other-mean) > 0.1*mean {
		return fmt.Errorf("the two forests do not agree: mean scores %.3f and %.3f", mean, other)
	}
	r.Ratio = r.PeerCPU / r.CPU
	return nil
}

// forestPoints is a cloud with some structure, the same in every run.
func forestPoints(n int) [][]float64 {
	state := uint64(1)
	unit := func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state>>11) / (1 << 53)
	}
	out := make([][]float64, n)
	for i := range out {
		x := make([]float64, forestDims)
		load := math.Sin(float64(i) / 40)
		for d := range x {
			x[d] = 20 + 3*load*float64(d%3) + unit() + unit() + unit()
		}
		out[i] = x
	}
	return out
}
