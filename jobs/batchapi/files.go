package batchapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A fileView is a file as the API shows it.
type fileView struct {
	ID            string  `json:"id"`
	Object        string  `json:"object"`
	Bytes         int64   `json:"bytes"`
	CreatedAt     int64   `json:"created_at"`
	ExpiresAt     *int64  `json:"expires_at"`
	Filename      string  `json:"filename"`
	Purpose       string  `json:"purpose"`
	Status        string  `json:"status"` // always "processed": SDKs wait for it
	StatusDetails *string `json:"status_details"`
}

func viewFile(f *jobs.File) fileView {
	return fileView{
		ID: f.ID, Object: "file", Bytes: f.Bytes, CreatedAt: f.CreatedAt.Unix(), ExpiresAt: seconds(f.ExpiresAt),
		Filename: f.Name, Purpose: f.Purpose, Status: "processed",
	}
}

// seconds is a time as the API writes it; zero is null.
func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	unix := t.Unix()
	return &unix
}

// A listView is a page of a list.
type listView[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// viewList makes a page of what was read of it, which is one more than its limit if
// there are more.
func viewList[T, V any](all []T, limit int, view func(*T) V, id func(*T) string) listView[V] {
	page := listView[V]{Object: "list", Data: []V{}, HasMore: len(all) > limit}
	all = all[:min(len(all), limit)]
	for i := range all {
		page.Data = append(page.Data, view(&all[i]))
	}
	if len(all) > 0 {
		page.FirstID, page.LastID = orNull(id(&all[0])), orNull(id(&all[len(all)-1]))
	}
	return page
}

// readPage reads what of a list is asked for; limit is the default and the most.
func readPage(r *http.Request, limit, most int) (store.Page, error) {
	query := r.URL.Query()
	page := store.Page{After: query.Get("after"), Limit: limit}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return page, invalid("limit", "invalid_value", "limit: %s is not a whole number from 1 to %d", shown(text), most)
		}
		page.Limit = n
	}
	switch order := query.Get("order"); order {
	case "", "desc":
	case "asc":
		page.Ascending = true
	default:
		return page, invalid("order", "invalid_value", "order: %s is neither asc nor desc", shown(order))
	}
	if len(page.After) > maxID || !isID(page.After) {
		return page, invalid("after", "invalid_value", "after: %s is no id; give the last one of the page before", shown(page.After))
	}
	return page, nil
}

// maxID bounds an id that somebody names.
const maxID = 128

// isID tells what may be an id of ours from what Postgres would not even take.
func isID(text string) bool {
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// pathID is the id that the path of a request names.
func pathID(r *http.Request, what string) (string, error) {
	id := r.PathValue("id")
	if id == "" || len(id) > maxID || !isID(id) {
		return "", notFound(what, id)
	}
	return id, nil
}

// found turns what is not there into the answer that says so.
func found(err error, what, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return notFound(what, id)
	}
	return err
}

const mostFiles = 10_000

func (s *Server) listFiles(w http.ResponseWriter, r *http.Request) error {
	page, err := readPage(r, mostFiles, mostFiles)
	if err != nil {
		return err
	}
	purpose := r.URL.Query().Get("purpose")
	if !isID(purpose) {
		return invalid("purpose", "invalid_value", "purpose: %s is none", shown(purpose))
	}
	limit := page.Limit
	page.Limit++
	files, err := s.config.Store.Files(r.Context(), caller(r).Tenant, purpose, page)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewList(files, limit, viewFile, func(f *jobs.File) string { return f.ID }))
	return nil
}

// file reads the file that the path of a request names.
func (s *Server) file(r *http.Request) (jobs.File, error) {
	id, err := pathID(r, "File")
	if err != nil {
		return jobs.File{}, err
	}
	file, err := s.config.Store.File(r.Context(), caller(r).Tenant, id)
	return file, found(err, "File", id)
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request) error {
	file, err := s.file(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewFile(&file))
	return nil
}

func (s *Server) deleteFile(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "File")
	if err != nil {
		return err
	}
	if err := s.config.Store.DeleteFile(r.Context(), caller(r).Tenant, id); err != nil {
		return found(err, "File", id)
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "object": "file", "deleted": true})
	return nil
}
