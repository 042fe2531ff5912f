package run

import (
	"testing"

	registry "github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// TestEveryTable: all tables that a task can have are among those that a checkpoint is made of, each under its own name.
func TestEveryTable(t *testing.T) {
	want := map[*state.Table]string{}
	some := func(name string) *state.Table {
		table := state.New(state.Decl{Name: name, Digest: "1", MaxKeys: 4, Columns: []state.Column{{Name: "x", Type: state.I64}}})
		want[table] = name
		return table
	}
	devices := registry.NewTable(state.New(registry.Decl()))
	want[devices.T] = "devices"
	nodeOf := func(address string) node {
		return node{plan: &plan.Node{Address: address}, tables: []*state.Table{some(address + " 1"), some(address + " 2")}}
	}
	first, second := nodeOf("first"), nodeOf("second")
	task := &task{
		keys: some("keys"), figures: some("figures"), sent: &senders{table: some("sent")}, seen: &seen{table: some("seen")},
		repeats: &repeats{table: some("repeats")}, clocks: &clocks{table: some("clocks")}, control: control{table: some("book"), devices: devices},
		plugin: &payloads{node: nodeOf("plugin")}, pipes: []*pipe{{nodes: []*node{&first}}, {nodes: []*node{&second}}},
	}
	keys := map[string]bool{}
	task.eachTable(func(address string, table *state.Table) {
		keys[tableKey(address, table.Decl())] = true
		delete(want, table)
	})
	for _, name := range want {
		t.Errorf("%s is in no checkpoint", name)
	}
	if n := len(task.have()); len(keys) != 14 || n != len(keys) {
		t.Errorf("%d tables have names of their own, and %d are handed over", len(keys), n)
	}
}
