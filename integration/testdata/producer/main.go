// Producer is a program of somebody else: it has its own module, its own table
// and its own transaction, and asks tidegate for a summary in it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
	"tidegate/jobs/queue"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	requests, err := queue.New(pool)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE tickets (id int PRIMARY KEY, text text); INSERT INTO tickets VALUES (1, 'It hums.')"); err != nil {
			return err
		}
		request, err := requests.EnqueueTx(ctx, tx, jobs.Request{
			Route:    "summaries",
			CustomID: "ticket-1",
			Body:     []byte(`{"messages": [{"role": "user", "content": "Summarise: It hums."}]}`),
		})
		fmt.Println(request.ID)
		return err
	})
}
