// Package synth makes telemetry that nobody measured: series of the kinds that devices send, with labelled faults of
// the kinds that devices have, to choose the defaults of detectors by.
//
//	seed --> kind of signal (38)       --> clean part + noise, a row after another
//	    '--> nuisances                 --> outliers, wander, gaps, uneven times: there from the first row, never a fault
//	    '--> faults (15 kinds, 0 to 3) --> knobs (place in the cycle, size of the noise) or a change of the value
//	                                       '--> labelled windows: a tenth of the series, shared by its faults
//
// A corpus is four series of every kind of signal: of houses, machines and pipes, of servers, roads and crowds. A tenth
// and more of the series has no fault. Sampling is from five minutes to an hour, length from 1,500 to 20,000 rows.
// Corpora of different seeds have nothing in common but these rules.
//
// # Questions
//
// Why are sizes of faults given in parts of the signal's own range? A fault is what stands out for someone who
// knows the signal; small ones are there too, which nobody finds, as in labels that people made.
//
// Why is every kind of fault as frequent? How often which comes in the field is not known here. While plain ones were more frequent,
// what finds only those won.
//
// Why is a spike measured by the farthest value too? Where spikes are usual, a fault is one that tops them.
//
// Why nuisances? Real signals are odd at times without a fault. A detector that was chosen where only faults are odd alerts at
// everything that is not noise.
//
// Imports: splitmix
//
// Not here: the detectors and how their defaults are chosen (detect, TestTune), their scores (detect/nab). Start with synth.go.
package synth
