package app

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/migrations"
)

// riverPending is how River says which of its migrations are missing: the
// numbers stand behind it, in brackets.
const riverPending = "Unapplied migrations: ["

// pendingMigrations lists the migrations that a database lacks, by name.
func pendingMigrations(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	pending, err := migrations.Pending(ctx, pool)
	if err != nil {
		return nil, err
	}
	return pendingNames(pending)
}

// pendingNames lists what is missing one by one: River says all of its own in one
// message, and where the schema is new, ours come as one, too.
func pendingNames(pending []string) ([]string, error) {
	var names []string
	for _, said := range pending {
		numbers, river := strings.CutPrefix(said, riverPending)
		switch {
		case river:
			for _, number := range strings.Fields(strings.TrimSuffix(numbers, "]")) {
				names = append(names, "river_"+strings.Repeat("0", max(0, 3-len(number)))+number)
			}
		case said == "all of tidegate's tables":
			steps, err := migrations.Steps()
			if err != nil {
				return nil, err
			}
			for _, step := range steps {
				names = append(names, step.Name)
			}
		default:
			names = append(names, said)
		}
	}
	return names, nil
}

// missingMigrations is how many are missing, as a sentence says it.
func missingMigrations(n int) string { return together(n, "migration", "is missing", "are missing") }
