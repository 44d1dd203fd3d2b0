package prices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidegate/jobs"
)

// The members of a file, in the order in which they are written.
type (
	writtenEntry struct {
		Vendor   string        `json:"vendor"`
		Model    string        `json:"model"`
		Aliases  []string      `json:"aliases,omitempty"`
		Prefixes []string      `json:"prefixes,omitempty"`
		From     string        `json:"from"`
		Context  int           `json:"context_tokens,omitempty"`
		Endpoint string        `json:"endpoint,omitempty"`
		Price    *writtenPrice `json:"usd_per_mtok"`
		Batch    *writtenPrice `json:"batch_usd_per_mtok,omitempty"`
	}
	writtenPrice struct {
		Input     json.Number   `json:"input,omitempty"`
		Cached    json.Number   `json:"cached_input,omitempty"`
		Output    json.Number   `json:"output,omitempty"`
		Reasoning json.Number   `json:"reasoning,omitempty"`
		Over      []writtenTier `json:"over,omitempty"`
		Free      bool          `json:"free,omitempty"`
	}
	writtenTier struct {
		Tokens    int         `json:"tokens"`
		Input     json.Number `json:"input"`
		Cached    json.Number `json:"cached_input,omitempty"`
		Output    json.Number `json:"output"`
		Reasoning json.Number `json:"reasoning,omitempty"`
	}
)

// Bytes is the table as a file: one entry a line, so that two tables can be compared
// line by line.
func (t *Table) Bytes() ([]byte, error) {
	var out bytes.Buffer
	source, err := json.Marshal(t.source)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&out, "{\n  \"version\": %s,\n  \"source\": %s,\n  \"prices\": [", formatVersion, source)
	for i := range t.entries {
		line, err := json.Marshal(written(&t.entries[i]))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "\n    %s", line)
	}
	out.WriteString("\n  ]\n}\n")
	return out.Bytes(), nil
}

func written(e *Entry) writtenEntry {
	w := writtenEntry{Vendor: e.Vendor, Model: e.Model, Aliases: e.Aliases, Prefixes: e.Prefixes, From: e.From.Format(day), Context: e.ContextTokens, Price: writtenOf(e.Price)}
	if e.Batch.Known() {
		w.Batch = writtenOf(e.Batch)
	}
	if e.Embeddings {
		w.Endpoint, w.Price.Output = jobs.EndpointEmbeddings.Name(), ""
		if w.Batch != nil {
			w.Batch.Output = ""
		}
	}
	return w
}

func writtenOf(p jobs.Price) *writtenPrice {
	if p.Free {
		return &writtenPrice{Free: true}
	}
	base := writtenTierOf(jobs.Tier{Input: p.Input, CachedInput: p.CachedInput, Output: p.Output, Reasoning: p.Reasoning})
	w := &writtenPrice{Input: base.Input, Cached: base.Cached, Output: base.Output, Reasoning: base.Reasoning}
	for _, tier := range p.Over {
		if tier.Tokens > 0 {
			w.Over = append(w.Over, writtenTierOf(tier))
		}
	}
	return w
}

func writtenTierOf(t jobs.Tier) writtenTier {
	w := writtenTier{Tokens: t.Tokens, Input: amountOf(t.Input), Output: amountOf(t.Output)}
	if t.CachedInput != t.Input {
		w.Cached = amountOf(t.CachedInput)
	}
	if t.Reasoning != 0 {
		w.Reasoning = amountOf(t.Reasoning)
	}
	return w
}

func amountOf(m jobs.MicroUSD) json.Number { return json.Number(WriteAmount(m)) }

// Save writes the table to a file: the file is the old one or the new one, never half
// of it. Before that it reads what it would write, as everybody else will.
func (t *Table) Save(path string) (err error) {
	data, err := t.Bytes()
	if err != nil {
		return fmt.Errorf("writing prices: %w", err)
	}
	again, err := Parse(data)
	if err != nil {
		return fmt.Errorf("writing prices: it could not be read again: %w", err)
	}
	if !again.Equal(t) {
		return errors.New("writing prices: it would read as something else")
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file // a link stays one
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("writing prices: %s is not a file", path)
		}
		mode = info.Mode().Perm()
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing prices: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing prices: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}
