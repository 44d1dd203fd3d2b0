package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Do makes something in the caller's transaction, which must end with what it returns:
// the id of what was made now or, when the request is repeated, the first time. The
// error is ErrKeyReused if the first one asked for something else. One with an empty
// Key is never repeated.
func (o *Once) Do(ctx context.Context, tx pgx.Tx, tenant string, makeIt func() (id string, err error)) (string, error) {
	before, err := o.before(ctx, tx, tenant)
	if err != nil {
		return "", fmt.Errorf("looking whether it was asked for before: %w", err)
	}
	if before != "" {
		return before, nil
	}
	id, err := makeIt()
	if err != nil {
		return id, err
	}
	if err := o.keep(ctx, tx, tenant, id); err != nil {
		return id, fmt.Errorf("writing down that it was asked for: %w", err)
	}
	return id, nil
}
