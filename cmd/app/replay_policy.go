package app

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/routing/replay"
)

// A policyFile is a configuration that is replayed.
type policyFile struct {
	name   string
	config *config.Config
}

// A fileError is one of a file that somebody wrote: of a policy, or of a log.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// readPolicy reads and checks a configuration, without its keys.
func readPolicy(path string) (policyFile, error) {
	known := allKnown()
	known.Keyless = true
	conf, _, err := config.Load(path, os.LookupEnv, known)
	if err != nil {
		return policyFile{}, &fileError{err}
	}
	if len(conf.Routes) == 0 {
		return policyFile{}, &fileError{fmt.Errorf("%s: routes: there is none, so that it would route nothing; add one with a chain of targets", path)}
	}
	return policyFile{path, conf}, nil
}

// simulatedBase is where simulated providers would be, of which none is called.
const simulatedBase = "http://127.0.0.1"

// readPolicies reads the configuration that made the log, and those that are to be
// compared with it.
func (o *options) readPolicies(against string, paths []string) (old policyFile, some []policyFile, err error) {
	if against == "" {
		against = config.Find(o.config, os.LookupEnv)
	}
	switch against {
	case "": // what dev and the demo run with then
		old = policyFile{"the simulated providers of dev", config.DefaultSimulated(simulatedBase)}
	default:
		if old, err = readPolicy(against); err != nil {
			return old, nil, err
		}
	}
	seen := map[string]bool{}
	for _, path := range paths {
		if seen[path] {
			return old, nil, usagef("--policy: %s is there twice", path)
		}
		seen[path] = true
		one, err := readPolicy(path)
		if err != nil {
			return old, nil, err
		}
		some = append(some, one)
	}
	shortenNames(&old, some)
	return old, some, nil
}

// shortenNames calls policies as their files are called, where that tells them apart.
func shortenNames(old *policyFile, some []policyFile) {
	all := []*policyFile{old}
	for i := range some {
		all = append(all, &some[i])
	}
	times := map[string]int{}
	for _, p := range all {
		times[filepath.Base(p.name)]++
	}
	for _, p := range all {
		if base := filepath.Base(p.name); times[base] == 1 {
			p.name = base
		}
	}
}

// policy is what is replayed of it, with the prices of a time.
func (p *policyFile) policy(at time.Time, workers int) replay.Policy {
	_, routes := p.config.BuildAt(at)
	return replay.Policy{Name: p.name, Routes: routes, Choosing: p.config.Choosing(), Slots: workers * p.config.Worker.Concurrency}
}

// unpriced lists targets of which nobody knows what they cost, each once.
func unpriced(policies []replay.Policy) (names []string) {
	seen := map[string]bool{}
	for i := range policies {
		for j := range policies[i].Routes {
			for _, t := range policies[i].Routes[j].Chain {
				if !t.Price.Known() && !seen[t.Name] {
					seen[t.Name] = true
					names = append(names, t.Name)
				}
			}
		}
	}
	return names
}
