package expect

import (
	"encoding/json"
	"sync"

	"tidegate/jobs"
)

const (
	// cachedAtMost bounds the rules that are kept.
	cachedAtMost = 256
	// cachedBytes bounds what they were made of: 2 MiB. What is compiled has some
	// ten times as much.
	cachedBytes = 2 << 20
)

// A Cache compiles each Expect once, as long as it is not crowded out by others.
// The zero value is empty. Safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[string]compiled
	bytes int
}

type compiled struct {
	rules *Rules
	err   error
}

// Compile is the package's Compile.
func (c *Cache) Compile(e *jobs.Expect, body []byte) (*Rules, error) {
	if e == nil {
		return nil, nil
	}
	key, err := keyOf(e, body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	found, known := c.known[key]
	c.mu.Unlock()
	if known {
		return found.rules, found.err
	}
	rules, err := Compile(e, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(key, compiled{rules, err})
	return rules, err
}

// keyOf is all that rules are made of.
func keyOf(e *jobs.Expect, body []byte) (string, error) {
	key, err := json.Marshal(e)
	if err != nil || !e.ResponseFormat {
		return string(key), err
	}
	format, err := formatOf(body)
	if err != nil {
		return "", err
	}
	return string(key) + "\x00" + format.Type + "\x00" + string(format.JSONSchema.Schema), nil
}

// keep requires mu. Any of those that are known makes room: which one is not worth
// a list.
func (c *Cache) keep(key string, one compiled) {
	if _, known := c.known[key]; known || len(key) > cachedBytes {
		return
	}
	for old := range c.known {
		if len(c.known) < cachedAtMost && c.bytes+len(key) <= cachedBytes {
			break
		}
		delete(c.known, old)
		c.bytes -= len(old)
	}
	if c.known == nil {
		c.known = map[string]compiled{}
	}
	c.known[key] = one
	c.bytes += len(key)
}
