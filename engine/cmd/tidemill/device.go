package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/admin"
	"github.com/tidemill/tidemill/engine/device"
)

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// devicesAtOnce is how many devices go to the engine in one request.
const devicesAtOnce = 20_000

func (a *app) deviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "Say what is known of devices, for fleets to select on",
		Long: "The registry holds devices by id with attributes, which the selectors of fleets read as registry.NAME.\n" +
			"A running engine takes changes at once; otherwise they are kept for its next start.\n\n" + exitHelp,
		Example: "  tidemill device set t-17 site=lab model=TS40\n  tidemill device import devices.csv\n  tidemill device ls",
	}
	var data string
	cmd.PersistentFlags().StringVar(&data, "data", defaultData, "the engine's data `FOLDER`")
	cmd.AddCommand(&cobra.Command{
		Use: "set ID NAME=VALUE...", Short: "Set attributes of a device; an empty value takes one away", Args: some("a device and attributes, such as t-17 site=lab"),
		RunE: func(_ *cobra.Command, args []string) error {
			d := device.Device{ID: args[0], Attributes: map[string]string{}}
			for _, pair := range args[1:] {
				name, value, ok := strings.Cut(pair, "=")
				if !ok {
					return fmt.Errorf("%q is no attribute: write NAME=VALUE", pair)
				}
				d.Attributes[name] = value
			}
			return failed(a.setDevices(data, []device.Device{d}))
		},
	}, &cobra.Command{
		Use: "import FILE.csv", Short: "Set attributes of many devices: a header, then a line each; the column id is the id", Args: one("a CSV file"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return failed(err)
			}
			list, err := device.ReadCSV(f)
			if err = errors.Join(err, f.Close()); err != nil {
				return failed(fmt.Errorf("%s: %w", args[0], err))
			}
			if err := a.setDevices(data, list); err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(a.out, count(len(list), "device"))
			return failed(err)
		},
	}, &cobra.Command{
		Use: "rm ID...", Short: "Forget devices", Args: some("devices, such as t-17"),
		RunE: func(_ *cobra.Command, args []string) error {
			var list []device.Device
			for _, id := range args {
				list = append(list, device.Device{ID: id, Gone: true})
			}
			return failed(a.setDevices(data, list))
		},
	}, a.deviceLsCommand(&data))
	return cmd
}

func (a *app) deviceLsCommand(data *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ls", Short: "List devices and their attributes", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := a.devices(*data)
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(a.out, list)
			}
			for _, d := range list {
				line := d.ID
				for _, name := range sortedNames(d.Attributes) {
					line += " " + name + "=" + d.Attributes[name]
				}
				fmt.Fprintln(a.out, line)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// registry opens the registry of a data folder on which no engine runs.
func (a *app) registry(data string, use func(s *device.Store) error) error {
	if err := a.dataFolder(data); err != nil {
		return err
	}
	lock, err := lockData(data)
	if err != nil {
		return err
	}
	s, err := device.Open(a.env, data)
	if err != nil {
		return errors.Join(err, lock.release())
	}
	return errors.Join(use(s), s.Close(), lock.release())
}

func (a *app) setDevices(data string, list []device.Device) error {
	for i := range list {
		if err := list[i].Check(); err != nil {
			return err
		}
	}
	client := admin.NewClient(data)
	for from := 0; from < len(list); from += devicesAtOnce {
		some := list[from:min(from+devicesAtOnce, len(list))]
		ctx, cancel := context.WithTimeout(context.Background(), commandTime)
		r, err := client.SetDevices(ctx, some)
		cancel()
		if errors.Is(err, admin.ErrNotRunning) {
			return a.registry(data, func(s *device.Store) error {
				_, _, err := s.Set(a.env, list[from:])
				return err
			})
		}
		if err == nil && r.Error != "" {
			err = errors.New(r.Error)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) devices(data string) (list []device.Device, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	r, err := admin.NewClient(data).Registry(ctx)
	if !errors.Is(err, admin.ErrNotRunning) {
		return r.Devices, err
	}
	err = a.registry(data, func(s *device.Store) error {
		list, _ = s.All()
		return nil
	})
	return list, err
}
