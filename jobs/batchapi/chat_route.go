package batchapi

import (
	"slices"
	"strings"

	"tidegate/jobs"
)

// choose finds the route and the goal of a request whose sender waits: those that are
// named, else the route that claims its model, or the only one that there is.
func choose(request *jobs.Request, routes []jobs.Route, goals []string, route, goal string) error {
	model := jobs.BodyModel(request.Body)
	names := make([]string, len(routes))
	for i, known := range routes {
		names[i] = known.Name
		if route == "" && slices.Contains(known.Models, model) || len(routes) == 1 && route == "" {
			request.Route = known.Name
		}
	}
	switch {
	case route != "" && !slices.Contains(names, route):
		return invalid(headerRoute, "invalid_value", "%s: there is no route %s; there are: %s", headerRoute, shown(route), strings.Join(names, ", "))
	case route != "":
		request.Route = route
	case request.Route == "":
		return &apiError{
			status: 404, kind: invalidRequest, code: "model_not_found", param: "model",
			message: "The model '" + shown(model) + "' is claimed by no route; `models:` of a route's configuration does, or name one in the header " + headerRoute,
		}
	}
	if goal == "" {
		return nil
	}
	known := slices.Clone(goals)
	for _, r := range routes {
		known = append(known, r.Goals...)
	}
	if !slices.Contains(known, goal) {
		slices.Sort(known)
		return invalid(headerGoal, "invalid_value", "%s: there is no goal %s; there are: %s", headerGoal, shown(goal), strings.Join(slices.Compact(known), ", "))
	}
	request.Goal = goal
	return nil
}
