package integration

import (
	"os"
	"testing"

	"tidegate/integration/fixture"
)

// abreast is how many tests run at once: most of their time they wait for an
// outage to take its course.
const abreast = 8

func TestMain(m *testing.M) {
	// What a developer's shell says of a tidegate elsewhere is not for the tests.
	for _, name := range []string{"DATABASE_URL", "NATS_URL", "TIDEGATE_CONFIG", "TIDEGATE_DATA"} {
		_ = os.Unsetenv(name) // a name without a NUL or an equals sign
	}
	fixture.Main(m, fixture.Abreast(abreast), fixture.After(raced.remove), fixture.After(plain.remove))
}
