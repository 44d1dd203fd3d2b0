package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"tidegate/integration/bench"
	"tidegate/jobs"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	got := median([]row{
		{copied: 3 * time.Second, enqueued: 9 * time.Second, serverMB: 10}, {copied: time.Second, enqueued: 8 * time.Second, serverMB: 30}, {copied: 2 * time.Second, enqueued: 7 * time.Second, serverMB: 20},
	})
	if want := (row{copied: 2 * time.Second, enqueued: 8 * time.Second, serverMB: 20}); got != want {
		t.Errorf("it is %+v", got)
	}
}

func TestServerIsHeldToItsBar(t *testing.T) {
	t.Parallel()
	within := figures{{asMigrated, row{serverMB: mostServerMB}}}
	if err := within.bars().Err(); err != nil {
		t.Error(err)
	}
	over := append(within, figure{"lz4", row{serverMB: mostServerMB + 1}})
	if err := over.bars().Err(); err == nil || !strings.Contains(err.Error(), "lz4") {
		t.Errorf("it says %v", err)
	}
	var text strings.Builder
	if err := (&bench.Options{}).Finish(&text, "", over.object(), &bench.Bars{}); err != nil || !strings.Contains(text.String(), `"lz4":{`) || strings.Count(text.String(), `"serve_peak_rss_mb"`) != 2 {
		t.Errorf("%v: %s", err, &text)
	}
}

// The input has as many lines and bytes as it was asked for, and each is right.
func TestInput(t *testing.T) {
	t.Parallel()
	const lines, bytes = 70, 100_003
	path, err := writeInput(lines, bytes)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path) //nolint:errcheck // it is in the folder of temporary files
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	if info, err := file.Stat(); err != nil || info.Size() != bytes {
		t.Errorf("%v: %d bytes", err, info.Size())
	}
	n := 0
	for _, err := range jobs.ReadLines(file, jobs.LineOptions{Whole: true, DefaultRoute: bench.Route}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != lines {
		t.Errorf("%d lines", n)
	}
}
