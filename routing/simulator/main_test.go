package simulator_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A library of the Gemini client begins one for itself, and never ends it.
var ofLibraries = goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, ofLibraries) }
