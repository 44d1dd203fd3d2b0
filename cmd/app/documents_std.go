package app

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

const (
	// maxStandardText bounds a document of the standard library, in bytes.
	maxStandardText = 6000
	// enoughOverview is the length, in bytes, from which the comment of a
	// package is prose enough by itself.
	enoughOverview = 1500
)

// StandardLibrary reads the documentation of every importable package of the Go
// standard library that has any: about 175 documents of real prose, by import
// path, on every machine that can build this. A short overview is followed by
// the comments on what the package exports. It needs the `go` command, to say
// where the sources are.
func StandardLibrary(ctx context.Context) ([]Document, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the Go sources with `go env GOROOT`: %w; name a folder of texts with --documents", err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	paths, err := standardPackages(src)
	if err != nil {
		return nil, fmt.Errorf("reading the Go sources: %w; name a folder of texts with --documents", err)
	}
	documents := make([]Document, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range paths {
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				documents[i], err = standardDocument(src, path)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("reading the Go sources: %w", err)
	}
	documents = slices.DeleteFunc(documents, func(d Document) bool { return d.Text == "" })
	if len(documents) == 0 {
		return nil, fmt.Errorf("reading the Go sources: %s holds none; name a folder of texts with --documents", src)
	}
	return documents, nil
}

// standardPackages lists the folders below src that a program may import, by
// import path.
func standardPackages(src string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(src, func(dir string, file fs.DirEntry, err error) error {
		if err != nil || !file.IsDir() || dir == src {
			return err
		}
		path, err := filepath.Rel(src, dir)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		switch name := file.Name(); {
		case path == "cmd", path == "builtin", name == "internal", name == "vendor", name == "testdata",
			strings.HasPrefix(name, "_"), strings.HasPrefix(name, "."):
			return fs.SkipDir
		}
		paths = append(paths, path)
		return nil
	})
	slices.Sort(paths)
	return paths, err
}

// standardDocument reads one package; a folder without a documented package
// gives a document without text.
func standardDocument(src, path string) (Document, error) {
	dir := filepath.Join(src, filepath.FromSlash(path))
	files, err := sourceFiles(dir)
	if err != nil {
		return Document{}, err
	}
	// The overview mostly stands before a package clause: parsing only so far
	// takes a tenth of the time.
	var overview string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil || file.Name.Name == "main" {
			return Document{}, err
		}
		if comment := file.Doc.Text(); comment != "" {
			overview += comment + "\n"
		}
	}
	if overview == "" {
		return Document{}, nil
	}
	text := plainText(overview)
	if len(text) < enoughOverview {
		exported, err := exportedText(files, path)
		if err != nil {
			return Document{}, err
		}
		text += exported
	}
	return Document{Name: path, Text: cutText(text, maxStandardText)}, nil
}

// sourceFiles lists the files of a package that this machine would build.
func sourceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		built, err := build.Default.MatchFile(dir, name)
		if err != nil {
			return nil, err
		}
		if built {
			files = append(files, filepath.Join(dir, name))
		}
	}
	return files, nil
}

// exportedText is what a package says of its exported types and functions.
func exportedText(files []string, path string) (string, error) {
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		parsed = append(parsed, file)
	}
	pkg, err := doc.NewFromFiles(set, parsed, path)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	write := func(comment string) {
		if comment != "" && text.Len() < maxStandardText {
			text.WriteString("\n" + plainText(comment))
		}
	}
	funcs := func(list []*doc.Func) {
		for _, f := range list {
			write(f.Doc)
		}
	}
	for _, t := range pkg.Types {
		write(t.Doc)
		funcs(t.Funcs)
		funcs(t.Methods)
	}
	funcs(pkg.Funcs)
	for _, v := range slices.Concat(pkg.Vars, pkg.Consts) {
		write(v.Doc)
	}
	return text.String(), nil
}

// plainText renders a doc comment for people: links without brackets, code
// indented.
func plainText(text string) string {
	parse := comment.Parser{LookupSym: func(_, _ string) bool { return true }}
	write := comment.Printer{TextWidth: 80}
	return string(bytes.TrimRight(write.Text(parse.Parse(text)), "\n")) + "\n"
}

// cutText keeps at most limit bytes, and ends at a word where it can.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	text = text[:limit]
	if space := strings.LastIndexAny(text, " \n"); space > limit/2 {
		text = text[:space]
	}
	return strings.TrimRight(text, " \n") + "\n"
}
