package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// brokerSettings let the broker in front of the peer drop nothing and hold nothing back.
const brokerSettings = `
listener %s 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
max_inflight_bytes 0
persistence false
set_tcp_nodelay true
`

// findBroker returns the path of mosquitto, or "".
func findBroker() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// peerDoor measures the same load through a broker into the peer, with fewer records.
func (b *bencher) peerDoor(r *benchResult, l doorLoad, procs int) error {
	in, err := b.input(max(b.peers/l.share, int64(l.connections)), b.devices)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "peer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	settings, output := filepath.Join(dir, "broker.conf"), filepath.Join(dir, "out.ndjson")
	if err := os.WriteFile(settings, fmt.Appendf(nil, brokerSettings, port), 0o644); err != nil {
		return err
	}
	broker, err := b.background(procs, b.broker, "-c", settings)
	if err != nil {
		return err
	}
	defer broker.kill()
	if err := awaitListener(address, broker); err != nil {
		return err
	}
	peer, err := b.background(procs, b.peer, "-workload", doorWork, "-input", "tcp://"+address, "-output", output)
	if err != nil {
		return err
	}
	defer peer.kill()
	if err := awaitText(peer, "subscribed"); err != nil {
		return err
	}
	u, d, err := b.under(l, address, in, output, peer, broker)
	if err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	if err := in.verify(filterWork, output, false); err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	r.Peer, r.PeerCPU, r.PeerRSS = "benthos+mosquitto", float64(u.cpu)/float64(in.Records), u.rss
	r.BrokerCPU, r.PeerRate, r.PeerAck = d.BrokerCPU, d.Rate, d.AckP99
	r.Ratio = r.PeerCPU / r.CPU
	return nil
}
