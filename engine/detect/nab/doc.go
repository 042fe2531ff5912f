// Package nab scores anomaly detectors as the Numenta Anomaly Benchmark does
// (Lavin, Ahmad: Evaluating Real-Time Anomaly Detection Algorithms, ICMLA 2015).
//
// A label is a window of rows. The earliest alert in it counts, the more the
// earlier it is; an alert outside of all windows costs, less just behind one:
//
//	 1 |------.
//	   |       `-.                            2 / (1 + exp(5 y)) - 1
//	 0 |----------`.------------------
//	   |            `-.
//	-1 |               `--------------------
//	   ^ y = -1       0               3
//	   window begins  ends
//
// The first 15 % of a series, at most 750 rows, are for learning and do not
// count. A profile weighs hits, false alerts and misses. One threshold holds for all
// series of a detector: the one that is best for the profile. 0 is the score of
// a detector that never alerts, 100 of one that alerts at each window's first row alone.
//
// Imports: nothing
//
// Not here: detectors (detect), files and reports (backtest). Start with nab.go.
package nab
