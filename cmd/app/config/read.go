package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tidegate/jobs"
)

// mayBeUnset are the fields that may be nothing but a variable that is not set:
// `dev` brings its own Postgres and NATS.
var mayBeUnset = map[string]bool{"postgres": true, "nats": true}

// A reader turns the nodes of a YAML file into a Config. It goes on after
// a mistake, so that one run names all of them; a decoder stops at the first.
type reader struct {
	file     string
	env      func(string) (string, bool)
	anchors  map[string]ast.Node
	places   map[string]place // by field, as in "targets[1].name"
	broken   map[string]bool  // fields with a problem
	problems []Problem
	warnings []Warning
	files    Contents          // that were read
	texts    map[string][]byte // of them
	keyless  bool              // see Known
}

// A place is where a field stands.
type place struct {
	line, column int
	hidden       bool // its value comes from the environment, so no message shows it
}

func newReader(file string, env func(string) (string, bool)) *reader {
	return &reader{
		file: file, env: env, anchors: map[string]ast.Node{},
		places: map[string]place{}, broken: map[string]bool{}, files: Contents{}, texts: map[string][]byte{},
	}
}

// given tells whether the file says anything of the field.
func (r *reader) given(field string) bool { _, ok := r.places[field]; return ok }

func (r *reader) readText(data []byte, c *Config) {
	c.setDefaults()
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0)
	if err != nil {
		r.syntax(err)
		return
	}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			r.problems = append(r.problems, Problem{
				File: r.file, Line: doc.Body.GetToken().Position.Line, Column: 1,
				Text: "a second YAML document: everything belongs into one, remove the ---",
			})
			return
		}
	}
	if len(file.Docs) > 0 && file.Docs[0].Body != nil {
		ast.Walk(anchorVisitor{r.anchors}, file.Docs[0].Body)
		r.read(file.Docs[0].Body, reflect.ValueOf(c).Elem(), "")
	}
}

// syntax notes where the text stops being YAML. The parser's own rendering would
// quote the lines around it, keys and all.
func (r *reader) syntax(err error) {
	p := Problem{File: r.file, Text: "this is not YAML: see the line and those above it"}
	var at yaml.Error
	if errors.As(err, &at) {
		p.Text = "this is not YAML: " + at.GetMessage()
		if !strings.HasPrefix(at.GetMessage(), "mapping key") { // else it stands twice, and says so
			p.Text += `; values with any of {}[]#&*!|>%@: or ${…} inside {…} need quotes: "…"`
		}
		if token := at.GetToken(); token != nil && token.Position != nil {
			p.Line, p.Column = token.Position.Line, token.Position.Column
		}
	}
	r.problems = append(r.problems, p)
	r.broken[""] = true
}

type anchorVisitor struct{ anchors map[string]ast.Node }

func (v anchorVisitor) Visit(node ast.Node) ast.Visitor {
	if anchor, ok := node.(*ast.AnchorNode); ok {
		v.anchors[anchor.Name.GetToken().Value] = anchor.Value
	}
	return v
}

// read fills in one value; field says where it stands.
func (r *reader) read(node ast.Node, into reflect.Value, field string) {
	node = r.resolve(node)
	if node == nil || node.Type() == ast.NullType {
		return
	}
	if _, mapping := node.(ast.MapNode); mapping && into.Type() == reflect.TypeFor[schemaText]() {
		r.readSchema(node, into, field)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.read(node, into.Elem(), field)
	case reflect.Struct:
		r.readMapping(node, into, field)
	case reflect.Slice:
		r.readList(node, into, field)
	case reflect.Map:
		r.readNamed(node, into, field)
	default:
		r.readScalar(node, into, field)
	}
}

func (r *reader) readMapping(node ast.Node, into reflect.Value, field string) {
	entries, ok := r.entries(node, 0)
	if !ok {
		r.problem(field, "must be a mapping of keys to values, not %s", kindOf(node))
		return
	}
	fields := FieldsOf(into.Type())
	for _, entry := range entries {
		path := strings.TrimPrefix(field+"."+entry.key, ".")
		r.places[path] = entry.place
		index, known := fields.Index[entry.key]
		if !known {
			r.problem(path, "unknown key; %s", jobs.DidYouMean(entry.key, fields.Names))
			continue
		}
		r.read(entry.value, into.Field(index), path)
	}
}

func (r *reader) readList(node ast.Node, into reflect.Value, field string) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.problem(field, "must be a list, as in [a, b], not %s", kindOf(node))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		path := fmt.Sprintf("%s[%d]", field, i)
		r.places[path] = placeOf(item)
		element := into.Index(i)
		if d, ok := element.Addr().Interface().(defaulter); ok {
			d.setDefaults()
		}
		r.read(item, element, path)
	}
}

// readNamed fills in values under names that the file chooses.
func (r *reader) readNamed(node ast.Node, into reflect.Value, field string) {
	entries, ok := r.entries(node, 0)
	if !ok {
		r.problem(field, "must be a mapping of names to values, not %s", kindOf(node))
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for _, entry := range entries {
		path := field + "." + entry.key
		r.places[path] = entry.place
		value := reflect.New(into.Type().Elem()).Elem()
		r.read(entry.value, value, path)
		into.SetMapIndex(reflect.ValueOf(entry.key), value)
	}
}

// Fields are the keys that a part of the file knows.
type Fields struct {
	Names []string // in the order of the type
	Index map[string]int
}

func yamlFieldsOf[T any]() []string { return FieldsOf(reflect.TypeFor[T]()).Names }

// FieldsOf are the keys of a struct, by its tags.
func FieldsOf(t reflect.Type) Fields {
	fields := Fields{Index: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "-" && name != "" {
			fields.Names = append(fields.Names, name)
			fields.Index[name] = i
		}
	}
	return fields
}
