package integration

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tree is the Go files of a house and its folders at the top.
type tree struct {
	sources []*source
	folders []string
}

// A source is one Go file.
type source struct {
	path  string // from the top
	room  string // the folder that it lies in: its package
	test  bool
	lines int
	set   *token.FileSet
	*ast.File
}

// A rule says what in a house breaks it.
type rule func(*tree) []string

var rules = map[string]rule{
	"folders at the top are known":          foldersAreKnown,
	"rooms are drawn":                       roomsAreDrawn,
	"packages are documented":               packagesAreDocumented,
	"imports point down":                    everyFile(importsPointDown),
	"libraries stay at home":                everyFile(librariesStayAtHome),
	"guests go no further":                  everyFile(guestsGoNoFurther),
	"files are short":                       everyFile(filesAreShort),
	"functions are short":                   everyFile(functionsAreShort),
	"interfaces are small":                  everyFile(interfacesAreSmall),
	"nothing runs by being imported":        everyFile(noInit),
	"tests await facts and are not skipped": everyFile(testsAwaitFacts),
}

const module = "tidegate"

// free tells whether a room may import what it likes: what tests the whole
// needs the whole.
func free(room string) bool { return room == "integration" || strings.HasPrefix(room, "integration/") }

// readTree parses every Go file of fsys but those of testdata and of folders
// that the go command passes over too.
func readTree(t *testing.T, fsys fs.FS) *tree {
	t.Helper()
	house := &tree{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if base[0] == '.' || base[0] == '_' || base == "testdata" {
				return fs.SkipDir
			}
			if !strings.Contains(name, "/") {
				house.folders = append(house.folders, name)
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		file, err := readSource(fsys, name)
		house.sources = append(house.sources, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return house
}

func readSource(fsys fs.FS, name string) (*source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{
		path:  name,
		room:  path.Dir(name),
		test:  strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		set:   set,
		File:  file,
	}, err
}

func (s *source) line(pos token.Pos) int { return s.set.Position(pos).Line }

// at writes a finding: where, and what is wrong there.
func (s *source) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", s.path, s.line(pos)) + fmt.Sprintf(format, args...)
}

// imports are what the file imports, each with its place.
func (s *source) imports(visit func(library string, spec *ast.ImportSpec)) {
	for _, spec := range s.Imports {
		if library, err := strconv.Unquote(spec.Path.Value); err == nil {
			visit(library, spec)
		}
	}
}

func everyFile(check func(*source) []string) rule {
	return func(house *tree) (found []string) {
		for _, file := range house.sources {
			found = append(found, check(file)...)
		}
		return found
	}
}

func foldersAreKnown(house *tree) (found []string) {
	for _, folder := range house.folders {
		if !slices.Contains(folders, folder) {
			found = append(found, folder+"/: no such folder in the drawing of the house")
		}
	}
	return found
}

// rooms are the packages that are more than tests, each with its files that
// are not.
func (house *tree) rooms() map[string][]*source {
	rooms := map[string][]*source{}
	for _, file := range house.sources {
		if !file.test {
			rooms[file.room] = append(rooms[file.room], file)
		}
	}
	return rooms
}

func roomsAreDrawn(house *tree) (found []string) {
	for room := range house.rooms() {
		if _, drawn := floors[room]; !drawn && !free(room) {
			found = append(found, room+": a package without a floor: draw it in floors")
		}
	}
	return found
}

// packagesAreDocumented wants the comment where everybody looks for it, in
// doc.go. A program may have it in main.go.
func packagesAreDocumented(house *tree) (found []string) {
	for room, files := range house.rooms() {
		documented := slices.ContainsFunc(files, func(file *source) bool {
			base := path.Base(file.path)
			return file.Doc != nil && (base == "doc.go" || base == "main.go" && file.Name.Name == "main")
		})
		if !documented {
			found = append(found, room+": no package comment in doc.go")
		}
	}
	return found
}

func importsPointDown(file *source) (found []string) {
	if file.test || free(file.room) {
		return nil
	}
	file.imports(func(library string, spec *ast.ImportSpec) {
		room, ours := strings.CutPrefix(library, module+"/")
		if !ours {
			return
		}
		floor, drawn := floors[room]
		if own := floors[file.room]; !drawn || floor >= own {
			found = append(found, file.at(spec.Pos(), "%s (floor %d) imports %s, which is not below it", file.room, own, room))
		}
	})
	return found
}

func librariesStayAtHome(file *source) (found []string) {
	if file.test || free(file.room) {
		return nil
	}
	file.imports(func(library string, spec *ast.ImportSpec) {
		host, _, _ := strings.Cut(library, "/")
		if standard := !strings.Contains(host, "."); standard {
			return
		}
		if at := homesOf(library); !slices.Contains(at, file.room) {
			found = append(found, file.at(spec.Pos(), "%s imports %s, whose homes are %v", file.room, library, at))
		}
	})
	return found
}

func homesOf(library string) []string {
	for prefix, at := range homes {
		if library == prefix || strings.HasPrefix(library, prefix+"/") {
			return at
		}
	}
	return nil
}

func guestsGoNoFurther(file *source) (found []string) {
	if file.test {
		return nil
	}
	file.imports(func(library string, spec *ast.ImportSpec) {
		names, guest := guests[file.room][library]
		if !guest {
			return
		}
		ast.Inspect(file.File, func(node ast.Node) bool {
			name, ok := node.(*ast.SelectorExpr)
			if ok && isIdent(name.X, localName(library, spec)) && !slices.Contains(names, name.Sel.Name) {
				found = append(found, file.at(name.Pos(), "%s uses %s of %s, of which it may use %v", file.room, name.Sel.Name, library, names))
			}
			return true
		})
	})
	return found
}

// localName is what the file calls a library: its own word, or the last part
// of the path that is no version.
func localName(library string, spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	base := path.Base(library)
	if _, err := strconv.Atoi(strings.TrimPrefix(base, "v")); err == nil {
		base = path.Base(path.Dir(library))
	}
	return base
}

func isIdent(expr ast.Expr, names ...string) bool {
	ident, ok := expr.(*ast.Ident)
	return ok && slices.Contains(names, ident.Name)
}

func filesAreShort(file *source) []string {
	if file.test || file.lines <= maxFileLines {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines, at most %d", file.path, file.lines, maxFileLines)}
}

// functionsAreShort counts from "func" to the closing brace. It looks at
// function literals as well, so that none hides in a variable.
func functionsAreShort(file *source) (found []string) {
	if file.test {
		return nil
	}
	ast.Inspect(file.File, func(node ast.Node) bool {
		name := "a function literal"
		switch function := node.(type) {
		case *ast.FuncDecl:
			name = function.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		if lines := file.line(node.End()) - file.line(node.Pos()) + 1; lines > maxFunctionLines {
			found = append(found, file.at(node.Pos(), "%s has %d lines, at most %d", name, lines, maxFunctionLines))
		}
		return true
	})
	return found
}

// interfacesAreSmall counts methods; what an interface embeds counts as one.
func interfacesAreSmall(file *source) (found []string) {
	if file.test {
		return nil
	}
	ast.Inspect(file.File, func(node ast.Node) bool {
		contract, ok := node.(*ast.InterfaceType)
		if ok && contract.Methods.NumFields() > maxInterfaceMethods {
			found = append(found, file.at(node.Pos(), "an interface of %d methods, at most %d", contract.Methods.NumFields(), maxInterfaceMethods))
		}
		return true
	})
	return found
}

func noInit(file *source) (found []string) {
	for _, decl := range file.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
			found = append(found, file.at(function.Pos(), "an init function: start what is needed where it is needed"))
		}
	}
	return found
}

// testsAwaitFacts rejects a wait for a time where a test should wait for a
// fact, and a test that leaves itself out. In a synctest bubble a sleep moves
// the clock and takes no time. Await is how the others wait.
func testsAwaitFacts(file *source) (found []string) {
	if !file.test && !free(file.room) {
		return nil
	}
	ast.Inspect(file.File, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			return file.room != "integration/fixture" || node.Name.Name != "Await"
		case *ast.SelectorExpr:
			if isIdent(node.X, "time") && node.Sel.Name == "Sleep" && !inBubble(file, node) {
				found = append(found, file.at(node.Pos(), "a sleep in a test: await a fact with a deadline"))
			}
			if isIdent(node.X, "t", "b", "f", "tb") && strings.HasPrefix(node.Sel.Name, "Skip") && node.Sel.Name != "Skipped" {
				found = append(found, file.at(node.Pos(), "a test that is skipped proves nothing"))
			}
		}
		return true
	})
	return found
}

// inBubble tells whether the place lies within a call of synctest.Test.
func inBubble(file *source, place ast.Node) (within bool) {
	ast.Inspect(file.File, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return !within
		}
		if test, ok := call.Fun.(*ast.SelectorExpr); ok && isIdent(test.X, "synctest") {
			within = within || call.Pos() <= place.Pos() && place.End() <= call.End()
		}
		return !within
	})
	return within
}
