package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"unicode/utf8"

	"tidegate/jobs"
)

// MaxDocumentBytes bounds one document of a folder: 1 MiB, which is more than
// the context window of most models.
const MaxDocumentBytes = 1 << 20

// A Document is a text to make a request of.
type Document struct {
	Name string // unique in its source: an import path, or a path below the folder with slashes
	Text string // UTF-8, never blank
}

// A SkippedDocument is a file of a folder that gives no document. It is a note,
// not a failure: reading goes on behind it.
type SkippedDocument struct {
	Name   string
	Reason string
}

// Error writes the note.
func (s *SkippedDocument) Error() string { return s.Name + ": skipped: " + s.Reason }

// FolderDocuments reads every text file below dir, in the order of their paths.
// Files and folders whose names begin with a dot are left out; a file that is
// binary, empty, too large, not readable, or whose path cannot be a custom_id is
// a *SkippedDocument. Links are
// followed to files below dir and nowhere else. Any other error is the last one;
// a folder without a document is such an error.
func FolderDocuments(dir string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			yield(Document{}, fmt.Errorf("reading documents: %w", err))
			return
		}
		defer func() { _ = root.Close() }() // nothing was written
		found := 0
		err = fs.WalkDir(root.FS(), ".", func(path string, file fs.DirEntry, err error) error {
			document, err := visit(root, path, file, err)
			if errors.Is(err, errNoDocument) {
				return nil
			}
			if err == nil {
				found++
			}
			var skipped *SkippedDocument
			if goOn := err == nil || errors.As(err, &skipped); !goOn {
				return err // a failure, or fs.SkipDir
			}
			if !yield(document, err) {
				return errStopped
			}
			return nil
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(Document{}, fmt.Errorf("reading documents of %s: %w", dir, err))
		case found == 0:
			yield(Document{}, fmt.Errorf("reading documents: there is no text file in %s", dir))
		}
	}
}

var (
	errNoDocument = errors.New("nothing to see here")
	errStopped    = errors.New("the reader has enough")
)

// visit makes a document of what a walk meets.
func visit(root *os.Root, path string, file fs.DirEntry, err error) (Document, error) {
	switch {
	case err != nil && path == ".":
		return Document{}, err
	case err != nil:
		return Document{}, &SkippedDocument{path, "it cannot be read"}
	case path == ".":
		return Document{}, errNoDocument
	case strings.HasPrefix(file.Name(), ".") && file.IsDir():
		return Document{}, fs.SkipDir
	case strings.HasPrefix(file.Name(), ".") || file.IsDir():
		return Document{}, errNoDocument
	}
	reason := oddName(path)
	var text string
	if reason == "" {
		text, reason = readDocument(root, path)
	}
	if reason != "" {
		return Document{}, &SkippedDocument{path, reason}
	}
	return Document{Name: path, Text: text}, nil
}

// oddName says why a path cannot name a request, as its document's does.
func oddName(path string) string {
	switch {
	case !utf8.ValidString(path):
		return "its name is not UTF-8: rename it"
	case len(path) > jobs.MaxCustomID:
		return fmt.Sprintf("its path has %d bytes, at most %d: move it up or rename it", len(path), jobs.MaxCustomID)
	default:
		return ""
	}
}

// readDocument reads one file, or says why it is no document.
func readDocument(root *os.Root, path string) (text, reason string) {
	info, err := root.Stat(path)
	switch {
	case err != nil:
		return "", "it cannot be read, or is a link that leaves the folder"
	case !info.Mode().IsRegular():
		return "", "it is not a file"
	case info.Size() > MaxDocumentBytes:
		return "", fmt.Sprintf("it has %d bytes, at most %d: split it", info.Size(), MaxDocumentBytes)
	}
	raw, err := root.ReadFile(path)
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	switch {
	case err != nil:
		return "", "it cannot be read"
	case !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0:
		return "", "it is not UTF-8 text"
	case len(bytes.TrimSpace(raw)) == 0:
		return "", "it is empty"
	}
	return string(raw), ""
}

// RequestBody makes the chat-completions body that puts prompt and document to
// model. A maxTokens of zero leaves the length of the answer to the model.
func RequestBody(model, prompt string, doc Document, maxTokens int) json.RawMessage {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body := struct {
		Model     string    `json:"model"`
		Messages  []message `json:"messages"`
		MaxTokens int       `json:"max_tokens,omitempty"`
	}{model, []message{{"user", prompt + "\n\n" + doc.Text}}, maxTokens}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // prompts are billed by what they hold
	_ = enc.Encode(body)     // text and numbers always marshal
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
