package main

import (
	"context"
	"os"

	"tidegate/cmd/app"
)

func main() {
	ctx := app.Until(context.Background(), os.Args[1:])
	os.Exit(app.Execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
