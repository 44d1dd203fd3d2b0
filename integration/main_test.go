package integration

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"tidegate/integration/fixture"
)

// abreast is how many tests run at once: most of their time they wait for an
// outage to take its course.
const abreast = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", abreast); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	// What a developer's shell says of a tidegate elsewhere is not for the tests.
	for _, name := range []string{"DATABASE_URL", "NATS_URL", "TIDEGATE_CONFIG", "TIDEGATE_DATA"} {
		_ = os.Unsetenv(name) // a name without a NUL or an equals sign
	}
	fixture.Main(m, fixture.After(raced.remove), fixture.After(plain.remove))
}
