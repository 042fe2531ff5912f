// Package maintenance judges pipelines/predictive_maintenance on engines that its health index does
// not know. It holds no code but tests.
//
//	engines 1 to 70     fit the index (least squares); the pipeline's coefficients must be those
//	engines 71 to 100   run through the pipeline; what it warned of, and how early, is testdata/report.txt
//
// The data is NASA's (C-MAPSS FD001; Saxena, Goebel, Simon, Eklund: Damage Propagation Modeling for
// Aircraft Engine Run-to-Failure Simulation, PHM 2008), public, and not part of the project: TIDEMILL_TURBOFAN names
// its folder. Without it the test says so and skips.
//
// The index learns min(cycles left, 125) / 125, the piecewise linear target of Heimes (PHM 2008): an
// engine's early life holds no sign of how long it will be.
//
// Imports: everything below engine/ that a suite needs
//
// Not here: the pipeline's own tests (maintenance.test.hcl beside it). Start with maintenance_test.go.
package maintenance
