//go:build browser

package browser

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidegate/integration/fixture"
)

var (
	shotsTo = flag.String("shots", "", "folder that gets pictures of the page, in place of those that are there")
	warmUp  = flag.Duration("warm-up", 6*time.Minute, "how long there is a load before the outage of the pictures")
)

// docs is where pictures are that people are shown.
const docs = "../../docs"

// shots are the pictures: how somebody looks, and how high they are.
var shots = []struct {
	name  string
	looks looks
	high  int64
}{
	{"dashboard-light.png", looks{"light", "light", 1280}, 1010},
	{"dashboard-dark.png", looks{"dark", "dark", 1280}, 1010},
	{"dashboard-narrow.png", looks{"narrow", "light", 360}, 1020},
}

// TestShots has pictures of the page in an outage made where it is asked for, and looks
// whether those are there that the docs show, and are small.
func TestShots(t *testing.T) {
	if *shotsTo != "" {
		takeShots(t, *shotsTo)
	}
	for _, shot := range shots {
		if info, err := os.Stat(filepath.Join(docs, shot.name)); err != nil || info.Size() > mostBytes {
			t.Errorf("%s is not there, or too large: %v", shot.name, err)
		}
	}
}

// takeShots takes pictures of an outage after some minutes of a load.
func takeShots(t *testing.T, folder string) {
	t.Helper()
	s := newStage(t, 1500)
	v := visit(t)
	v.look(manyLooks[0])
	v.open(s.Address + "/?window=15m")
	began, last := time.Now(), time.Time{}
	fixture.Await(t, *warmUp+outage, "there was a load", func() bool {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			s.enqueue("summaries", 90)
			s.enqueue("labels", 50)
		}
		return time.Since(began) > *warmUp
	})
	s.fail("openai")
	s.enqueue("summaries", 2400)
	down := time.Now()
	v.await("it is seen, and for a while", `/is down/.test(document.querySelector("#now-title").textContent)`)
	fixture.Await(t, outage, "it is seen for a while", func() bool { return time.Since(down) > 25*time.Second })
	v.await("the forecast is there", `/Done by/.test(document.querySelector("#now .rest").textContent)`)
	for _, shot := range shots {
		v.shoot(filepath.Join(folder, shot.name), shot.looks, shot.high)
	}
}
