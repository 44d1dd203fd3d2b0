package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Reading is what came of Reading a configuration.
type Reading struct {
	Config   *Config // nil: err says why
	Warnings []Warning
	Err      error
	Files    Contents // that it was read from, also where it was refused
}

// Read is Load, and says what it read.
func Read(path string, env func(string) (string, bool), known Known) Reading {
	if path == "" {
		read := newReader("the environment", env).parse([]byte("postgres: ${DATABASE_URL}\nnats: ${NATS_URL}\n"), known)
		if read.Config != nil {
			read.Config.File = ""
		}
		return read
	}
	r := newReader(path, env)
	data, err := r.readFile(path, MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; `tidegate init %s` writes one", err, filepath.Clean(path))
	}
	if err != nil {
		return Reading{Err: fmt.Errorf("reading the configuration: %w", err), Files: r.files}
	}
	return r.parse(data, known)
}

// parse reads and checks a text, and the files that it names.
func (r *reader) parse(data []byte, known Known) Reading {
	c := &Config{File: r.file}
	r.keyless = known.Keyless
	r.readText(data, c)
	r.check(c, known)
	if err := r.err(); err != nil {
		return Reading{Warnings: r.warnings, Err: err, Files: r.files}
	}
	return Reading{Config: c, Warnings: r.warnings, Files: r.files}
}

// readFile reads a file of which the configuration is made: one that changes makes
// another one, so every file that it names is to be read by this. It is read once,
// and says the same to all who name it. What is no file, but a pipe, is not looked
// at again.
func (r *reader) readFile(path string, most int64) ([]byte, error) {
	if text, read := r.texts[path]; read {
		return text, nil
	}
	text, err := ReadSmall(path, most)
	if info, statErr := os.Stat(path); statErr != nil || info.Mode().IsRegular() {
		r.files[path] = contentOf(text, err, most)
	}
	if err == nil {
		r.texts[path] = text
	}
	return text, err
}

// missing notes a file that cannot be read: it may come to be one.
func (r *reader) missing(path string, most int64) {
	r.files[path] = contentOf(nil, fs.ErrNotExist, most)
}

// A content is what was in a file, as a sum: it may be a key.
type content struct {
	most int64             // bytes that it may hold; a file with more cannot be read
	sum  [sha256.Size]byte // zero: it could not be read
}

// Contents are those of files, by path.
type Contents map[string]content

func contentOf(text []byte, err error, most int64) content {
	if err != nil {
		return content{most: most}
	}
	return content{most, sha256.Sum256(text)}
}

// Agree tells whether what is in both is the same.
func (c Contents) Agree(other Contents) bool {
	for path, content := range other {
		if mine, read := c[path]; read && mine != content {
			return false
		}
	}
	return true
}

// Now is what is in the same files now.
func (c Contents) Now() Contents {
	now := make(Contents, len(c))
	for path, then := range c {
		now[path] = content{most: then.most}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			text, err := ReadSmall(path, then.most)
			now[path] = contentOf(text, err, then.most)
		}
	}
	return now
}
