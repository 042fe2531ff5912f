// Made from plugin.hcl by tidemill plugin build. Changes here are lost.

package main

import "github.com/tidemill/tidemill/sdk/go"

var plugin = tidemill.Spec{Kind: 'e', Writes: "gggg", State: "lgggggggl", StateMax: []uint32{0, 0, 0, 0, 0, 0, 0, 0, 0}}

// Columns by number.
const (
	ReadTemp       = 0
	ReadAmbient    = 1
	ReadSetpoint   = 2
	ReadCompressor = 3
	ReadDoorOpen   = 4
	ReadTime       = 5
	WriteDuty      = 0
	WriteExpected  = 1
	WritePullDown  = 2
	WriteScore     = 3
	StateLast      = 0
	StateTemp      = 1
	StateHours     = 2
	StateDuty      = 3
	StateWeight    = 4
	StatePull      = 5
	StatePulled    = 6
	StateExpected  = 7
	StateRunning   = 8
)
