package expect

import (
	"reflect"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// countSteps has every part of the schema count when it is asked. A schema whose
// parts refer to each other can ask them more often than there are atoms in the
// world; the library has no bound for it, and what it asks of a part before its
// own parts is its format. So each part gets one, which counts and then does what
// the format did that was there.
func (s *schema) countSteps() {
	seen := map[*jsonschema.Schema]bool{}
	var visit func(value reflect.Value)
	visit = func(value reflect.Value) {
		switch value.Kind() {
		case reflect.Pointer:
			part, ok := value.Interface().(*jsonschema.Schema)
			if !ok || part == nil || seen[part] {
				return
			}
			seen[part] = true
			s.count(part)
			for i := range value.Elem().NumField() {
				if value.Elem().Type().Field(i).IsExported() {
					visit(value.Elem().Field(i))
				}
			}
		case reflect.Interface:
			if !value.IsNil() {
				visit(value.Elem())
			}
		case reflect.Slice:
			for i := range value.Len() {
				visit(value.Index(i))
			}
		case reflect.Map:
			for _, key := range value.MapKeys() {
				visit(value.MapIndex(key))
			}
		}
	}
	visit(reflect.ValueOf(s.root))
}

func (s *schema) count(part *jsonschema.Schema) {
	was := part.Format
	counted := &jsonschema.Format{Validate: func(v any) error {
		if s.steps--; s.steps < 0 {
			panic(tooLong{})
		}
		if was == nil {
			return nil
		}
		return was.Validate(v)
	}}
	if was != nil {
		counted.Name = was.Name
	}
	part.Format = counted
}
