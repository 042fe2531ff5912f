package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const filter = `
input:
  broker:
    inputs: [ { file: { paths: [ $INPUT ], auto_replay_nacks: false, scanner: { lines: {} } } } ]
    batching: { count: 500 }
pipeline:
  processors:
    - mapping: |
        root = if this.temp > this.setpoint + 3 && !this.door_open {
          this.assign({"over": this.temp - this.setpoint})
        } else { deleted() }
output:
  file: { path: $OUTPUT, codec: lines }
`

const window = `
input:
  broker:
    inputs: [ { file: { paths: [ $INPUT ], scanner: { lines: {} } } } ]
    batching: { count: $GROUP }
pipeline:
  processors:
    - group_by_value:
        value: ${! json("device") } ${! (json("ts").ts_unix() / 300).floor() }
    - mapping: |
        let temps = if batch_index() == 0 { json("temp").from_all() } else { [] }
        root = if batch_index() == 0 {
          {
            "device": this.device,
            "window": (this.ts.ts_unix() / 300).floor() * 300,
            "temp_avg": $temps.sum() / $temps.length(),
            "temp_max": $temps.max(),
            "n": $temps.length()
          }
        } else { deleted() }
output:
  file: { path: $OUTPUT, codec: lines }
`

func main() {
	workload := flag.String("workload", "W1", "W1 (filter), W2 (window) or W3 (filter, over MQTT)")
	input := flag.String("input", "", "file of JSON lines to read, or for W3 the broker, such as tcp://127.0.0.1:1883")
	output := flag.String("output", "", "file to write")
	group := flag.Int("group", 80_000, "messages of a W2 batch: a window's records")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *workload, *input, *output, *group); err != nil {
		fmt.Fprintln(os.Stderr, "tidemill-peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, workload, input, output string, group int) error {
	text, ok := map[string]string{"W1": filter, "W2": window, "W3": door}[workload]
	if !ok {
		return fmt.Errorf("-workload is %q; there are W1, W2 and W3", workload)
	}
	if input == "" || output == "" {
		return fmt.Errorf("-input and -output name the files to read and to write")
	}
	text = strings.NewReplacer("$INPUT", strconv.Quote(input), "$OUTPUT", strconv.Quote(output), "$GROUP", strconv.Itoa(group)).Replace(text)
	env := service.GlobalEnvironment().Clone()
	if err := register(env); err != nil {
		return err
	}
	b := env.NewStreamBuilder()
	if err := b.SetYAML(text); err != nil {
		return err
	}
	if err := b.SetLoggerYAML("level: ERROR"); err != nil {
		return err
	}
	stream, err := b.Build()
	if err != nil {
		return err
	}
	return stream.Run(ctx)
}
