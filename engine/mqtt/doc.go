// Package mqtt draft.
package mqtt
