package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Seen is what a repeated request made the first time; empty: nothing that is known, or it
// is not repeated. Do looks once more: this is for who would look at the request before,
// which may be right no more.
func (s *Store) Seen(ctx context.Context, once *Once, tenant string) (made string, err error) {
	if once.Key == "" || !once.Repeated {
		return "", nil
	}
	if made, err = once.find(ctx, s.pool, tenant); err != nil && !errors.Is(err, ErrKeyReused) {
		err = fmt.Errorf("looking whether it was asked for before: %w", err)
	}
	return made, err
}

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
