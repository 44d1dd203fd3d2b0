package config

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tidegate/jobs"
)

// maxAliases bounds how deep anchors may point to anchors: a file can make a
// ring of them.
const maxAliases = 8

// An entry is one key of a mapping, with its value.
type entry struct {
	key   string
	place place
	value ast.Node
}

// entries lists a mapping's keys in order; those that it merges with << come
// last and give way to its own. It reports false for what is no mapping.
func (r *reader) entries(node ast.Node, depth int) ([]entry, bool) {
	mapping, ok := r.resolve(node).(ast.MapNode)
	if !ok || depth > maxAliases {
		return nil, false
	}
	var own, merged []entry
	has := map[string]bool{}
	for pairs := mapping.MapRange(); pairs.Next(); {
		key := pairs.Key()
		if !key.IsMergeKey() {
			name := keyText(key)
			has[name] = true
			own = append(own, entry{name, placeOf(key), pairs.Value()})
			continue
		}
		from := []ast.Node{pairs.Value()}
		if list, ok := r.resolve(pairs.Value()).(*ast.SequenceNode); ok {
			from = list.Values
		}
		for _, source := range from {
			more, ok := r.entries(source, depth+1)
			if !ok {
				return nil, false
			}
			merged = append(merged, more...)
		}
	}
	for _, e := range merged {
		if !has[e.key] {
			has[e.key] = true
			own = append(own, e)
		}
	}
	return own, true
}

func keyText(key ast.MapKeyNode) string {
	if text, ok := key.(*ast.StringNode); ok {
		return text.Value
	}
	return strings.TrimSpace(key.GetToken().Value)
}

// resolve follows anchors, aliases and tags to the value; nil: there is none.
func (r *reader) resolve(node ast.Node) ast.Node {
	for range maxAliases {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			node = r.anchors[n.Value.GetToken().Value]
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
	return nil
}

func placeOf(node ast.Node) place {
	if mapping, ok := node.(ast.MapNode); ok {
		if pairs := mapping.MapRange(); pairs.Next() {
			node = pairs.Key()
		}
	}
	token := node.GetToken()
	if token == nil || token.Position == nil {
		return place{}
	}
	return place{line: token.Position.Line, column: token.Position.Column}
}

func kindOf(node ast.Node) string {
	switch node.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// scalarText is a single value as it was written; quotes and folding undone.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	default:
		return "", false
	}
}

// keyField is what holds a key of a target.
var keyField = regexp.MustCompile(`^targets\[\d+\]\.(api_key$|headers\.)`)

// notRead stands for a key that nobody needs.
const notRead = "not-read"

// readScalar fills in the variables of a single value and reads it as what its
// field is. A value that is wrong leaves the default.
func (r *reader) readScalar(node ast.Node, into reflect.Value, field string) {
	written, ok := scalarText(node)
	if !ok {
		r.problem(field, "must be a single value, not %s", kindOf(node))
		return
	}
	value, err := expandEnv(written, r.env)
	if err != nil {
		r.problem(field, "%v", err)
		return
	}
	if r.keyless && keyField.MatchString(field) && (value.used || len(value.unset) > 0) {
		into.SetString(notRead)
		return
	}
	if optional := mayBeUnset[field] && value.text == ""; len(value.unset) > 0 && !optional {
		r.problem(field, "the variable %s is not set: set it, or give a default as in ${%s:-…}", value.unset[0], value.unset[0])
		return
	}
	if len(value.unset) > 0 {
		return
	}
	at := r.places[field]
	at.hidden = value.used
	r.places[field] = at
	r.setScalar(value.text, into, field)
}

func (r *reader) setScalar(text string, into reflect.Value, field string) {
	switch into.Interface().(type) {
	case string, jobs.Secret, schemaText:
		into.SetString(text)
	case time.Duration:
		d, err := jobs.ParseDuration(text)
		if err != nil {
			r.problem(field, "%s is not a duration: write it like 30s, 24h or 7d", r.shown(field, text))
			return
		}
		into.SetInt(int64(d))
	case bool:
		switch strings.ToLower(text) {
		case "true", "false":
			into.SetBool(strings.EqualFold(text, "true"))
		default:
			r.problem(field, "%s is neither true nor false", r.shown(field, text))
		}
	case int, int64: // an int is small, so that nothing that is reckoned with it overflows
		bits := map[reflect.Kind]int{reflect.Int: 32, reflect.Int64: 64}[into.Kind()]
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, bits)
		if err != nil {
			r.problem(field, "%s is not a whole number like 200", r.shown(field, text))
			return
		}
		into.SetInt(n)
	case float64:
		x, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			r.problem(field, "%s is not a number like 0.25", r.shown(field, text))
			return
		}
		into.SetFloat(x)
	default:
		r.problem(field, "cannot be read: a %T is no kind of value", into.Interface())
	}
}

// shown is a value as messages may show it: not when a variable gave it.
func (r *reader) shown(field, text string) string {
	if r.places[field].hidden {
		return "${…}"
	}
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return strconv.Quote(text)
}
