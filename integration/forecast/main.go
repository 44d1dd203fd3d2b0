package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "forecast:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("forecast", flag.ContinueOnError)
	runs := flags.Int("runs", 10, "of each scene, with other luck")
	asJSON := flags.Bool("json", false, "no table")
	noBars := flags.Bool("no-bars", false, "do not fail where a figure is missed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("--runs: %d is not at least 1", *runs)
	}
	began := time.Now()
	f := measure(scenes(), *runs)
	if !*asJSON {
		f.table(os.Stdout)
		fmt.Printf("\n%d scenes, %d runs of each, in %s.\n", len(f.Scenes), *runs, time.Since(began).Round(time.Second))
	}
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if *noBars {
		return nil
	}
	return f.bars()
}

func (f *figures) table(out *os.File) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scene\tminutes\tinside\tbegin\t10%\t50%\t90%\twide at 50%\tnot known\t")
	for _, s := range f.Scenes {
		fmt.Fprintf(table, "%s\t%.0f\t%.0f%%\t%s\t%s\t%s\t%s\t%.0f%%\t%.0f%%\t\n", s.Name, s.Minutes, 100*s.Inside, s.Begin, s.At[0], s.At[1], s.At[2], 100*s.Wide, 100*s.Unknown)
	}
	_ = table.Flush()
}
