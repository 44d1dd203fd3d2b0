package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// A newsroom has its articles summarised. The request is part of the
// transaction that stores the article: both are there, or neither is.
func Example() {
	ctx := context.Background()
	pool, closeNewsroom := newsroom(ctx)
	defer closeNewsroom()

	summaries, err := queue.New(pool)
	if err != nil {
		log.Fatal(err)
	}
	file := func(tx pgx.Tx, article string) error {
		if _, err := tx.Exec(ctx, "INSERT INTO articles (text) VALUES ($1)", article); err != nil {
			return err
		}
		prompt, err := json.Marshal("Summarise in one sentence: " + article)
		if err != nil {
			return err
		}
		_, err = summaries.EnqueueTx(ctx, tx, jobs.Request{
			Route: "summaries",
			Body:  fmt.Appendf(nil, `{"messages": [{"role": "user", "content": %s}]}`, prompt),
		})
		return err
	}

	withdrawn, err := pool.Begin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := file(withdrawn, "Harbour to close in spring."); err != nil {
		log.Fatal(err)
	}
	if err := withdrawn.Rollback(ctx); err != nil { // the editor has second thoughts
		log.Fatal(err)
	}
	fmt.Println("rolled back:", count(ctx, pool))

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return file(tx, "Harbour to stay open, after all.")
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("committed:  ", count(ctx, pool))

	// Output:
	// rolled back: 0 articles, 0 requests
	// committed:   1 articles, 1 requests
}

// newsroom is a database that `tidegate migrate` has prepared, beside the
// newsroom's own table.
func newsroom(ctx context.Context) (*pgxpool.Pool, func()) {
	t, end := fixture.Example()
	pool, err := pgxpool.New(ctx, fixture.Database(t))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE articles (id bigserial PRIMARY KEY, text text NOT NULL)"); err != nil {
		log.Fatal(err)
	}
	if err := store.New(pool).SaveRoutes(ctx, []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		log.Fatal(err)
	}
	return pool, func() { pool.Close(); end() }
}

func count(ctx context.Context, pool *pgxpool.Pool) (found string) {
	const sql = `SELECT format('%s articles, %s requests', (SELECT count(*) FROM articles), (SELECT count(*) FROM tidegate.requests))`
	if err := pool.QueryRow(ctx, sql).Scan(&found); err != nil {
		log.Fatal(err)
	}
	return found
}
