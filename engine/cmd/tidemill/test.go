package main

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/pipetest"
)

// testFlags are the flags of `tidemill test`.
type testFlags struct {
	run, junit           string
	json, update, detail bool
	long                 bool

	record, channel, from, to, device, data string
	vars                                    []string
	rows                                    int
}

func (a *app) testCommand() *cobra.Command {
	f := &testFlags{}
	cmd := &cobra.Command{
		Use:   "test DIR...",
		Short: "Run the tests beside pipelines, on a virtual clock",
		Long: "Runs the test blocks of all *.test.hcl files of a folder: rows go in, and what comes out is held\n" +
			"against what the test expects. The clock is virtual: a day takes milliseconds. Nothing outside is\n" +
			"touched: ingests get the test's rows, and sinks write nothing.\n\n" +
			"Exit codes: 0 all tests passed; 1 one failed; 2 wrong usage; 3 a mistake in a file.",
		Example: "  tidemill test pipelines/coldhaul\n  tidemill test pipelines/* --junit report.xml\n  tidemill test pipelines/coldhaul --run warm --update\n" +
			"  tidemill test pipelines/coldhaul --record bad_night --channel telemetry --device trailer-00042",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("test takes folders, such as: tidemill test pipelines/coldhaul")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "run only tests whose name matches the `REGEXP`")
	flags.BoolVar(&f.json, "json", false, "print a JSON object a test, and one of the coverage, to standard output")
	flags.StringVar(&f.junit, "junit", "", "write the results to `FILE` as JUnit XML")
	flags.BoolVar(&f.update, "update", false, "write what came into the tables of expectations that failed")
	flags.BoolVar(&f.long, "long", false, "run also tests that say long = true")
	f.recordFlags(flags)
	flags.BoolVarP(&f.detail, "verbose", "v", false, "tell what no test has reached")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if f.record != "" {
			return a.recordTest(f, args)
		}
		return a.test(f, args)
	}
	return cmd
}

// testResult is a test's outcome for scripts.
type testResult struct {
	Folder   string   `json:"folder"`
	Test     string   `json:"test"`
	Passed   bool     `json:"passed"`
	Seconds  float64  `json:"seconds"`
	Records  int64    `json:"records"`
	Failures []string `json:"failures,omitempty"`
	// Mistakes are of the files: the test did not run. Where they are a whole folder's, Test is empty.
	Mistakes []string `json:"mistakes,omitempty"`
}

// tester runs tests and prints how they go.
type tester struct {
	*app
	*testFlags
	only    *regexp.Regexp
	results []testResult
	failed  int
	wrong   int             // that did not run
	other   int             // that --run does not name
	longer  int             // that are passed over without --long
	shown   map[string]bool // mistakes and warnings, which most tests of a folder share
}

func (a *app) test(f *testFlags, dirs []string) error {
	only, err := regexp.Compile(f.run)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	defer runtime.KeepAlive(leanHeap())
	t := &tester{app: a, testFlags: f, only: only, shown: map[string]bool{}}
	for _, dir := range t.folders(dirs) {
		if err := t.folder(dir); err != nil {
			return failed(err)
		}
	}
	if f.junit != "" {
		if err := t.writeJUnit(); err != nil {
			return failed(err)
		}
	}
	switch {
	case t.failed+t.wrong > 0:
		return t.summary()
	case len(t.results) == 0:
		fmt.Fprintln(a.err, t.none())
	}
	return nil
}

// folders leaves out the files among folders, which a pattern such as pipelines/* names as well.
func (t *tester) folders(names []string) []string {
	isFile := func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && !info.IsDir()
	}
	out := slices.DeleteFunc(slices.Clone(names), isFile)
	if len(out) == 0 {
		return names // and each is told of
	}
	return out
}

// none tells why no test ran.
func (t *tester) none() string {
	switch {
	case t.longer > 0:
		return fmt.Sprintf("No test ran: %s with long = true; --long runs such tests too.", count(t.longer, "test"))
	case t.other > 0:
		return fmt.Sprintf("No test ran: none of %s has a name that matches --run %s.", count(t.other, "test"), t.testFlags.run)
	}
	return "There is no test: write test \"name\" { ... } into a file NAME.test.hcl beside the pipelines."
}

// summary tells how many tests failed, and did not run.
func (t *tester) summary() error {
	if t.failed > 0 {
		fmt.Fprintf(t.err, "%d of %s failed.\n", t.failed, count(len(t.results)-t.wrong, "test"))
	}
	if t.wrong > 0 {
		return said(exitConfig)
	}
	return said(exitFailed)
}

// folder runs the tests of one folder.
func (t *tester) folder(dir string) error {
	suite, diags := pipetest.Load(t.env, dir)
	if diags.HasErrors() && len(suite.Files) > 0 {
		more, files := suite.Pipelines(t.env)
		diags = config.Sort(append(diags, more...))
		maps.Copy(suite.Files, files)
	}
	if err := t.told(dir, "", diags, suite.Files); err != nil || diags.HasErrors() {
		return err
	}
	var coverage pipetest.Coverage
	ran, updates := 0, map[string][]pipetest.Update{}
	for _, test := range suite.Tests {
		switch {
		case !t.only.MatchString(test.Name):
			t.other++
			continue
		case test.Long && !t.long:
			t.longer++
			continue
		}
		began := time.Now()
		out, diags, err := test.Run(dir, pipetest.Options{Env: t.env, Together: together})
		if err != nil {
			return fmt.Errorf("test %q: %w", test.Name, err)
		}
		files := maps.Clone(suite.Files)
		maps.Copy(files, out.Files())
		if err := t.told(dir, test.Name, diags, files); err != nil {
			return err
		}
		if diags.HasErrors() {
			continue
		}
		ran++
		coverage.Add(out)
		if err := t.result(dir, test, out, time.Since(began)); err != nil {
			return err
		}
		updates[test.Range.Filename] = append(updates[test.Range.Filename], out.Updates...)
	}
	if ran == 0 {
		return nil
	}
	if t.update {
		if err := t.write(updates); err != nil {
			return err
		}
	}
	return t.covered(dir, &coverage)
}

// together runs functions on all processors, in their order: the caller works as well.
func together(list []func()) {
	var next atomic.Int64
	work := func() {
		for i := next.Add(1); i <= int64(len(list)); i = next.Add(1) {
			list[i-1]()
		}
	}
	var all sync.WaitGroup
	for range min(len(list), runtime.GOMAXPROCS(0)) - 1 {
		all.Go(work)
	}
	work()
	all.Wait()
}

// told prints mistakes. A test that they keep from running is a result as well, so that no script takes it for passed.
func (t *tester) told(dir, test string, diags hcl.Diagnostics, files map[string]*hcl.File) error {
	news := slices.DeleteFunc(slices.Clone(diags), func(d *hcl.Diagnostic) bool {
		text := dir + mistakeLine(d)
		defer func() { t.shown[text] = true }()
		return t.shown[text]
	})
	if err := t.printDiagnostics(news, files); err != nil || !diags.HasErrors() {
		return err
	}
	r := testResult{Folder: dir, Test: test}
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			r.Mistakes = append(r.Mistakes, mistakeLine(d))
		}
	}
	t.results, t.wrong = append(t.results, r), t.wrong+1
	if t.json {
		return printLine(t.out, r)
	}
	if test != "" {
		fmt.Fprintf(t.out, "not run  %s  (%s)\n", test, count(len(r.Mistakes), "mistake"))
	}
	return nil
}

// mistakeLine is a mistake as one text, with its place where it has one.
func mistakeLine(d *hcl.Diagnostic) string {
	text := d.Summary + ": " + d.Detail
	if d.Subject == nil || d.Subject.Filename == "" {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", d.Subject.Filename, d.Subject.Start.Line, text)
}

// result prints how a test went.
func (t *tester) result(dir string, test *pipetest.Test, out *pipetest.Outcome, took time.Duration) error {
	r := testResult{Folder: dir, Test: test.Name, Passed: len(out.Failures) == 0, Seconds: took.Seconds(), Records: out.Records}
	for _, f := range out.Failures {
		r.Failures = append(r.Failures, fmt.Sprintf("%s:%d: %s\n%s", f.At.Filename, f.At.Start.Line, f.What, f.More))
	}
	t.results = append(t.results, r)
	if !r.Passed {
		t.failed++
	}
	if t.json {
		return printLine(t.out, r)
	}
	word := "ok  "
	if !r.Passed {
		word = "FAIL"
	}
	fmt.Fprintf(t.out, "%s  %s  (%s, %.2fs)\n", word, test.Name, count(int(out.Records), "record"), r.Seconds)
	for _, f := range out.Failures {
		fmt.Fprintf(t.out, "    %s:%d: %s\n%s", f.At.Filename, f.At.Start.Line, f.What, f.More)
	}
	return nil
}

// covered tells what the tests of a folder have reached.
func (t *tester) covered(dir string, c *pipetest.Coverage) error {
	if t.json {
		return printLine(t.out, map[string]any{"folder": dir, "coverage": c})
	}
	reached, missing := c.Report()
	fmt.Fprintf(t.out, "%s: %s were reached\n", dir, reached)
	if t.detail {
		for _, m := range missing {
			fmt.Fprintf(t.out, "      %s\n", m)
		}
	}
	return nil
}

// write puts tables that came into files of tests.
func (t *tester) write(updates map[string][]pipetest.Update) error {
	for name, list := range updates {
		if len(list) == 0 {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, pipetest.Apply(src, list), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(t.err, "%s: %s rewritten. Read the difference before you keep it.\n", name, count(len(list), "table"))
	}
	return nil
}

// writeJUnit writes the results as JUnit XML, as continuous integration reads it.
func (t *tester) writeJUnit() error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Class    string    `xml:"classname,attr"`
		Name     string    `xml:"name,attr"`
		Time     string    `xml:"time,attr"`
		Failures []failure `xml:"failure"`
		Errors   []failure `xml:"error"`
	}
	type suite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	s := suite{Name: "tidemill", Tests: len(t.results), Failures: t.failed, Errors: t.wrong}
	for _, r := range t.results {
		c := testCase{Class: r.Folder, Name: r.Test, Time: fmt.Sprintf("%.3f", r.Seconds)}
		for _, text := range r.Failures {
			c.Failures = append(c.Failures, failure{"not as expected", text})
		}
		for _, text := range r.Mistakes {
			c.Errors = append(c.Errors, failure{"a mistake in a file", text})
		}
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(t.junit, append([]byte(xml.Header), append(out, '\n')...), 0o644)
}
