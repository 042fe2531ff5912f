// Package backtest tries anomaly detectors on history before they wake anybody.
//
//	pipelines over their journal or files --> Watched: what came to each anomaly stage
//	                                             |
//	CSV, labels --> Series, one a key --> Run: detectors over all of it --> Report
//	                                                                  |--> Text: a table, what was found and how early
//	                                                                  |--> Propose: a block of HCL, ready to paste
//	                                                                  '--> Plot: SVG or PNG, scores below the series
//
// A label is a stretch of time in which an alert is right. Labels are a JSON
// object as the Numenta Anomaly Benchmark has it, { "NAME": [["FROM", "TO"], ...] }, NAME
// being the end of the CSV's name or a key, or a CSV with the columns from and to, and key where there are several.
//
// # Questions
//
// Why does an alert count once? People are woken by alerts and not by rows. An
// alert is a row with a grade; the quiet time after it belongs to it.
//
// What is early? The time from the first alert in a label's stretch to its end:
// where labels end with the failure, that is how long before it one knew.
//
// Which thresholds does a report list? Those at which one label more is found, with the false alerts that it costs (price.go): whoever
// misses a failure sees at what price it is to be had. They are taken from this history, and so flatter what they would do on another.
//
// Why are pipelines run and not only read? What a detector sees has passed rules, windows and
// a key's clock. The engine itself brings it there, on a scratch folder, with the journal's
// records and ticks in their order and without sinks, so that scores are those of the running pipeline, bit for bit.
//
// Imports: flow, env, config, journal, detect, detect/nab, stage, stages, stages/anomaly, plan, run
//
// Not here: the detectors (detect), the stage that runs them (stages/anomaly),
// files and flags (cmd/tidemill). Start with run.go, then history.go; propose.go says what a proposal takes over from the stage that was tried.
package backtest
