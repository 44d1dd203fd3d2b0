package provider

import (
	"encoding/json"
	"fmt"
)

func (c *chat) readTools(f *fields) error {
	var list []json.RawMessage
	if _, err := f.take("tools", &list); err != nil {
		return err
	}
	for i, raw := range list {
		path := fmt.Sprintf("tools[%d]", i)
		outer, err := readFields(path, raw)
		if err != nil {
			return err
		}
		var kind string
		if _, err := outer.take("type", &kind); err != nil {
			return err
		}
		if kind != "function" {
			return wrong(path+".type", "%q is not function: no other tool is translated", kind)
		}
		inner, err := outer.inside("function")
		if err != nil {
			return err
		}
		var one tool
		err = inner.takeAll(map[string]any{"name": &one.name, "description": &one.description, "parameters": &one.schema, "strict": &one.strict})
		if err := firstError(err, inner.rest(), outer.rest()); err != nil {
			return err
		}
		c.tools = append(c.tools, one)
	}
	return nil
}

func (c *chat) readChoice(f *fields) error {
	raw, found := f.left["tool_choice"]
	if !found || string(raw) == "null" {
		f.ignore("tool_choice")
		return nil
	}
	if json.Unmarshal(raw, &c.choice.mode) == nil {
		f.ignore("tool_choice")
		switch c.choice.mode {
		case "auto", "none", "required":
			return nil
		}
		return wrong("tool_choice", "%q is none of auto, none and required", c.choice.mode)
	}
	outer, err := f.inside("tool_choice")
	if err != nil {
		return err
	}
	var kind string
	if _, err := outer.take("type", &kind); err != nil {
		return err
	}
	if kind != "function" {
		return wrong("tool_choice.type", "%q is not function", kind)
	}
	inner, err := outer.inside("function")
	if err != nil {
		return err
	}
	c.choice.mode = "tool"
	_, err = inner.take("name", &c.choice.name)
	return firstError(err, inner.rest(), outer.rest())
}

func (c *chat) readFormat(f *fields) error {
	f.unless("response_format", `{"type":"text"}`)
	if f.left["response_format"] == nil {
		return nil
	}
	outer, err := f.inside("response_format")
	if err != nil {
		return err
	}
	if _, err := outer.take("type", &c.format.kind); err != nil {
		return err
	}
	switch c.format.kind {
	case "json_object":
		return outer.rest()
	case "json_schema":
	default:
		return wrong("response_format.type", "%q is none of text, json_object and json_schema", c.format.kind)
	}
	inner, err := outer.inside("json_schema")
	if err != nil {
		return err
	}
	found, err := inner.take("schema", &c.format.schema)
	if err == nil && !found {
		err = wrong("response_format.json_schema.schema", "is missing")
	}
	inner.ignore("name", "description", "strict") // the schema is kept to anyhow
	return firstError(err, inner.rest(), outer.rest())
}
