package expect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	maxText     = 2 << 20 // bytes of an answer that is judged by a schema
	maxNumber   = 400     // digits of a number, and the size of its exponent
	stepsAtMost = 20_000  // of a judgement, …
	stepsEach   = 50      // … and for each value of the answer beside
	maxPlace    = 200     // bytes of a place in a schema
	schemaName  = "expect:///schema"
)

// A schema is a JSON schema that is compiled. A nil one is kept by any JSON. The
// judgements of one schema are made one after the other: they count their steps.
type schema struct {
	mu    sync.Mutex
	root  *jsonschema.Schema
	steps int // that are left to the judgement that is made, …
	work  int // … and what its patterns may cost

	patterns int // how large all of them are
}

// tooLong is the panic of a judgement that takes too many steps.
type tooLong struct{}

// noLoader loads nothing.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%.200q is not in the schema, and nothing is loaded: put it into $defs", url)
}

// compile makes a schema of JSON, or says what is wrong with it.
func compile(text []byte) (s *schema, err error) {
	document, _, why := decode(text)
	if why != "" {
		return nil, errors.New(why)
	}
	if name := dynamic(document); name != "" {
		return nil, fmt.Errorf("%s is not supported: use $ref", name)
	}
	s = &schema{}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(s.pattern)
	if err := compiler.AddResource(schemaName, document); err != nil {
		return nil, fault(err)
	}
	root, err := compiler.Compile(schemaName)
	if err != nil {
		return nil, fault(err)
	}
	s.root = root
	s.countSteps()
	return s, nil
}

// dynamic finds a reference whose end is known only during a judgement: what it
// leads to could not be made to count its steps.
func dynamic(value any) (name string) {
	switch v := value.(type) {
	case []any:
		for _, inner := range v {
			name = cmp.Or(name, dynamic(inner))
		}
	case map[string]any:
		for key, inner := range v {
			if _, text := inner.(string); text && (key == "$dynamicRef" || key == "$recursiveRef") {
				return key
			}
			name = cmp.Or(name, dynamic(inner))
		}
	}
	return name
}

// fault says what is wrong with a schema, on one line.
func fault(err error) error {
	text := strings.ReplaceAll(err.Error(), schemaName, "")
	return fmt.Errorf("is no JSON schema: %.400s", strings.Join(strings.Fields(text), " "))
}

// judge says what of the schema a text does not keep; empty: it keeps it.
func (s *schema) judge(text string) (why string) {
	if len(text) > maxText {
		return fmt.Sprintf("it has %d bytes, more than the %d that are judged", len(text), maxText)
	}
	document, values, why := decode([]byte(text))
	if why != "" || s == nil {
		return why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps, s.work = stepsAtMost+stepsEach*values, patternWork
	defer func() {
		switch cause := recover(); cause.(type) {
		case nil:
		case tooLong:
			why = "it takes too many steps to judge by this schema"
		default:
			panic(cause)
		}
	}()
	return placeOf(s.root.Validate(document))
}

// placeOf is where in the schema an answer failed first.
func placeOf(err error) string {
	var at *jsonschema.ValidationError
	if !errors.As(err, &at) {
		return ""
	}
	for len(at.Causes) > 0 {
		at = at.Causes[0]
	}
	_, place, _ := strings.Cut(at.SchemaURL, "#")
	place = "#" + place
	for _, keyword := range at.ErrorKind.KeywordPath() {
		place += "/" + keyword
	}
	if len(place) > maxPlace {
		place = "…" + strings.ToValidUTF8(place[len(place)-maxPlace:], "")
	}
	return "it does not keep " + place
}

// decode reads JSON and counts its values; why says what is wrong with it, and
// quotes nothing. Numbers stay as they are written: those that nobody could write
// out are refused, since arithmetic would.
func decode(text []byte) (document any, values int, why string) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		return nil, 0, "it is no JSON"
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, 0, "there is more than JSON"
	}
	values, sane := survey(document)
	if !sane {
		return nil, 0, "a number in it is out of all bounds"
	}
	return document, values, ""
}

// survey counts values, and tells whether all numbers are sane.
func survey(value any) (values int, sane bool) {
	values, sane = 1, true
	visit := func(inner any) {
		n, ok := survey(inner)
		values, sane = values+n, sane && ok
	}
	switch v := value.(type) {
	case json.Number:
		sane = saneNumber(string(v))
	case []any:
		for _, inner := range v {
			visit(inner)
		}
	case map[string]any:
		for _, inner := range v {
			visit(inner)
		}
	}
	return values, sane
}

func saneNumber(text string) bool {
	if len(text) > maxNumber {
		return false
	}
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(text[at+1:])
	return err == nil && -maxNumber <= exponent && exponent <= maxNumber
}
