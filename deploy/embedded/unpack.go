package embedded

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Of the tarball, this part is PostgreSQL. npm's tarballs hold plain files only;
// the links that the libraries need are listed in a file, and made afterwards.
const (
	nativePart = "package/native/"
	linksFile  = "pg-symlinks.json"
)

// unpack writes the native part of a tarball into a folder, and nothing outside
// of it, whatever the names say.
func unpack(tarball, dir string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return fmt.Errorf("opening the tarball: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening the folder to unpack in: %w", err)
	}
	defer root.Close() //nolint:errcheck // it is a folder
	plain, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("reading the tarball: %w", err)
	}
	if err := unpackFiles(tar.NewReader(plain), root); err != nil {
		return err
	}
	return makeLinks(root)
}

func unpackFiles(archive *tar.Reader, root *os.Root) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the tarball: %w", err)
		}
		name, ours := strings.CutPrefix(header.Name, nativePart)
		if !ours || header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("unpacking %s: it is neither a file nor a folder", header.Name)
		}
		if err := unpackFile(archive, root, name, header.FileInfo().Mode()); err != nil {
			return fmt.Errorf("unpacking %s: %w", header.Name, err)
		}
	}
}

func unpackFile(content io.Reader, root *os.Root, name string, mode fs.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm()&0o755|0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// makeLinks makes the links that the package lists, each beside what it names.
func makeLinks(root *os.Root) error {
	text, err := root.ReadFile(linksFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of links: %w", err)
	}
	var links []struct {
		Source string `json:"source"` // what the link names
		Target string `json:"target"` // where the link is
	}
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("reading the list of links: %w", err)
	}
	for _, link := range links {
		source, target := strings.TrimPrefix(link.Source, "native/"), strings.TrimPrefix(link.Target, "native/")
		if !filepath.IsLocal(source) || !filepath.IsLocal(target) || path.Dir(source) != path.Dir(target) {
			return fmt.Errorf("linking %s to %s: not in one folder of the package", link.Target, link.Source)
		}
		if err := root.Symlink(path.Base(source), target); err != nil {
			return fmt.Errorf("linking %s to %s: %w", link.Target, link.Source, err)
		}
	}
	return nil
}
