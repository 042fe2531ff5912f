package mqtt

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

type printInlet struct{ t *testing.T }

func (p printInlet) Append(b []Inbound, done func(error)) error {
	for _, m := range b {
		p.t.Logf("%s %s", m.Topic, m.Payload)
	}
	if done != nil {
		done(nil)
	}
	return nil
}

func TestSmoke(t *testing.T) {
	s := NewServer(Options{Env: env.Real(), Inlet: printInlet{t}, Count: func(n string, x int64) { t.Log(n, x) }})
	defer s.Close()
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	s.Listen(Listener{Listener: l})
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	sub := exec.Command("mosquitto_sub", "-p", port, "-t", "a/#", "-q", "2", "-C", "3", "-V", "5", "-F", "%t %q %r %p %P", "-W", "5")
	go func() {
		time.Sleep(200 * time.Millisecond)
		for _, q := range []string{"0", "1", "2"} {
			out, err := exec.Command("mosquitto_pub", "-p", port, "-t", "a/b", "-m", "hello"+q, "-q", q, "-V", "5", "-D", "publish", "user-property", "k", "v").CombinedOutput()
			fmt.Println(string(out), err)
		}
	}()
	out, err := sub.CombinedOutput()
	t.Log(string(out), err)
}
