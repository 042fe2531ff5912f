package admin

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/engine/run"
)

// devicesAtOnce is how many devices a page has where the request does not say.
const devicesAtOnce = 100

// devices answers /v1/devices?channel=NAME&prefix=TEXT&limit=N&after=NEXT.
func (s *Server) devices(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(s.Env.Clock.Now().Add(answerTime)) // not every connection has one
	page, err := s.devicePage(r)
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error(),
			"right": "/v1/devices?channel=NAME&prefix=TEXT&limit=100&after=NEXT, where NEXT is the next of the page before"})
		return
	}
	reply(w, http.StatusOK, page)
}

func (s *Server) devicePage(r *http.Request) (run.DevicePage, error) {
	q := run.DeviceQuery{Limit: devicesAtOnce}
	asked := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		value := asked.Get(name)
		switch name {
		case "channel":
			q.Channel = value
		case "prefix":
			q.Prefix = value
		case "after":
			q.After = value
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil {
				return run.DevicePage{}, fmt.Errorf("limit is a number, not %.100q", value)
			}
			q.Limit = n
		default:
			return run.DevicePage{}, fmt.Errorf("there is no parameter %.100q", name)
		}
	}
	page, err := s.Engine.Devices(q)
	if errors.Is(err, run.ErrDevices) || err == nil {
		return page, err
	}
	panic("BUG: a query for devices fails otherwise: " + err.Error())
}
