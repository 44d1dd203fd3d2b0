package batchapi

import (
	"net/http"
	"slices"
	"strings"
)

// A modelView is a name that lines may give as their model, as the API shows it.
type modelView struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"` // the route that takes it
}

// models are the names that routes claim, in their order.
func (s *Server) models(r *http.Request) ([]modelView, error) {
	routes, err := s.config.Store.Routes(r.Context())
	if err != nil {
		return nil, err
	}
	var all []modelView
	for _, route := range routes {
		for _, model := range route.Models {
			all = append(all, modelView{ID: model, Object: "model", OwnedBy: route.Name})
		}
	}
	slices.SortFunc(all, func(a, b modelView) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	all, err := s.models(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewList(all, len(all), func(m *modelView) modelView { return *m }, func(m *modelView) string { return m.ID }))
	return nil
}

// getModel shows one model. Names of models hold slashes.
func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	all, err := s.models(r)
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	for _, model := range all {
		if model.ID == name {
			writeJSON(w, http.StatusOK, model)
			return nil
		}
	}
	return &apiError{
		status: http.StatusNotFound, kind: invalidRequest, code: "model_not_found", param: "model",
		message: "The model '" + shown(name) + "' is claimed by no route; `models:` of a route's configuration does",
	}
}
