package batchapi

import (
	"fmt"
	"net/http"
)

// getContent sends a file, or the parts of it that are asked for. What is cut off in
// the middle ends the connection, so that nobody takes it for the whole.
func (s *Server) getContent(w http.ResponseWriter, r *http.Request) error {
	file, err := s.file(r)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", attachment(file.Name))
	header.Set("Etag", `"`+file.ID+`"`)
	header.Set("Cache-Control", "private, no-transform")
	content := &contentWriter{ResponseWriter: w}
	http.ServeContent(content, r, "", file.CreatedAt, s.config.Store.OpenFile(r.Context(), file, 0))
	if content.refused == 0 {
		return nil
	}
	header.Del("Content-Disposition")
	switch content.refused {
	case http.StatusRequestedRangeNotSatisfiable:
		return &apiError{
			status: content.refused, kind: invalidRequest, code: "invalid_range", param: "Range",
			message: fmt.Sprintf("Range: %s is not within the %d bytes of the file", shown(r.Header.Get("Range")), file.Bytes),
		}
	case http.StatusPreconditionFailed:
		return &apiError{status: content.refused, kind: invalidRequest, code: "precondition_failed", message: "the file is not the one that the request's If-… headers mean"}
	default:
		return fmt.Errorf("sending file %s: %d", file.ID, content.refused)
	}
}

// A contentWriter lets content pass, and keeps a refusal back: whoever is refused gets
// the same kind of error everywhere.
type contentWriter struct {
	http.ResponseWriter
	refused int // the status; zero: it was not
}

// WriteHeader begins the answer.
func (w *contentWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.refused = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write goes on with it.
func (w *contentWriter) Write(p []byte) (int, error) {
	if w.refused > 0 {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *contentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
