package main

import (
	"context"
	"os"

	"tidegate/cmd/app"
)

func main() {
	ctx, stop := app.Until(context.Background(), os.Args[1:])
	code := app.Execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
