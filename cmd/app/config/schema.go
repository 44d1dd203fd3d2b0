package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/ast"

	"tidegate/jobs"
)

// A schemaText is a JSON schema, as JSON. A file may write it as a mapping of its own,
// too.
type schemaText string

const (
	// maxSchemaDepth bounds how deep a schema nests: anchors can make a ring.
	maxSchemaDepth = 100
	// maxSchemaNodes bounds what a schema holds: anchors of anchors grow without end.
	maxSchemaNodes = jobs.MaxExpectBytes
)

// readSchema reads a schema that is written as a mapping.
func (r *reader) readSchema(node ast.Node, into reflect.Value, field string) {
	s := schemaReader{config: r, left: maxSchemaNodes}
	value, err := s.value(node, 0)
	if err != nil {
		r.problem(field, "%v", err)
		return
	}
	text, err := json.Marshal(value)
	if err != nil { // a number that is too large, say
		r.problem(field, "cannot be written as JSON: %v", err)
		return
	}
	at := r.places[field]
	at.hidden = at.hidden || s.hidden
	r.places[field] = at
	into.SetString(string(text))
}

// A schemaReader makes of YAML what encoding/json writes.
type schemaReader struct {
	config *reader
	left   int  // nodes that it may have
	hidden bool // something of the environment is in it
}

func (s *schemaReader) value(node ast.Node, depth int) (any, error) {
	if s.left--; s.left < 0 || depth > maxSchemaDepth {
		return nil, errors.New("is too large: write it as JSON, in a text")
	}
	node = s.config.resolve(node)
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case ast.MapNode:
		return s.mapping(node, depth)
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, item := range n.Values {
			value, err := s.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case *ast.IntegerNode:
		return n.Value, nil
	case *ast.FloatNode:
		return n.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return s.text(n.Value)
	case *ast.LiteralNode:
		return s.text(n.Value.Value)
	default:
		return nil, fmt.Errorf("holds %s, which JSON has no word for", node.GetToken().Value)
	}
}

func (s *schemaReader) mapping(node ast.Node, depth int) (any, error) {
	entries, ok := s.config.entries(node, 0)
	if !ok {
		return nil, errors.New("merges with << what is no mapping: write it as JSON, in a text")
	}
	object := make(map[string]any, len(entries))
	for _, entry := range entries {
		value, err := s.value(entry.value, depth+1)
		if err != nil {
			return nil, err
		}
		object[entry.key] = value
	}
	return object, nil
}

// text fills in the variables of a text, as everywhere in the file.
func (s *schemaReader) text(written string) (any, error) {
	filled, err := expandEnv(written, s.config.env)
	if err != nil {
		return nil, err
	}
	if len(filled.unset) > 0 {
		return nil, fmt.Errorf("the variable %s is not set: set it, or give a default as in ${%s:-…}", filled.unset[0], filled.unset[0])
	}
	s.hidden = s.hidden || filled.used
	return filled.text, nil
}
