package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A reading is what came of reading a configuration.
type reading struct {
	config   *Config // nil: err says why
	warnings []Warning
	err      error
	files    contents // that it was read from, also where it was refused
}

// readConfig is LoadConfig, and says what it read.
func readConfig(path string, env func(string) (string, bool), known Known) reading {
	if path == "" {
		read := newConfigReader("the environment", env).parse([]byte("postgres: ${DATABASE_URL}\nnats: ${NATS_URL}\n"), known)
		if read.config != nil {
			read.config.File = ""
		}
		return read
	}
	r := newConfigReader(path, env)
	data, err := r.readFile(path, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; `tidegate init %s` writes one", err, filepath.Clean(path))
	}
	if err != nil {
		return reading{err: fmt.Errorf("reading the configuration: %w", err), files: r.files}
	}
	return r.parse(data, known)
}

// parse reads and checks a text, and the files that it names.
func (r *configReader) parse(data []byte, known Known) reading {
	c := &Config{File: r.file}
	r.readText(data, c)
	r.check(c, known)
	if err := r.err(); err != nil {
		return reading{warnings: r.warnings, err: err, files: r.files}
	}
	return reading{config: c, warnings: r.warnings, files: r.files}
}

// readFile reads a file of which the configuration is made: one that changes makes
// another one. What is no file, but a pipe, says what it says once.
func (r *configReader) readFile(path string, most int64) ([]byte, error) {
	text, err := readSmall(path, most)
	if info, statErr := os.Stat(path); statErr != nil || info.Mode().IsRegular() {
		r.files[path] = contentOf(text, err)
	}
	return text, err
}

// A content is what was in a file, as a sum: it may be a key. Zero: the file could
// not be read.
type content [sha256.Size]byte

// contents are those of files, by path.
type contents map[string]content

func contentOf(text []byte, err error) content {
	if err != nil {
		return content{}
	}
	return sha256.Sum256(text)
}

// now is what is in the same files now.
func (c contents) now() contents {
	now := make(contents, len(c))
	for path := range c {
		now[path] = content{}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			now[path] = contentOf(readSmall(path, maxConfigBytes))
		}
	}
	return now
}
