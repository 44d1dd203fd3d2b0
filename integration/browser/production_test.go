//go:build browser

package browser

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tidegate/deploy/embedded"
	"tidegate/integration/fixture"
)

// A production is everything in processes of its own, with a Postgres that can be stopped.
type production struct {
	*stage
	postgres *embedded.Postgres
}

func newProduction(t *testing.T) *production {
	t.Helper()
	p := &production{stage: newProviders(t, 3000)}
	p.startPostgres()
	t.Cleanup(func() { check(t, p.postgres.Stop()) })
	nats := fixture.NATS(t)
	p.where = []string{"--database-url", p.postgres.URL(), "--nats-url", nats.URL(), "--config", p.path("tidegate.yaml")}
	p.tidegate("migrate")
	p.start("work", nil, append([]string{"work"}, p.where...)...)
	p.serve("127.0.0.1:0")
	return p
}

func (p *production) startPostgres() {
	p.t.Helper()
	var err error
	p.postgres, err = embedded.StartPostgres(p.t.Context(), embedded.PostgresConfig{Dir: filepath.Join(p.dir, "pg"), Ephemeral: true})
	check(p.t, err)
}

func (p *production) serve(listen string) {
	p.t.Helper()
	var where struct {
		URL string `json:"url"`
	}
	p.stop = p.start("serve", &where, append([]string{"serve", "--json", "--listen", listen}, p.where...)...)
	p.Address = where.URL
}

// TestPageWithoutPostgres has the database stop and start under an open page, the server
// likewise, and the configuration change: the page says what is so, and comes back by
// itself.
func TestPageWithoutPostgres(t *testing.T) {
	p := newProduction(t)
	var key struct{ Key string }
	check(t, json.Unmarshal([]byte(p.tidegate("keys", "create", "--tenant", "acme", "--scope", "admin", "--json")), &key))
	v := visit(t)
	v.look(manyLooks[0])
	v.open(p.Address + "/?window=15m")
	v.await("a key is asked for", `document.querySelector("#key")`)
	v.write(`#key`, key.Key+kb.Enter)
	v.await("all flows", `document.querySelector("#now-title")?.textContent === "All flows" && document.querySelector("#link").dataset.state === "live"`)
	v.await("all targets are there", `document.querySelectorAll("#targets tbody tr").length === 3`)
	v.run(`window.__same = true`)
	v.forget("401")
	v.quiet("before")

	reload(t, p, v)
	withoutPostgres(t, p, v)
	withoutServer(t, p, v)
	if !eval[bool](v, `window.__same`) {
		t.Error("the page was loaded anew")
	}
}

// reload changes a price and a limit: the server takes them, and the page shows them.
func reload(t *testing.T, p *production, v *visitor) {
	t.Helper()
	at := p.path("tidegate.yaml")
	text, err := os.ReadFile(at)
	check(t, err)
	text = bytes.Replace(text, []byte("input: 0.25"), []byte("input: 0.75"), 1)
	check(t, os.WriteFile(at, bytes.Replace(text, []byte("requests_per_minute: 6000"), []byte("requests_per_minute: 4200"), 1), 0o600))
	check(t, p.processes["serve"].Signal(syscall.SIGHUP))
	v.await("the page shows the new price", `/\$0\.75.in/.test(document.querySelector("#target-gpt-5-mini [data-label=Price]").textContent)`)
	v.await("and the new limit", `/4,200/.test(document.querySelector("#target-gpt-5-mini [data-label^=Pace]").textContent)`)
}

// withoutPostgres stops the database until the server has looked whether the session is
// still good, which nobody can tell it then.
func withoutPostgres(t *testing.T, p *production, v *visitor) {
	t.Helper()
	check(t, p.postgres.Stop())
	v.await("the headline says so", `document.querySelector("#now-title").textContent.startsWith("Postgres does not answer since") && document.querySelector(".m-alarm")`)
	v.await("and how old what it shows is", `/how it stood \d+ s ago, at \d\d:\d\d:\d\d: All flows\./.test(document.querySelector("#now .rest").innerText.replace(/\s+/g, " "))`)
	v.await("and so does the title", `document.title.startsWith("■ Postgres does not answer")`)
	v.await("it is read aloud", `document.querySelector("#say").textContent.includes("Postgres does not answer")`)
	v.audits("without Postgres")
	v.await("the age runs, and the line is not lost", `/As of (1[6-9]|[2-9]\d) s ago/.test(document.querySelector("#link-text").textContent) && document.querySelector("#link").dataset.state === "old" && document.querySelector("#lost").hidden`)
	v.ask(`#route-labels a[href*="do=pause"]`)
	v.await("nothing can be done, which is said", `/Postgres does not answer/.test(document.querySelector("dialog[open] h2")?.textContent || "") && document.querySelector("dialog[open] [data-close]")`)
	v.press(kb.Escape)
	p.startPostgres()
	v.await("it is as it was, by itself", `document.querySelector("#now-title").textContent === "All flows" && document.querySelector("#link").dataset.state === "live" && !document.title.includes("Postgres")`)
	v.forget("503")
	v.quiet("without Postgres")
}

// withoutServer stops the server.
func withoutServer(t *testing.T, p *production, v *visitor) {
	t.Helper()
	p.stop()
	v.await("the page says so, with the age of what it shows", `!document.querySelector("#lost").hidden && /The server does not answer\. What is shown is how it stood \d+ s ago, at \d\d:/.test(document.querySelector("#lost").innerText)`)
	v.audits("without the server")
	p.serve(strings.TrimPrefix(p.Address, "http://"))
	v.await("it is live again, by itself", `document.querySelector("#lost").hidden && document.querySelector("#link").dataset.state === "live" && document.querySelector("#now-title").textContent === "All flows"`)
	v.forget("net::ERR")
	v.quiet("without the server")
}
