package main

import (
	"context"
	"fmt"
	"os"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const door = `
input:
  broker:
    inputs: [ { paho: { address: $INPUT } } ]
    batching: { count: 500, period: 2ms }
pipeline:
  processors:
    - mapping: |
        root = if this.temp > this.setpoint + 3 && !this.door_open {
          this.assign({"over": this.temp - this.setpoint})
        } else { deleted() }
output:
  file: { path: $OUTPUT, codec: lines }
`

// register gives Benthos, whose public parts have no MQTT, an input on the
// library that its own product uses, used as there: messages go one by one through a channel
// and are acknowledged to the broker when the output has them.
func register(env *service.Environment) error {
	spec := service.NewConfigSpec().Field(service.NewStringField("address"))
	return env.RegisterInput("paho", spec, func(conf *service.ParsedConfig, _ *service.Resources) (service.Input, error) {
		address, err := conf.FieldString("address")
		return &subscriber{address: address, messages: make(chan paho.Message)}, err
	})
}

// subscriber is the input.
type subscriber struct {
	address  string
	client   paho.Client
	messages chan paho.Message
}

func (s *subscriber) Connect(ctx context.Context) error {
	o := paho.NewClientOptions().AddBroker(s.address).SetClientID("peer").SetCleanSession(true).
		SetAutoAckDisabled(true).SetKeepAlive(30 * time.Second)
	s.client = paho.NewClient(o)
	if t := s.client.Connect(); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		return fmt.Errorf("%s: %v", s.address, t.Error())
	}
	t := s.client.Subscribe("bench/#", 1, func(_ paho.Client, m paho.Message) {
		select {
		case s.messages <- m:
		case <-ctx.Done():
		}
	})
	if !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		return fmt.Errorf("%s: %v", s.address, t.Error())
	}
	fmt.Fprintln(os.Stderr, "subscribed")
	return nil
}

func (s *subscriber) Read(ctx context.Context) (*service.Message, service.AckFunc, error) {
	select {
	case m := <-s.messages:
		return service.NewMessage(m.Payload()), func(_ context.Context, err error) error {
			if err == nil {
				m.Ack()
			}
			return nil
		}, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (s *subscriber) Close(context.Context) error {
	if s.client != nil {
		s.client.Disconnect(100)
	}
	return nil
}

var _ service.Input = (*subscriber)(nil)
