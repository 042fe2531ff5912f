package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/query"
)

const queryHelp = `Answers SQL over the tables of the lake, one for each sink "parquet", also while an engine writes them.
DIR is a folder of pipelines, the folder of a lake, or s3://BUCKET/PREFIX (keys from AWS_ACCESS_KEY_ID
and AWS_SECRET_ACCESS_KEY). Without SQL there is a prompt; what is piped in is taken as SQL.

Where rows can be revised, as of windows, NAME_latest has the last word on each. Conditions on partition
columns save the reading of files. The lake is read-only, and nothing but it can be read.

  .tables           the tables, their rows, files and columns
  .schema [TABLE]   the columns, with types and units

A statement runs in a process of its own with its limits of memory, time and disk; an interrupt ends it.
Files of a lake in a bucket are fetched into a cache folder when a statement needs them.
The SQL is DuckDB's.

`

type queryFlags struct {
	folder
	file, format, output, memory, timeout  string
	endpoint, region, cache, cacheLimit    string
	rows                                   int64
	threads                                int
	plot, interactive, rowsSet, outputFile bool
	sql                                    string
}

func (a *app) queryCommand() *cobra.Command {
	f := &queryFlags{}
	cmd := &cobra.Command{
		Use:   "query DIR [SQL]",
		Short: "Answer SQL over the lake",
		Long:  queryHelp + exitHelp,
		Example: "  tidemill query pipelines/coldhaul 'SELECT site, count(*), avg(temp) FROM lake GROUP BY ALL'\n" +
			"  tidemill query pipelines/coldhaul --plot \"SELECT ts, temp FROM lake WHERE device = 'trailer-00042'\"\n" +
			"  tidemill query pipelines/coldhaul --format parquet -o day.parquet \"FROM lake WHERE day = '2026-01-31'\"\n" +
			"  tidemill query s3://bucket/lake .tables",
	}
	f.flags(cmd, true)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 && !strings.HasPrefix(args[1], ".") {
			return errors.New("query takes a folder and a statement, such as: tidemill query pipelines/coldhaul 'SELECT count(*) FROM lake'")
		}
		return nil
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "read statements from `FILE`")
	fl.StringVar(&f.format, "format", query.FormatTable, "`FORMAT` of the answer: table, csv, json (an object a line), document (one JSON document), parquet")
	fl.StringVarP(&f.output, "output", "o", "", "write the answer to `FILE`, which is there when it is whole")
	fl.Int64Var(&f.rows, "rows", 0, "most `ROWS` of an answer (default 100 of a table, else all)")
	fl.StringVar(&f.memory, "memory", "1GiB", "most memory of a statement")
	fl.StringVar(&f.timeout, "timeout", "5m", "most time of a statement; 0s for no limit")
	fl.IntVar(&f.threads, "threads", runtime.NumCPU(), "threads of a statement")
	fl.BoolVar(&f.plot, "plot", false, "draw the numbers of the answer over its first column of times")
	fl.BoolVar(&f.interactive, "interactive", false, "prompt also where no person types")
	fl.StringVar(&f.endpoint, "endpoint", "", "`URL` of the S3 server of a bucket (default AWS)")
	fl.StringVar(&f.region, "region", "us-east-1", "region of a bucket")
	fl.StringVar(&f.cache, "cache", "", "`FOLDER` for files out of buckets (default in the user's cache folder)")
	fl.StringVar(&f.cacheLimit, "cache-limit", "4GiB", "most that the cache may hold")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.rowsSet = cmd.Flags().Changed("rows")
		if f.take(args); len(args) > 1 {
			f.sql = strings.Join(args[1:], " ")
		}
		return a.query(f)
	}
	return cmd
}

// query answers what the command line asks.
func (a *app) query(f *queryFlags) error {
	q, err := f.request()
	if err != nil {
		return err
	}
	if q.Sources, err = a.sources(f); err != nil {
		return failed(err)
	}
	if len(q.Sources) == 0 {
		return failed(fmt.Errorf("%s has no table: no sink \"parquet\" writes one", f.dir))
	}
	text := f.sql
	switch {
	case f.sql != "" && f.file != "":
		return errors.New("the statement is given twice: as an argument and with --file")
	case f.file != "":
		data, err := os.ReadFile(f.file)
		if err != nil {
			return failed(err)
		}
		text = string(data)
	case f.sql == "":
		in, ok := a.in.(*os.File)
		if f.interactive || ok && isTerminal(in) {
			return failed(a.prompt(q))
		}
		data, err := io.ReadAll(a.in)
		if err != nil {
			return failed(err)
		}
		text = string(data)
	}
	return failed(a.statements(f, q, text))
}

// request is what flags say of every statement.
func (f *queryFlags) request() (*query.Request, error) {
	q := &query.Request{Format: f.format, Rows: f.rows, Threads: f.threads, Width: 100, Height: 15}
	var err error
	if q.Memory, err = config.ParseSize(f.memory); err != nil {
		return nil, fmt.Errorf("--memory: %w", err)
	}
	if q.CacheLimit, err = config.ParseSize(f.cacheLimit); err != nil {
		return nil, fmt.Errorf("--cache-limit: %w", err)
	}
	if q.Timeout, err = config.ParseDuration(f.timeout); err != nil {
		return nil, fmt.Errorf("--timeout: %w", err)
	}
	if f.plot {
		q.Format = query.FormatPlot
	}
	if !f.rowsSet && q.Format == query.FormatTable {
		q.Rows = 100
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		q.Width = columns
	}
	if q.Cache = f.cache; q.Cache == "" {
		q.Cache = cacheFolder()
	}
	probe := *q
	probe.SQL = "SELECT 1"
	return q, probe.Check()
}

// cacheFolder is where files out of buckets are kept.
func cacheFolder() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "tidemill")
}

// sources finds the tables of a folder of pipelines, of a lake's folder or of a bucket.
func (a *app) sources(f *queryFlags) ([]lake.Source, error) {
	place := objects.Config{Place: f.dir, Endpoint: f.endpoint, Region: f.region}
	if objects.S3(f.dir) {
		place.AccessKey, _ = a.env.Var("AWS_ACCESS_KEY_ID")
		place.SecretKey, _ = a.env.Var("AWS_SECRET_ACCESS_KEY")
		if wrong := place.Check(); wrong != "" {
			return nil, errors.New(wrong)
		}
		return lake.FindIn(context.Background(), a.env, place)
	}
	if _, err := a.env.FS.ReadDir(path.Join(f.dir, ledger.Folder)); err == nil {
		return lake.FindIn(context.Background(), a.env, place)
	}
	p, diags, files, err := a.load(&f.folder)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if err := a.printDiagnostics(diags, files); err != nil {
			return nil, err
		}
		return nil, said(exitConfig)
	}
	return lake.Find(p, f.data), nil
}

// statements answers the statements of a text.
func (a *app) statements(f *queryFlags, q *query.Request, text string) error {
	if words := strings.Fields(text); len(words) > 0 && strings.HasPrefix(words[0], ".") {
		return a.dot(a.out, q, words)
	}
	list, rest := query.Split(text)
	if !query.Blank(rest) {
		list = append(list, strings.TrimSpace(rest))
	}
	switch {
	case len(list) == 0:
		return errors.New("there is no statement, such as: SELECT count(*) FROM lake")
	case len(list) > 1 && (f.output != "" || q.Format != query.FormatTable && q.Format != query.FormatPlot):
		return fmt.Errorf("there are %d statements, and their answers would run into each other; give one at a time, or --format table", len(list))
	case q.Format == query.FormatParquet && f.output == "" && a.outTerminal:
		return errors.New("a Parquet file is nothing for a screen; give it a name with -o FILE")
	}
	for i, text := range list {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		one := *q
		one.SQL = text
		if err := a.answer(&one, f.output); err != nil {
			return err
		}
	}
	return nil
}

// answer answers one statement, on standard output or into a file.
func (a *app) answer(q *query.Request, output string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := a.env.Clock.Now()
	var sum query.Summary
	var err error
	if output == "" {
		sum, err = ask(ctx, *q, a.out)
	} else {
		sum, err = a.into(ctx, q, output)
	}
	if err != nil {
		return err
	}
	if sum.More && q.Format != query.FormatTable {
		fmt.Fprintf(a.err, "There are more than these %s rows.\n", thousands(sum.Rows))
	}
	if q.Format == query.FormatTable || q.Format == query.FormatPlot || output != "" {
		fmt.Fprintln(a.err, summaryText(&sum, a.env.Clock.Now().Sub(began)))
	}
	return nil
}

// summaryText is what a person is told beside an answer.
func summaryText(s *query.Summary, took time.Duration) string {
	rows := thousands(s.Rows) + " rows"
	if s.Rows == 1 {
		rows = "1 row"
	}
	if s.More {
		rows = "the first " + rows + " (--rows for more)"
	}
	out := "(" + rows
	if s.OfFiles > 0 {
		out += fmt.Sprintf(", %s of %s files, %.1f MB", thousands(int64(s.Files)), thousands(int64(s.OfFiles)), float64(s.FilesSize)/1e6)
	}
	return fmt.Sprintf("%s, %d ms)", out, took.Milliseconds())
}

// into writes an answer to a file, which gets its name when it is whole.
func (a *app) into(ctx context.Context, q *query.Request, name string) (sum query.Summary, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".tidemill-*")
	if err != nil {
		return sum, err
	}
	sum, err = ask(ctx, *q, f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return sum, errors.Join(err, os.Remove(f.Name()))
	}
	return sum, nil
}

// queries answers statements over the lake of an engine; nil where this binary cannot.
func queries(data string, sources func() []lake.Source) func(context.Context, *query.Request, io.Writer) (query.Summary, error) {
	if !query.Available {
		return nil
	}
	return func(ctx context.Context, q *query.Request, out io.Writer) (query.Summary, error) {
		one := *q
		one.Sources, one.Cache = sources(), path.Join(data, "query-cache")
		return ask(ctx, one, out)
	}
}

// dot answers what begins with a dot: questions that take no SQL.
func (a *app) dot(out io.Writer, q *query.Request, words []string) error {
	tables, err := query.Find(context.Background(), a.env, q.Sources)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch {
	case words[0] == ".tables" && len(words) == 1:
		tablesText(&b, q, tables)
	case words[0] == ".schema" && len(words) <= 2:
		if err := schemaText(&b, q, tables, words[1:]); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no %s: .tables, .schema [TABLE]", strings.Join(words, " "))
	}
	_, err = out.Write(b.Bytes())
	return err
}
