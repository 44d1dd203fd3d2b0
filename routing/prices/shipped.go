package prices

import (
	_ "embed"
	"sync"
)

//go:embed shipped.json
var shipped []byte

// Shipped is the table that comes with the program.
var Shipped = sync.OnceValue(func() *Table {
	table, err := Parse(shipped)
	if err != nil {
		panic("the table that ships is broken: " + err.Error()) // a test reads it
	}
	return table
})
