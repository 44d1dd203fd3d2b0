package main

import (
	"fmt"
	"strings"
	"time"

	"tidegate/integration/bench"
)

const (
	// mostShare of a core may a viewer cost Postgres.
	mostShare = 0.02
	// mostAge may what is shown have.
	mostAge = 5 * time.Second
)

// figures are what looking costs.
type figures struct {
	Jobs    int     `json:"jobs"`
	Nobody  float64 `json:"share_of_core_nobody"` // what Postgres works while nobody looks
	Viewers []crowd `json:"viewers"`
	River   float64 `json:"share_of_core_river"` // what one who looks at River's page costs
	Counted float64 `json:"counted_s"`           // at most
}

// A crowd is what some viewers cost.
type crowd struct {
	Viewers int     `json:"viewers"`
	Each    float64 `json:"share_of_core_per_viewer"`
	All     float64 `json:"share_of_core"` // more than nobody
	Age     float64 `json:"age_s"`         // in the middle
	MostAge float64 `json:"most_age_s"`
	KBps    float64 `json:"kb_per_s_per_viewer"`
}

func (f figures) bars() *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("share of a core of who looks at River's page", &f.River, mostShare)
	for _, c := range f.Viewers {
		bars.AtMost(fmt.Sprintf("share of a core per viewer, of %d", c.Viewers), bench.Number(c.Each), mostShare)
		bars.AtMost(fmt.Sprintf("age of what is shown, in s, to %d", c.Viewers), bench.Number(c.MostAge), mostAge.Seconds())
	}
	return bars
}

func (p plan) table(machine string, f figures) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d requests wait, and their provider is down; Postgres works %.2f%% of a core while nobody looks\n%s\n\n", f.Jobs, 100*f.Nobody, machine)
	fmt.Fprintf(&text, "%10s %22s %22s %16s %14s\n", "viewers", "of a core, by viewer", "of a core, all", "age of the page", "kB/s, each")
	for _, c := range f.Viewers {
		fmt.Fprintf(&text, "%10d %21.3f%% %21.2f%% %8.1f–%.1f s %14.1f\n", c.Viewers, 100*c.Each, 100*c.All, c.Age, c.MostAge, c.KBps)
	}
	fmt.Fprintf(&text, "%10s %21.3f%%\n", "1, River's", 100*f.River)
	fmt.Fprintf(&text, "\nThe backlog was counted at most %.0f s ago.\n", f.Counted)
	return text.String()
}
