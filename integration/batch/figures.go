package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/integration/bench"
)

// mostServerMB is how much memory the server may need.
const mostServerMB = 150

// figures are the medians of each way to keep bodies, in their order.
type figures []figure

type figure struct {
	storage string
	row
}

// median takes the median of each number.
func median(rows []row) row {
	span := func(number func(row) time.Duration) time.Duration { return middle(rows, number) }
	size := func(number func(row) float64) float64 { return middle(rows, number) }
	return row{
		copied: span(func(r row) time.Duration { return r.copied }), compressed: span(func(r row) time.Duration { return r.compressed }),
		upload: span(func(r row) time.Duration { return r.upload }), inProgress: span(func(r row) time.Duration { return r.inProgress }),
		enqueued: span(func(r row) time.Duration { return r.enqueued }), completed: span(func(r row) time.Duration { return r.completed }),
		serverMB: size(func(r row) float64 { return r.serverMB }), workerMB: size(func(r row) float64 { return r.workerMB }),
		copyCPU: span(func(r row) time.Duration { return r.copyCPU }), compressCPU: span(func(r row) time.Duration { return r.compressCPU }), enqueueCPU: span(func(r row) time.Duration { return r.enqueueCPU }),
		tableMB: size(func(r row) float64 { return r.tableMB }), walMB: size(func(r row) float64 { return r.walMB }),
		copyMB: size(func(r row) float64 { return r.copyMB }), compressMB: size(func(r row) float64 { return r.compressMB }),
	}
}

func middle[N time.Duration | float64](rows []row, number func(row) N) N {
	values := make([]N, len(rows))
	for i, r := range rows {
		values[i] = number(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// bars holds each way to the same.
func (f figures) bars() *bench.Bars {
	bars := &bench.Bars{}
	for _, one := range f {
		bars.AtMost("serve_peak_rss_mb, bodies kept "+one.storage, bench.Round(one.serverMB, 10), mostServerMB)
	}
	return bars
}

func (p plan) table(machine string, f figures) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d lines, %d bytes; medians of %d rounds\n%s\n\n", p.lines, p.bytes, p.rounds, machine)
	fmt.Fprintf(&text, "%-44s", "")
	for _, one := range f {
		fmt.Fprintf(&text, " %12s", one.storage)
	}
	fmt.Fprintln(&text)
	for _, line := range []struct {
		what   string
		number func(figure) float64
	}{
		{"COPY into a plain table, s", func(f figure) float64 { return f.copied.Seconds() }},
		{"  compressed as Postgres does by itself, s", func(f figure) float64 { return f.compressed.Seconds() }},
		{"COPY, processor time, s", func(f figure) float64 { return f.copyCPU.Seconds() }},
		{"  compressed, processor time, s", func(f figure) float64 { return f.compressCPU.Seconds() }},
		{"upload, s", func(f figure) float64 { return f.upload.Seconds() }},
		{"create to in progress, s", func(f figure) float64 { return f.inProgress.Seconds() }},
		{"create to all enqueued, s", func(f figure) float64 { return f.enqueued.Seconds() }},
		{"  its processor time, s", func(f figure) float64 { return f.enqueueCPU.Seconds() }},
		{"create to completed, s (0: not asked for)", func(f figure) float64 { return f.completed.Seconds() }},
		{"serve, most memory, MB", func(f figure) float64 { return f.serverMB }},
		{"work, most memory, MB", func(f figure) float64 { return f.workerMB }},
		{"table of requests, MB", func(f figure) float64 { return f.tableMB }},
		{"plain table, MB", func(f figure) float64 { return f.copyMB }},
		{"plain table compressed, MB", func(f figure) float64 { return f.compressMB }},
		{"WAL, MB", func(f figure) float64 { return f.walMB }},
	} {
		fmt.Fprintf(&text, "%-44s", line.what)
		for _, one := range f {
			fmt.Fprintf(&text, " %12.6g", *bench.Round(line.number(one), 100))
		}
		fmt.Fprintln(&text)
	}
	return text.String()
}

// object is the JSON object: the figures of the first way, and those of others below
// their names.
func (f figures) object() map[string]any {
	all := map[string]any{}
	for i, one := range f {
		into := all
		if i > 0 {
			into = map[string]any{}
			all[one.storage] = into
		}
		for key, took := range map[string]time.Duration{
			"copy_s": one.copied, "copy_compressed_s": one.compressed, "upload_s": one.upload, "in_progress_s": one.inProgress, "enqueued_s": one.enqueued,
			"copy_cpu_s": one.copyCPU, "copy_compressed_cpu_s": one.compressCPU, "enqueue_cpu_s": one.enqueueCPU,
		} {
			into[key] = bench.Seconds(took)
		}
		if one.completed > 0 {
			into["completed_s"] = bench.Seconds(one.completed)
		}
		for key, size := range map[string]float64{
			"serve_peak_rss_mb": one.serverMB, "worker_peak_rss_mb": one.workerMB, "requests_table_mb": one.tableMB, "wal_mb": one.walMB,
		} {
			into[key] = bench.Round(size, 10)
		}
	}
	return all
}
