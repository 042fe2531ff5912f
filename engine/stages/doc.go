// Package stages is the list of what is built in: one folder a stage, and one
// sorted list of them all, handed to plan. A stage that is not in the list is
// not in the binary.
//
// Imports: stage, stages/alarm, stages/sinkbenthos, stages/ingestbenthos, stages/anomaly, stages/ingestfile, stages/ingestmqtt, stages/ingesthttp, stages/join, stages/dedupe, stages/enrich, stages/order, stages/rule, stages/sinkchannel, stages/sinkfile, stages/sinkhttp, stages/sinkinfluxdb, stages/sinkparquet, stages/sinkmqtt, stages/transformwasm, stages/window
//
// Not here: the contract that stages keep (stage), who calls them (run). Start
// with builtin.go.
package stages
