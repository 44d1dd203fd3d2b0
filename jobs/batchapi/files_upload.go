package batchapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	maxFieldBytes = 1 << 10 // of a field that is not the file
	maxFields     = 32
	maxFilename   = 255
	// aroundFile is what a body may have beside the file.
	aroundFile = 1 << 20
	// dropWithin is how long giving up a file may take when who sent it is gone.
	dropWithin = 10 * time.Second

	leastExpiry = time.Hour
	mostExpiry  = 30 * 24 * time.Hour
)

// createFile takes a file as it comes: fields may be in any order, and how long the
// body is need not be said. It is written in pieces, and seen when it is whole.
func (s *Server) createFile(w http.ResponseWriter, r *http.Request) (err error) {
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return errBusy
	}
	form, err := multipartOf(r, s.config.MaxFileBytes+aroundFile)
	if err != nil {
		return err
	}
	up := &upload{server: s, file: jobs.File{ID: store.NewFileID(), Tenant: caller(r).Tenant}, fields: map[string]string{}}
	defer func() {
		if err != nil && up.begun {
			up.drop(r.Context())
		}
	}()
	if err := up.readParts(r.Context(), form); err != nil {
		return err
	}
	file, err := up.finish(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewFile(&file))
	return nil
}

// multipartOf reads what a body says of itself.
func multipartOf(r *http.Request, most int64) (*multipart.Reader, error) {
	if err := plainBody(r); err != nil {
		return nil, err
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, &apiError{
			status: http.StatusUnsupportedMediaType, kind: invalidRequest, code: "unsupported_content_type",
			message: "a file is sent as multipart/form-data with the fields purpose and file",
		}
	}
	if params["boundary"] == "" {
		return nil, invalid("", "invalid_multipart", "the Content-Type has no boundary")
	}
	if r.ContentLength > most { // it says so itself: nothing of it need be written first
		return nil, tooLarge(most - aroundFile)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, most)
	return multipart.NewReader(r.Body, params["boundary"]), nil
}

// plainBody refuses a body that is packed: what it would unpack to, nobody knows.
func plainBody(r *http.Request) error {
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return &apiError{
				status: http.StatusUnsupportedMediaType, kind: invalidRequest, code: "unsupported_content_encoding", param: "Content-Encoding",
				message: fmt.Sprintf("Content-Encoding: %s is not taken; send the body as it is", shown(encoding)),
			}
		}
	}
	return nil
}

// An upload is a file on its way in.
type upload struct {
	server *Server
	file   jobs.File
	begun  bool // it is in the database, and nobody sees it yet
	fields map[string]string
}

func (u *upload) readParts(ctx context.Context, form *multipart.Reader) error {
	for range maxFields {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return badForm(err)
		}
		if err := u.readPart(ctx, part); err != nil {
			return err
		}
	}
	return invalid("", "invalid_multipart", "more than %d fields", maxFields)
}

// badForm tells a form that is not one from a body that stopped coming.
func badForm(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) { // within its length, too
		return errCut
	}
	if told := asAPIError(err); told != errInternal {
		return err
	}
	return invalid("", "invalid_multipart", "the body is not multipart/form-data, or it was cut off: %s", shown(err.Error()))
}

func (u *upload) readPart(ctx context.Context, part *multipart.Part) error {
	name := part.FormName()
	if name == "file" {
		if u.begun {
			return invalid("file", "invalid_multipart", "file: is there twice")
		}
		return u.readFile(ctx, part)
	}
	switch name {
	case "purpose", "expires_after[anchor]", "expires_after[seconds]":
	default:
		return invalid(shown(name), "unknown_parameter", "%s: unknown field; there are file, purpose, expires_after[anchor] and expires_after[seconds]", shown(name))
	}
	value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
	if err != nil {
		return badForm(err)
	}
	if len(value) > maxFieldBytes {
		return invalid(name, "invalid_value", "%s: more than %d bytes", name, maxFieldBytes)
	}
	if _, twice := u.fields[name]; twice {
		return invalid(name, "invalid_multipart", "%s: is there twice", name)
	}
	u.fields[name] = string(value)
	return nil
}

func (u *upload) readFile(ctx context.Context, part *multipart.Part) error {
	u.file.Name = cleanName(part.FileName())
	u.file.Purpose = jobs.PurposeBatch
	if err := u.server.config.Store.NewFile(ctx, u.file); err != nil {
		return err
	}
	u.begun = true
	piece := make([]byte, store.PieceBytes)
	for {
		n, err := io.ReadFull(part, piece)
		if n > 0 {
			if u.file.Bytes+int64(n) > u.server.config.MaxFileBytes {
				return tooLarge(u.server.config.MaxFileBytes)
			}
			if err := u.server.config.Store.AppendPiece(ctx, u.file.ID, u.file.Bytes, piece[:n]); err != nil {
				return err
			}
			u.file.Bytes += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && partEnded(part):
			return nil
		case err != nil:
			return badForm(err)
		}
	}
}

func tooLarge(most int64) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, kind: invalidRequest, code: "file_too_large", param: "file",
		message: fmt.Sprintf("file: larger than %d bytes; split it into several", most),
	}
}

// partEnded tells the end of a part that is shorter than a piece from that of a body
// that was cut off: io.ReadFull has one word for both.
func partEnded(part *multipart.Part) bool {
	_, err := part.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// cleanName is what a file is called, without a path or anything that cannot be shown.
func cleanName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	for len(name) > maxFilename {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	switch name {
	case "", ".", "..", "/":
		return "file"
	}
	return name
}

// finish checks what was sent beside the file, and has everybody see it.
func (u *upload) finish(ctx context.Context) (jobs.File, error) {
	switch purpose, given := u.fields["purpose"]; {
	case !u.begun:
		return u.file, invalid("file", "missing_required_parameter", "file: is missing")
	case !given:
		return u.file, invalid("purpose", "missing_required_parameter", "purpose: is missing; it must be %q", jobs.PurposeBatch)
	case purpose != jobs.PurposeBatch:
		return u.file, invalid("purpose", "invalid_value", "purpose: %s is not taken; it must be %q", shown(purpose), jobs.PurposeBatch)
	case u.file.Bytes == 0:
		return u.file, invalid("file", "empty_file", "file: is empty; it must have one request on each line")
	}
	lives, err := u.lives()
	if err != nil {
		return u.file, err
	}
	if lives > 0 {
		u.file.ExpiresAt = u.server.config.Now().Add(lives)
	}
	return u.server.config.Store.FinishFile(ctx, u.file)
}

func (u *upload) lives() (time.Duration, error) {
	anchor, anchored := u.fields["expires_after[anchor]"]
	text, limited := u.fields["expires_after[seconds]"]
	switch {
	case !anchored && !limited:
		return u.server.config.FilesLive, nil
	case anchor != "created_at":
		return 0, invalid("expires_after.anchor", "invalid_value", "expires_after[anchor]: must be created_at")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, invalid("expires_after.seconds", "invalid_value", "expires_after[seconds]: must be a whole number")
	}
	return expiry(n, "expires_after.seconds")
}

// expiry checks how long something is to be kept.
func expiry(n int64, param string) (time.Duration, error) {
	if n < int64(leastExpiry.Seconds()) || n > int64(mostExpiry.Seconds()) {
		return 0, invalid(param, "invalid_value", "%s: %d is not from %d to %d seconds", param, n, int64(leastExpiry.Seconds()), int64(mostExpiry.Seconds()))
	}
	return time.Duration(n) * time.Second, nil
}

// drop gives up what was written, also when who sent it is gone.
func (u *upload) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropWithin)
	defer cancel()
	if err := u.server.config.Store.DropFile(ctx, u.file.ID); err != nil {
		u.server.config.Log.Warn().Err(err).Msg("what there is of a file that was cut off stays for a while")
	}
}

// attachment is how a file is saved, under its name.
func attachment(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
