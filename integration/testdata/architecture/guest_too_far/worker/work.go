package worker

import (
	postgres "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func through(tx postgres.Tx, pool *pgxpool.Pool) {}

func count(rows postgres.Rows) {}
