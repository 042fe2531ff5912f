// Package anomaly is the stages anomaly "rcf", "ensemble" and so on: how odd
// each row is for its key, and what would have been usual.
//
//	anomaly "ensemble" "compressor" {
//	  from            = window.five_min
//	  by              = [device]
//	  on              = [temp_avg, duty]
//	  alerts_per_week = 0.5
//	  suppress        = door_open
//	}
//
// Each row that comes in goes out, with the columns of by, on and with, and
//
//	score              how odd, null while the model warms up or where the row was not judged. Of rcf the forest's own
//	                   score, about 1 for what is usual; of the others digits of surprise: 3 is once in a thousand rows
//	                   (in the quiet time after a score, what is not of a higher level is cut to 0.9, of an ensemble to 0.4, so that any
//	                   threshold gives an alert once). The threshold is 1.4 of an ensemble, 1.5 of resonance and 3 of others where none is given
//	grade              0: no alert; else 0.5 to 1. An alert is not repeated for `quiet` rows, unless it grows by 0.3 digits
//	expected, lower,   what would have been usual, where the detector has an opinion; with several
//	upper, attribution signals a column each, expected.temp_avg and so on. Attributions sum to 1
//	model_age          rows that the key's model has learnt from
//
// # What an alert is
//
// An alert is a row with a grade: 0.5 and more, never less. The score of such a row can be below the threshold, and that of a row
// without a grade above it, because the column has quiet times of its own, which are for whoever holds it against another threshold:
//
//	s      the score before it is cut; what goes out is s, or 0.4 (ensemble) or 0.9 (others) in a quiet time
//	over   s - threshold, in digits; of rcf with a threshold log2(s / threshold); labels and a wanted rate move the threshold of a key
//	alert  over >= 0, and `quiet` rows have passed since the alert before, or over is 0.3 more than then
//	grade  1 - exp(-over) / 2 of an alert: 0.5 at the threshold, 0.82 a digit above it, 0.93 two
//
// So 1.3 and, ten rows later, 1.45 of an ensemble (threshold 1.4) go out as score 1.3, grade 0 and as score 0.4, grade 0.52: there was a
// score of that level ten rows before, and no alert. Whoever wants alerts reads grade; a backtest draws s.
//
// # Which rows are judged
//
// Rows that suppress is true for are neither judged nor learnt (counter
// "suppressed"), nor are rows older than the key's latest ("out_of_order"). The row of a clock that is further ahead than its channel's
// "ahead" is taken for one that is as much ahead. A row
// without any value has no score ("empty"); where some of several are missing, the others are judged.
// Revised rows do not come here.
//
// # What nobody reads
//
// What a forest would have expected, and who is to blame, takes longer than its score. The plan knows which columns any stage, sink or
// tap reads (stage.Opening.Read); expected, lower, upper and attribution of rcf are worked out only where that is so.
//
// # A wanted rate
//
// alerts_per_week holds within a factor of two for each key, after a few of them; its quiet time, where none is given, is at
// most a quarter of the time between two alerts.
//
// # Labels
//
// A person's label, "normal" or "fault", is a control record in the journal (tidemill feedback; run/feedback.go). It
// moves the threshold of one key's model, at most three digits, and no score.
//
// # State
//
//	table models, a slot a key              of small models
//	  last   i64    event time of the latest row
//	  model  bytes  as engine/detect lays it out, changed in place
//
//	table models, a slot a key              table whole, by the same slots        of large ones
//	  last   i64    as above                  rows   i64    that the model has learnt
//	  rows   i64    that the key has had      model  bytes  as above
//	  judged f64*5  what judged those of the log
//	  log    bytes  latest rows: time, values
//
// A large model is written once in 64 rows, and in between the rows that it has learnt: it is brought back by learning
// them again, with the first row that comes for its key after a restart, which takes 2 ms at most for the ensemble. Which row it is written
// with differs from key to key, so that no checkpoint holds all models. The log is at most a sixteenth of its model; the plan counts it.
//
// The tables' digest holds what shapes a model: thresholds can change and the models stay.
//
// # Questions
//
// Why is a batch gone through key by key? A forest is a third of a megabyte: while
// it is in the cache, all rows of its key are judged. No row of another key can tell.
//
// Why does a log know what judged its rows? When an alert was raised is part of a model, and follows from the threshold
// that was in force. With another one a new log begins.
//
// What seeds a model? Its key and the argument seed: the same key has the same
// model wherever it runs.
//
// Imports: flow, config, expr, state, detect, stage
//
// Not here: the detectors (detect), trying them on history (backtest). Start with args.go, then models.go; watch.go is for
// backtests that look on.
package anomaly
