package logfile

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"tidegate/jobs"
)

// epoch is where a trace begins that counts from its own start.
var epoch = time.Unix(0, 0).UTC()

// azureTable reads requests of Azure: when they came, and their tokens.
func azureTable(names []string) (func([]string, *jobs.Logged) error, error) {
	at, err := places(names, "TIMESTAMP", "ContextTokens", "GeneratedTokens")
	if err != nil {
		return nil, err
	}
	return func(fields []string, into *jobs.Logged) (err error) {
		if into.Arrived, err = parseTime(fields[at[0]]); err != nil {
			return of("TIMESTAMP", err)
		}
		return tokens(into, "ContextTokens", fields[at[1]], "GeneratedTokens", fields[at[2]])
	}, nil
}

// mooncakeTable reads requests of Mooncake, with times in milliseconds.
func mooncakeTable(names []string) (func([]string, *jobs.Logged) error, error) {
	at, err := places(names, "timestamp_ms", "input_length", "output_length")
	if err != nil {
		return nil, err
	}
	return func(fields []string, into *jobs.Logged) (err error) {
		if into.Arrived, err = after(fields[at[0]], time.Millisecond); err != nil {
			return of("timestamp_ms", err)
		}
		return tokens(into, "input_length", fields[at[1]], "output_length", fields[at[2]])
	}, nil
}

// mooncakeLine reads a request of Mooncake as its authors publish it.
func mooncakeLine(text string, into *jobs.Logged) error {
	return eachMember(text, func(name, value string) (err error) {
		switch name {
		case "timestamp":
			into.Arrived, err = after(value, time.Millisecond)
		case "input_length":
			into.Expected.Input, err = small(value)
		case "output_length":
			into.Expected.Output, err = small(value)
		}
		if err != nil {
			return of(name, err)
		}
		return nil
	})
}

// syntheticTable reads requests with one call each, to a target that was chosen with a
// propensity. Who failed is not said: it counts as TRANSIENT.
func syntheticTable(names []string) (func([]string, *jobs.Logged) error, error) {
	at, err := places(names, "t_s", "target", "in_tokens", "out_tokens", "latency_s", "ok")
	if err != nil {
		return nil, err
	}
	propensity := -1
	if found, err := places(names, "propensity"); err == nil {
		propensity = found[0]
	}
	return func(fields []string, into *jobs.Logged) (err error) {
		if into.Arrived, err = after(fields[at[0]], time.Second); err != nil {
			return of("t_s", err)
		}
		into.At, into.Target = into.Arrived, fields[at[1]]
		if err := jobs.CheckName(into.Target); err != nil {
			return of("target", err)
		}
		latency, err := seconds(fields[at[4]])
		if err != nil {
			return of("latency_s", err)
		}
		answered, err := parseMark(fields[at[5]])
		if err != nil {
			return of("ok", err)
		}
		if err := tokens(into, "in_tokens", fields[at[2]], "out_tokens", fields[at[3]]); err != nil {
			return err
		}
		into.Latency, into.Class = latency, jobs.Transient
		if answered {
			into.Class, into.Status, into.Usage = jobs.OK, 200, into.Expected
		}
		if propensity >= 0 && fields[propensity] != "" {
			if err := setPropensity(into, fields[propensity]); err != nil {
				return of("propensity", err)
			}
		}
		return nil
	}, nil
}

// tokens are what a request takes, whether it was answered or not.
func tokens(into *jobs.Logged, inputName, input, outputName, output string) (err error) {
	if into.Expected.Input, err = small(input); err != nil {
		return of(inputName, err)
	}
	if into.Expected.Output, err = small(output); err != nil {
		return of(outputName, err)
	}
	return nil
}

func small(text string) (int, error) {
	n, err := parseWhole(text, math.MaxInt32)
	return int(n), err
}

// mostSeconds is the longest time that a trace may speak of: a year.
const mostSeconds = 366 * 24 * 3600

func seconds(text string) (time.Duration, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x <= mostSeconds) {
		return 0, fmt.Errorf("%.40q is no number of seconds from 0 to a year", text)
	}
	return time.Duration(math.Round(x * float64(time.Second))), nil
}

// after is a time that counts from the trace's start.
func after(text string, unit time.Duration) (time.Time, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x*unit.Seconds() <= mostSeconds) {
		return time.Time{}, fmt.Errorf("%.40q is no time from the start of the trace, from 0 to a year in units of %s", text, unit)
	}
	return epoch.Add(time.Duration(math.Round(x * float64(unit)))), nil
}
