package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/integration/bench"
)

// A figure is a row as numbers.
type figure struct {
	smallMedian, smallMax   float64 // seconds
	left                    float64
	singleMedian, singleMax float64 // milliseconds
	enqueued, done          float64
	cpuMS, walKB            float64
}

type figures struct{ direct, fair figure }

// median takes the median of each number.
func median(rows []row) figure {
	of := func(number func(row) float64) float64 {
		values := make([]float64, len(rows))
		for i, r := range rows {
			values[i] = number(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	middle := func(all []time.Duration) time.Duration { return all[len(all)/2] }
	last := func(all []time.Duration) time.Duration { return all[len(all)-1] }
	return figure{
		smallMedian: of(func(r row) float64 { return middle(r.small).Seconds() }), smallMax: of(func(r row) float64 { return last(r.small).Seconds() }),
		left:         of(func(r row) float64 { return float64(r.left) }),
		singleMedian: of(func(r row) float64 { return 1000 * middle(r.single).Seconds() }), singleMax: of(func(r row) float64 { return 1000 * last(r.single).Seconds() }),
		enqueued: of(func(r row) float64 { return r.enqueued }), done: of(func(r row) float64 { return r.done }),
		cpuMS: of(func(r row) float64 { return r.cpuMS }), walKB: of(func(r row) float64 { return r.walKB }),
	}
}

func (p plan) table(machine string, f figures) string {
	var text strings.Builder
	limit := "no limit"
	if p.rpm > 0 {
		limit = fmt.Sprintf("%d calls a minute", p.rpm)
	}
	fmt.Fprintf(&text, "%d requests of one tenant, %d of another that comes when a twentieth is done; %d workers, %d calls at once each, answers after %s, %s\n%s\n\n",
		p.jobs, p.small, p.processes, p.concurrency, p.latency, limit, machine)
	fmt.Fprintf(&text, "%-32s %12s %12s\n", "", "direct", "fair")
	for _, line := range []struct {
		what         string
		direct, fair float64
	}{
		{"small tenant waits, median, s", f.direct.smallMedian, f.fair.smallMedian},
		{"small tenant waits, max, s", f.direct.smallMax, f.fair.smallMax},
		{"of the big one left then", f.direct.left, f.fair.left},
		{"jobs/s", f.direct.done, f.fair.done},
		{"enqueued/s", f.direct.enqueued, f.fair.enqueued},
		{"cpu ms/job", f.direct.cpuMS, f.fair.cpuMS},
		{"WAL kB/job", f.direct.walKB, f.fair.walKB},
		{"single on an idle route, median, ms", f.direct.singleMedian, f.fair.singleMedian},
		{"single on an idle route, max, ms", f.direct.singleMax, f.fair.singleMax},
	} {
		fmt.Fprintf(&text, "%-36s %8.6g %12.6g\n", line.what, *bench.Round(line.direct, 100), *bench.Round(line.fair, 100))
	}
	return text.String()
}

// object is the JSON object.
func (f figures) object() map[string]*float64 {
	object := map[string]*float64{}
	for admission, one := range map[string]figure{"direct": f.direct, "fair": f.fair} {
		object[admission+"_small_median_s"] = bench.Round(one.smallMedian, 100)
		object[admission+"_small_max_s"] = bench.Round(one.smallMax, 100)
		object[admission+"_jobs_per_s"] = bench.Round(one.done, 10)
		object[admission+"_enqueued_per_s"] = bench.Round(one.enqueued, 10)
		object[admission+"_cpu_ms_per_job"] = bench.Round(one.cpuMS, 1000)
		object[admission+"_wal_kb_per_job"] = bench.Round(one.walKB, 100)
		object[admission+"_single_median_ms"] = bench.Round(one.singleMedian, 10)
		object[admission+"_single_max_ms"] = bench.Round(one.singleMax, 10)
	}
	return object
}
