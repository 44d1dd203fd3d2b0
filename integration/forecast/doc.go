// Forecast measures how honest forecasts are. Worlds on a virtual clock drain backlogs
// through the real router, with its circuits and paces, before providers that throttle,
// slow down and die. Every few seconds a forecast is made as `tidegate status` makes it,
// of what the fleet writes down and nothing else; afterwards it is known what was true.
//
//	go run ./integration/forecast
package main
