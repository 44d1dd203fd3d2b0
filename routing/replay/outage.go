package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// An Outage is one that did not happen, and is added.
type Outage struct {
	Target string // a target; or a provider, whose targets are all out
	From   time.Time
	For    time.Duration
	// Share of the calls, 0 to 1, that meet it; zero: all.
	Share float64
	// Class and Status are what they meet; of a target that is only slower, Class is OK.
	Class  jobs.Class
	Status int
	// Takes is how long a call takes that meets it; zero: until its timeout.
	Takes time.Duration
	// Slower is how many times longer calls take, where they are answered.
	Slower float64
}

// outageModes are the ways to be out that have a name.
var outageModes = map[string]Outage{
	"429":     {Class: jobs.Rate, Status: 429, Takes: 100 * time.Millisecond},
	"401":     {Class: jobs.Auth, Status: 401, Takes: 100 * time.Millisecond},
	"402":     {Class: jobs.Quota, Status: 402, Takes: 100 * time.Millisecond},
	"529":     {Class: jobs.Overload, Status: 529, Takes: 300 * time.Millisecond},
	"503":     {Class: jobs.Overload, Status: 503, Takes: 300 * time.Millisecond},
	"500":     {Class: jobs.Transient, Status: 500, Takes: 300 * time.Millisecond},
	"502":     {Class: jobs.Transient, Status: 502, Takes: 300 * time.Millisecond},
	"504":     {Class: jobs.Transient, Status: 504, Takes: 30 * time.Second},
	"refused": {Class: jobs.Transient, Takes: 5 * time.Millisecond},
	"hang":    {Class: jobs.Timeout},
}

// ParseOutage reads an outage as in "target=openai,mode=503,from=2026-03-01T10:00:00Z,for=2h".
// from may be a duration, after the start of the log. share=0.25 has a quarter of the
// calls meet it, and mode=slow:4 makes calls take four times as long.
func ParseOutage(text string, start time.Time) (Outage, error) {
	said := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Outage{}, fmt.Errorf("outage: %q is not a key and a value, as in target=openai", part)
		}
		if _, twice := said[key]; twice {
			return Outage{}, fmt.Errorf("outage: %s is said twice", key)
		}
		said[key] = value
	}
	for key := range said {
		switch key {
		case "target", "mode", "from", "for", "share", "takes":
		default:
			return Outage{}, fmt.Errorf("outage: %q is not known; there are target, mode, from, for, share, takes", key)
		}
	}
	made, err := outageMode(said["mode"])
	if err != nil {
		return Outage{}, err
	}
	if made.Target = said["target"]; made.Target == "" {
		return Outage{}, fmt.Errorf("outage: target is missing")
	}
	if made.For, err = jobs.ParseDuration(said["for"]); err != nil || made.For <= 0 {
		return Outage{}, fmt.Errorf("outage: for=%q is not a duration, as in 2h", said["for"])
	}
	if made.From, err = outageFrom(said["from"], start); err != nil {
		return Outage{}, err
	}
	if share, is := said["share"]; is {
		if made.Share, err = strconv.ParseFloat(share, 64); err != nil || !(made.Share > 0 && made.Share <= 1) {
			return Outage{}, fmt.Errorf("outage: share=%q is not above 0, and 1 at most", share)
		}
	}
	if takes, is := said["takes"]; is {
		if made.Takes, err = jobs.ParseDuration(takes); err != nil || made.Takes <= 0 || made.Slower > 0 {
			return Outage{}, fmt.Errorf("outage: takes=%q is not how long a call takes until it is refused, as in 50ms, of a mode that refuses", takes)
		}
	}
	return made, nil
}

func outageMode(mode string) (Outage, error) {
	if factor, slow := strings.CutPrefix(mode, "slow:"); slow {
		slower, err := strconv.ParseFloat(factor, 64)
		if err != nil || !(slower > 0 && slower <= 1000) {
			return Outage{}, fmt.Errorf("outage: mode=%q: %q is not how many times slower, as in slow:4", mode, factor)
		}
		return Outage{Class: jobs.OK, Slower: slower}, nil
	}
	made, known := outageModes[mode]
	if !known {
		return Outage{}, fmt.Errorf("outage: mode=%q is not known; there are 429, 401, 402, 500, 502, 503, 504, 529, refused, hang, slow:4", mode)
	}
	return made, nil
}

func outageFrom(text string, start time.Time) (time.Time, error) {
	if after, err := jobs.ParseDuration(text); err == nil && after >= 0 {
		return start.Add(after), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("outage: from=%q is neither a time, as in 2026-03-01T10:00:00Z, nor a duration after the start of the log, as in 26h", text)
	}
	return at, nil
}

// of tells whether a target is out by it.
func (o *Outage) of(t *jobs.Target) bool { return o.Target == t.Name || o.Target == t.Provider }

// meets changes what a call comes to that begins while it lasts, for one of the numbers
// from 0 to 1.
func (o *Outage) meets(f *fate, target *jobs.Target, at time.Time, x float64) {
	if at.Before(o.From) || !at.Before(o.From.Add(o.For)) || o.Share > 0 && x >= o.Share {
		return
	}
	if o.Slower > 0 {
		f.takes = time.Duration(float64(f.takes) * o.Slower)
		f.firstByte = time.Duration(float64(f.firstByte) * o.Slower)
		f.cut(target.Timeouts)
		return
	}
	*f = fate{class: o.Class, takes: o.Takes}
	if o.Takes == 0 {
		f.takes = longestCall
		if by := target.Timeouts; by.FirstByte > 0 && (by.Total == 0 || by.FirstByte < by.Total) {
			f.takes = by.FirstByte
		} else if by.Total > 0 {
			f.takes = by.Total
		}
	}
}

// longestCall is how long one hangs that nothing bounds.
const longestCall = 10 * time.Minute

// String says it, as a report does.
func (o *Outage) String() string {
	return fmt.Sprintf("%s is out for %s from %s", o.Target, o.For, o.From.UTC().Format(time.RFC3339))
}
