package config

import (
	"reflect"
	"slices"
)

// Merge is what a worker with one configuration takes of another one while it
// runs: targets, prices, tenants, strategies, and what it says of the routes that are there. A route has a
// queue that is worked, and connections to Postgres, from the start of a worker
// to its end; so one that is new, or gone, waits for a restart, and is listed.
// One that is gone is worked as before until then.
func Merge(running, fresh *Config) (effective *Config, waiting []string) {
	merged := *running
	merged.Targets, merged.Routes = slices.Clone(fresh.Targets), nil
	merged.Prices, merged.Table, merged.Tenants = fresh.Prices, fresh.Table, fresh.Tenants
	merged.Strategies, merged.Estimator = fresh.Strategies, fresh.Estimator
	targets, routes := byName(fresh.Targets), byName(fresh.Routes)
	was := byName(running.Targets)
	for _, route := range running.Routes {
		next, stays := routes[route.Name]
		if stays {
			merged.Routes = append(merged.Routes, next)
			continue
		}
		waiting = append(waiting, "routes."+route.Name+" is gone")
		merged.Routes = append(merged.Routes, route)
		for _, name := range slices.Concat(route.Chain, route.EscalateTo) {
			if _, known := targets[name]; !known {
				targets[name] = was[name]
				merged.Targets = append(merged.Targets, was[name])
			}
		}
	}
	served := byName(running.Routes)
	for _, route := range fresh.Routes {
		if _, known := served[route.Name]; !known {
			waiting = append(waiting, "routes."+route.Name+" is new")
		}
	}
	return &merged, waiting
}

// Changes names what differs between two configurations, as in
// "targets.a.api_key". It never shows a value.
func Changes(before, after *Config) []string {
	changed := append(listChanges("targets.", before.Targets, after.Targets), listChanges("routes.", before.Routes, after.Routes)...)
	changed = append(changed, listChanges("tenants.", before.Tenants, after.Tenants)...)
	changed = append(changed, ChangesOf(before, after, []string{"strategies", "estimator"})...)
	if !before.PriceTable().Equal(after.PriceTable()) {
		changed = append(changed, "prices")
	}
	return changed
}

// ChangesOf names what differs of some keys.
func ChangesOf(before, after *Config, keys []string) (changed []string) {
	b, a := reflect.ValueOf(*before), reflect.ValueOf(*after)
	fields := FieldsOf(b.Type())
	for _, key := range keys {
		index := fields.Index[key]
		changed = fieldChanges(changed, key, b.Field(index), a.Field(index))
	}
	return changed
}

// A named part of the configuration stands in a list and is known by its name.
type named interface{ name() string }

func (t Target) name() string { return t.Name }
func (r Route) name() string  { return r.Name }
func (t Tenant) name() string { return t.Name }

func byName[T named](list []T) map[string]T {
	names := make(map[string]T, len(list))
	for _, one := range list {
		names[one.name()] = one
	}
	return names
}

func listChanges[T named](prefix string, before, after []T) (changed []string) {
	was, is := byName(before), byName(after)
	for _, now := range after {
		then, known := was[now.name()]
		if !known {
			changed = append(changed, prefix+now.name()+" (new)")
			continue
		}
		changed = fieldChanges(changed, prefix+now.name(), reflect.ValueOf(then), reflect.ValueOf(now))
	}
	for _, then := range before {
		if _, known := is[then.name()]; !known {
			changed = append(changed, prefix+then.name()+" (gone)")
		}
	}
	return changed
}

// fieldChanges goes down to the fields of the file that differ.
func fieldChanges(changed []string, path string, before, after reflect.Value) []string {
	if before.Kind() != reflect.Struct {
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			changed = append(changed, path)
		}
		return changed
	}
	fields := FieldsOf(before.Type())
	for _, name := range fields.Names {
		index := fields.Index[name]
		changed = fieldChanges(changed, path+"."+name, before.Field(index), after.Field(index))
	}
	return changed
}
