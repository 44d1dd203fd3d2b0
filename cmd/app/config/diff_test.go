package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidegate/jobs"
)

func TestChangesNameFields(t *testing.T) {
	t.Parallel()
	base := "targets:\n" + targetLines("a") + targetLines("b") + "routes:\n  - {name: r, chain: [a, b]}\n"
	for name, c := range map[string]struct{ from, to, want string }{
		"nothing":        {"", "", ""},
		"a model":        {"name: b, provider: acme, model: m", "name: b, provider: acme, model: n", "targets.b.model"},
		"a default":      {"name: b, provider: acme", "name: b, dialect: openai, provider: acme", ""},
		"another order":  {"chain: [a, b]", "chain: [b, a]", "routes.r.chain"},
		"a target less":  {"chain: [a, b]", "chain: [a]", "routes.r.chain"},
		"parts of parts": {"name: a, provider: acme", "name: a, limits: {concurrency: 3}, timeouts: {total: 1m}, provider: acme", "targets.a.limits.concurrency targets.a.timeouts.total"},
		"of a route":     {"chain: [a, b]", "chain: [a, b], deadline: 1h, models: [m]", "routes.r.deadline routes.r.models"},
		"another target": {"routes:", targetLines("c") + "routes:", "targets.c (new)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, _ := parsed(t, base, vars())
			after, _ := parsed(t, strings.Replace(base, c.from, c.to, 1), vars())
			if got := strings.Join(Changes(before, after), " "); got != c.want {
				t.Errorf("it names %q, want %q", got, c.want)
			}
		})
	}
}

// Every field of a target, of a route and of a tenant is found when it changes, and named as
// the file names it.
func TestChangesMissNoField(t *testing.T) {
	t.Parallel()
	before := &Config{Targets: []Target{{Name: "a"}}, Routes: []Route{{Name: "r"}}, Tenants: []Tenant{{Name: "t"}}}
	each := func(prefix string, into func(*Config) reflect.Value) {
		kind := into(before).Type()
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("yaml"), ",")
			if name == "name" {
				continue
			}
			after := &Config{Targets: slices.Clone(before.Targets), Routes: slices.Clone(before.Routes), Tenants: slices.Clone(before.Tenants)}
			fill(into(after).Field(i))
			if got := Changes(before, after); len(got) == 0 || !strings.HasPrefix(got[0], prefix+name) {
				t.Errorf("%s%s changes, and it names %v", prefix, name, got)
			}
		}
	}
	each("targets.a.", func(c *Config) reflect.Value { return reflect.ValueOf(&c.Targets[0]).Elem() })
	each("routes.r.", func(c *Config) reflect.Value { return reflect.ValueOf(&c.Routes[0]).Elem() })
	each("tenants.t.", func(c *Config) reflect.Value { return reflect.ValueOf(&c.Tenants[0]).Elem() })
}

// fill sets a value to something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), reflect.ValueOf("x").Convert(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// A route that is gone is worked on, by what is said of its targets now.
func TestMergeKeepsRoutesThatAreWorked(t *testing.T) {
	t.Parallel()
	running, _ := parsed(t, "targets:\n"+targetLines("a")+targetLines("b")+targetLines("c")+"routes:\n  - {name: r, chain: [a, b]}\n  - {name: q, chain: [c]}\n", vars())
	fresh, _ := parsed(t, "targets:\n"+targetLines("d")+targetLines("b")+"routes:\n  - {name: s, chain: [b]}\n  - {name: q, chain: [d, b]}\n", vars())
	fresh.Targets[1].APIKey = jobs.Secret("another")
	effective, waiting := Merge(running, fresh)
	if want := []string{"routes.r is gone", "routes.s is new"}; !slices.Equal(waiting, want) {
		t.Errorf("waiting: %v", waiting)
	}
	targets, routes := effective.Build()
	if len(targets) != 3 || len(routes) != 2 {
		t.Fatalf("%d targets and %d routes:\n%v", len(targets), len(routes), effective)
	}
	r, q := routes[0], routes[1]
	if r.Name != "r" || r.Chain[0].Name != "a" || r.Chain[1].Name != "b" || r.Chain[1].Key != "another" || q.Chain[1] != r.Chain[1] || q.Chain[0].Name != "d" {
		t.Errorf("the routes are %+v", routes)
	}
	if got := Changes(running, effective); !slices.Equal(got, []string{"targets.d (new)", "targets.b.api_key", "targets.c (gone)", "routes.q.chain"}) {
		t.Errorf("it names %v", got)
	}
}
