package config

import (
	"fmt"
	"slices"

	"tidegate/jobs"
)

// whenOpen are the choices of when_open.
var whenOpen = []string{DefaultWhenOpen, string(jobs.WhenOpenWait), string(jobs.WhenOpenPrice)}

// whenFiltered are the choices of when_filtered.
var whenFiltered = []string{DefaultWhenFiltered, "reroute"}

// admissions are the choices of admission.
var admissions = []string{jobs.AdmissionDirect, jobs.AdmissionFair}

// ownQueues are those of River that are no route's, and what they are.
var ownQueues = map[string]string{
	jobs.BatchQueue:      "of the work on batches",
	jobs.WebhookQueue:    "of what webhooks are told",
	jobs.CanaryQueue:     "of canary prompts",
	jobs.QuarantineQueue: "in which suspected poison runs alone",
}

// checkRoutes notes what is wrong with the routes, and which targets none of them
// calls.
func (r *reader) checkRoutes(c *Config, known Known) {
	names, models, used := map[string]int{}, map[string]string{}, map[string]bool{}
	for i := range c.Routes {
		route, at := &c.Routes[i], fmt.Sprintf("routes[%d]", i)
		if r.required(at+".name", route.Name, "name the route, as in summaries") {
			r.name(at+".name", route.Name)
			r.unique(names, route.Name, "routes[%d].name", i)
			if queue, taken := ownQueues[route.Name]; taken {
				r.problem(at+".name", "%q is the queue %s; choose another name", route.Name, queue)
			}
		}
		r.checkChain(c, route, at, used)
		if !slices.Contains(known.Goals, route.Goal) {
			r.problem(at+".optimization_goal", "unknown goal %s; %s", r.shown(at+".optimization_goal", route.Goal), jobs.DidYouMean(route.Goal, known.Goals))
		}
		if !slices.Contains(whenOpen, route.WhenOpen) {
			r.problem(at+".when_open", "unknown choice %s; %s", r.shown(at+".when_open", route.WhenOpen), jobs.DidYouMean(route.WhenOpen, whenOpen))
		}
		if !slices.Contains(whenFiltered, route.WhenFiltered) {
			r.problem(at+".when_filtered", "unknown choice %s; %s", r.shown(at+".when_filtered", route.WhenFiltered), jobs.DidYouMean(route.WhenFiltered, whenFiltered))
		}
		if !slices.Contains(admissions, route.Admission) {
			r.problem(at+".admission", "unknown choice %s; %s", r.shown(at+".admission", route.Admission), jobs.DidYouMean(route.Admission, admissions))
		}
		if route.Deadline < 0 {
			r.problem(at+".deadline", "must not be below zero; leave it out for none")
		}
		r.checkModels(route, at, models)
		r.checkBudget(route.Budget, at+".budget")
		r.warnUnpriced(c, route, at)
		r.checkExpect(route.Expect, at+".expect")
	}
	for i, target := range c.Targets {
		if target.Name != "" && !used[target.Name] {
			r.warn(fmt.Sprintf("targets[%d].name", i), "%q is in no route's chain, so it is never called", target.Name)
		}
	}
	if len(c.Routes) == 0 && c.File != "" && r.given("routes") {
		r.warn("routes", "there is none, so no request can be taken")
	}
}

func (r *reader) checkChain(c *Config, route *Route, at string, used map[string]bool) {
	var names []string
	for _, target := range c.Targets {
		if target.Name != "" {
			names = append(names, target.Name)
		}
	}
	if len(route.Chain) == 0 {
		r.problem(at+".chain", "needs at least one target; %s", jobs.DidYouMean("", names))
	}
	seen := map[string]bool{}
	for i, name := range route.Chain {
		field := fmt.Sprintf("%s.chain[%d]", at, i)
		switch {
		case !slices.Contains(names, name):
			r.problem(field, "there is no target %s; %s", r.shown(field, name), jobs.DidYouMean(name, names))
		case seen[name]:
			r.problem(field, "%s is in this chain already; a target stands in it once", r.shown(field, name))
		}
		seen[name], used[name] = true, true
	}
	r.checkEscalation(names, route, at, used)
}

func (r *reader) checkModels(route *Route, at string, claimed map[string]string) {
	for i, model := range route.Models {
		field := fmt.Sprintf("%s.models[%d]", at, i)
		switch other, taken := claimed[model]; {
		case model == "":
			r.problem(field, "is empty: write the name of a model as requests say it")
		case taken:
			r.problem(field, "%s is claimed by %s already; a model means one route", r.shown(field, model), other)
		default:
			claimed[model] = at
		}
	}
}
