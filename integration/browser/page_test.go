//go:build browser

package browser

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tidegate/integration/fixture"
)

// TestPage looks at the page through an outage, from the first word to the last, and does
// what an operator does.
func TestPage(t *testing.T) {
	s := newStage(t, 3000)
	v := visit(t)
	v.look(manyLooks[0])
	v.open(s.Address + "/?window=15m")
	v.await("all flows", `document.querySelector("#now-title")?.textContent === "All flows"`)
	v.await("the page is live", `document.querySelector("#link")?.dataset.state === "live"`)
	v.await("all targets are there, and closed", `["gpt-5-mini", "deepseek-chat", "mistral-small"].every((name) => document.getElementById("target-" + name)?.dataset.state === "closed")`)
	v.audits("calm")
	v.rings("calm")

	batch := outageOfAll(t, s, v)
	outageOfOne(t, s, v)
	pauseAndResume(t, s, v)
	openAndClose(t, s, v)
	drill(t, s, v)
	retry(t, s, v)
	v.quiet("an operator's day")
	restart(t, s, v)
	story(t, s, v, batch)
	hostile(t, s, v)
	riversPage(t, s, v)
	v.quiet("the outage")
	login(t, s, v)
}

// outageOfAll has every provider fail: the route stands still, the backlog grows, the
// countdown runs; when they are well again it drains.
func outageOfAll(t *testing.T, s *stage, v *visitor) string {
	t.Helper()
	v.run(`window.__kept = document.getElementById("target-gpt-5-mini")`)
	s.fail("*")
	batch := s.enqueue("summaries", 300)
	v.await("the circuit of gpt-5-mini is open", `document.getElementById("target-gpt-5-mini").dataset.state === "open"`)
	v.await("the headline says that the route stands still", `/stands? still/.test(document.querySelector("#now-title").textContent) && !!document.querySelector(".m-alarm")`)
	v.await("it is said aloud", `document.querySelector("#say").textContent.includes("still")`)
	v.await("the route is not worked", `["holds", "paused"].includes(document.getElementById("route-summaries").dataset.state)`)
	s.enqueue("summaries", 700) // of which the worker has some in hand
	waits := `Number(document.querySelector("#route-summaries [data-label=Waiting]").innerText.replace(/\D/g, ""))`
	v.await("the backlog grows", waits+` >= 400`)
	v.await("the backlog is in the head", `Number(document.querySelector(".figure .value").innerText.replace(/\D/g, "")) >= 400`)
	// The countdown is the browser's own: it runs while nothing is sent.
	v.run(`window.__counts = {}; new MutationObserver(() => {
		const e = document.querySelector("#target-gpt-5-mini [data-until]");
		if (e) (window.__counts[e.dataset.until] ??= new Set()).add(e.innerText);
	}).observe(document.getElementById("targets"), { subtree: true, childList: true, characterData: true, attributes: true })`)
	v.await("the countdown runs", `Object.values(window.__counts).some((said) => said.size >= 2)`)
	if !eval[bool](v, `document.getElementById("target-gpt-5-mini") === window.__kept`) {
		t.Error("a row was made anew: who reads it loses his place")
	}
	v.await("the time of the outage is in the picture", `document.querySelectorAll(".rows .t-open").length > 0`)
	v.audits("an outage of all")
	s.heal("*")
	v.await("the circuit of gpt-5-mini is closed", `document.getElementById("target-gpt-5-mini").dataset.state === "closed"`)
	v.await("the backlog is drained", waits+` === 0 && document.getElementById("route-summaries").dataset.state === "flows"`)
	v.await("the batch is complete", fmt.Sprintf(`document.getElementById(%q)?.dataset.state === "completed"`, batch))
	v.await("throughput is drawn", `document.querySelector("[aria-labelledby=plot-flow] svg.plot .s-1") && document.querySelector("#table-flow")`)
	return batch
}

// outageOfOne has one provider fail: the other one is called.
func outageOfOne(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	s.fail("openai")
	s.enqueue("summaries", 200)
	v.await("the headline says what is down, and who is called", `/^gpt-5-mini is down/.test(document.querySelector("#now-title").textContent) && document.querySelector("#now .rest").textContent.includes("deepseek-chat")`)
	v.await("the other one answers", `/^\d/.test(document.querySelector("#target-deepseek-chat [data-label=Success] .value").innerText)`)
	v.audits("an outage of one")
	keepsItsPlace(t, s, v)
	s.heal("openai")
	v.await("all flows again", `document.querySelector("#now-title").textContent === "All flows"`)
	v.await("what happened is told", `[...document.querySelectorAll("#events li")].some((li) => /gpt-5-mini\s+closed/.test(li.innerText))`)
}

// keepsItsPlace checks that what changes takes nothing from who reads: what is open stays
// open, what is chosen chosen, what is half written there, and nobody is moved.
func keepsItsPlace(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.run(`document.querySelector("#table-flow").open = true;
		document.querySelector("#route-labels [data-act]").focus();
		getSelection().selectAllChildren(document.querySelector("#target-deepseek-chat .name"));
		scrollTo(0, 500);
		window.__place = { at: scrollY, focused: document.activeElement, ticks: Number(document.body.dataset.ticks) }`)
	s.enqueue("summaries", 300)
	v.await("it has changed some times", `Number(document.body.dataset.ticks) >= window.__place.ticks + 3`)
	for what, is := range map[string]string{
		"the table is open":          `document.querySelector("#table-flow").open`,
		"the focus is where it was":  `document.activeElement === window.__place.focused`,
		"the text is still chosen":   `getSelection().toString() === "deepseek-chat"`,
		"the page is where it was":   `Math.abs(scrollY - window.__place.at) <= 1 && scrollY > 0`,
		"nothing is in front of all": `!document.querySelector("dialog[open]")`,
	} {
		if !eval[bool](v, is) {
			t.Errorf("not: %s; the text is %q, the page at %g", what, eval[string](v, `getSelection().toString()`), eval[float64](v, `scrollY`))
		}
	}
	v.ask(`#route-labels a[href*="do=pause"]`)
	v.await("it is asked", `document.querySelector("dialog[open] #reason") === document.activeElement`)
	v.press("half a wo")
	v.run(`window.__place.ticks = Number(document.body.dataset.ticks)`)
	v.await("it has changed since", `Number(document.body.dataset.ticks) >= window.__place.ticks + 2`)
	if got := eval[string](v, `document.activeElement.value`); got != "half a wo" {
		t.Errorf("half a word became %q", got)
	}
	v.press(kb.Escape)
	v.await("it is not asked any more", `!document.querySelector("dialog[open]")`)
	v.run(`document.querySelector("#table-flow").open = false; getSelection().removeAllRanges()`)
}

// pauseAndResume does it with the keys.
func pauseAndResume(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.run(`document.querySelector("#route-labels [data-act]").focus()`)
	v.press(kb.Enter)
	v.await("it is asked", `document.querySelector("dialog[open] #reason") === document.activeElement`)
	v.audits("a question")
	v.press("the prompt is wrong", kb.Enter)
	v.await("it is done", `/labels is paused/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.press(kb.Escape)
	v.await("the page says who pauses it, and why", `document.getElementById("route-labels").dataset.state === "paused" && /Paused by a person: the prompt is wrong/.test(document.getElementById("route-labels").innerText)`)
	v.await("and so does the headline", `document.querySelector("#now-title").textContent.startsWith("labels is paused by a person")`)
	if said := s.tidegate("status"); !strings.Contains(said, "the prompt is wrong") {
		t.Errorf("the status does not say it:\n%s", said)
	}
	v.ask(`#route-labels a[href*="do=resume"]`)
	v.await("it is asked", `document.querySelector("dialog[open] button.main")`)
	v.click(`dialog button.main`)
	v.await("it is done", `/labels is worked again/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.press(kb.Escape)
	v.await("it flows", `document.getElementById("route-labels").dataset.state === "flows"`)
	v.await("the focus is back on the page", `!document.querySelector("dialog[open]") && document.activeElement !== document.body`)
}

// openAndClose is a person's word about a circuit, without a reason and with one.
func openAndClose(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.ask(`#target-mistral-small a[href*="do=open"]`)
	v.await("it is asked", `document.querySelector("dialog[open] #reason")`)
	v.run(`document.querySelector("#for").value = "30m"`)
	v.click(`dialog button.main`)
	if !eval[bool](v, `!!document.querySelector("dialog[open] #reason:invalid")`) {
		t.Error("a reason need not be given")
	}
	v.write(`#reason`, "they maintain it")
	v.click(`dialog button.main`)
	v.await("it is done", `/mistral-small is open/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.click(`dialog [data-close]`)
	v.await("it is open for half an hour", `(() => { const e = document.querySelector("#target-mistral-small [data-until]"); const left = e && Number(e.dataset.until) - Date.now(); return left > 20 * 60000 && left < 31 * 60000; })()`)
	v.ask(`#target-mistral-small a[href*="do=close"]`)
	v.await("it is asked", `document.querySelector("dialog[open] button.main")`)
	v.click(`dialog button.main`)
	v.await("it is closed", `document.getElementById("target-mistral-small").dataset.state === "closed"`)
	v.press(kb.Escape)
	if said := s.tidegate("circuits"); strings.Contains(said, " open ") {
		t.Errorf("the circuits say:\n%s", said)
	}
}

// drill stages an outage of a target by its button, and ends it by the other one.
func drill(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.ask(`#target-mistral-small a[href*="do=drill"]`)
	v.await("it is asked", `document.querySelector("dialog[open] #mode") === document.activeElement`)
	v.audits("a drill")
	v.run(`document.querySelector("#mode").value = "503"; document.querySelector("#for").value = "5m"`)
	v.click(`dialog button.main`)
	v.await("it is done", `/mistral-small fails now, for 5 min/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.press(kb.Escape)
	s.enqueue("labels", 100)
	v.await("its circuit opens, and the page says that it is a drill", `document.getElementById("target-mistral-small").dataset.state !== "closed" && /A drill \(503\), for another [34] min/.test(document.getElementById("target-mistral-small").innerText) && /This is a drill of mistral-small/.test(document.querySelector("#now .rest").textContent)`)
	v.audits("while a drill is on")
	v.ask(`#target-mistral-small a[href*="do=end-drill"]`)
	v.await("it is asked", `document.querySelector("dialog[open] button.main")`)
	v.click(`dialog button.main`)
	v.await("it is over", `/The drill of mistral-small is over/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.press(kb.Escape)
	v.await("all flows again", `document.querySelector("#now-title").textContent === "All flows" && !document.querySelector("#targets .drill")`)
}

// retry has what was refused of a batch tried again by its button.
func retry(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	s.command("PUT", "mistral", `{"mode":"content"}`)
	batch := s.enqueue("labels", 20)
	v.await("a batch has ended, and 20 of it are refused", fmt.Sprintf(`document.getElementById(%[1]q)?.dataset.state === "completed" && document.querySelector("#" + %[1]q + " [data-label=Failed]").innerText.trim() === "20"`, batch))
	s.heal("mistral")
	v.ask("#" + batch + ` a[href*="do=retry"]`)
	v.await("it is asked", `document.querySelector("dialog[open] button.main")`)
	v.click(`dialog button.main`)
	v.await("it is done", `/^20 requests of batch_.* are tried again, as batch_/.test(document.querySelector("dialog[open] h2")?.textContent || "")`)
	v.press(kb.Escape)
	v.await("the new one is answered", `[...document.querySelectorAll("#batches tbody tr")].some((row) => /a retry/.test(row.innerText) && row.dataset.state === "completed" && /20 of 20/.test(row.innerText))`)
	v.ask("#" + batch + ` a.name`)
	v.await("its page leads to the retry, and to each of its requests", `/tried again by batch_/.test(document.body?.innerText) && document.querySelectorAll("#requests tbody a").length === 20`)
	v.audits("a batch")
	v.click(`#requests nav a[href*="state=refused"]`)
	v.await("those that were refused", `document.querySelectorAll("#requests tbody tr").length === 20 && document.querySelector("#requests nav [aria-current]").textContent === "refused"`)
	v.click(`#requests tbody a`)
	v.await("one of them leads back", fmt.Sprintf(`document.querySelector("a[href='/page/batch?id=" + %q + "']") && document.querySelectorAll(".steps li").length >= 2`, batch))
	v.open(s.Address + "/page/batches")
	v.await("all batches are listed", fmt.Sprintf(`document.getElementById(%q)`, batch))
	v.audits("all batches")
	v.open(s.Address + "/?window=15m")
	v.await("the page is live", `document.querySelector("#link")?.dataset.state === "live"`)
}

// hostile sends ids that are scripts: they are shown, and not done.
func hostile(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	ids := []string{`<script>window.__done=1</script>`, `"><img src=x onerror="window.__done=1">`, `'); window.__done=1; //`, `javascript:window.__done=1`, "\u202eodd", strings.Repeat("x", 250), "文書 📄"}
	var lines []byte
	for _, id := range ids {
		line, err := json.Marshal(map[string]any{"custom_id": id, "body": map[string]any{"messages": []map[string]string{{"role": "user", "content": "Why?"}}}})
		check(t, err)
		lines = append(append(lines, line...), '\n')
	}
	check(t, os.WriteFile(s.path("hostile.jsonl"), lines, 0o600))
	batch := strings.Fields(s.tidegate("enqueue", s.path("hostile.jsonl"), "--route", "labels", "--wait", "-o", s.path("out.jsonl")))[0]
	v.open(s.Address + "/page/batch?id=" + batch)
	v.await("all are there", fmt.Sprintf(`document.querySelectorAll("#requests tbody tr").length === %d`, len(ids)))
	v.audits("ids that are scripts")
	for _, id := range append(ids[:4], ids[5:]...) {
		if !strings.Contains(v.text("#requests tbody"), id) {
			t.Errorf("%s is not shown as it is", id)
		}
		v.open(s.Address + "/page/request?batch=" + batch + "&id=" + url.QueryEscape(id))
		if !strings.Contains(v.text("body"), "custom_id "+id) {
			t.Errorf("the story of %s is %s", id, v.text("body"))
		}
		v.audits("the story of " + id[:min(len(id), 12)])
		v.open(s.Address + "/page/batch?id=" + batch + "&after=" + url.QueryEscape(id) + "&state=" + url.QueryEscape(id))
	}
	if eval[bool](v, `"__done" in window`) {
		t.Error("a script was done")
	}
}

// restart has the server end and begin again: the page that is open says so, comes back by
// itself, and what was is still there.
func restart(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.run(`window.__same = true; document.querySelector("#events").open = true`)
	s.stop()
	v.await("the page says that it is not connected", `document.querySelector("#link").dataset.state === "lost"`)
	s.dev(strings.TrimPrefix(s.Address, "http://"))
	v.await("the page is live again", `window.__same && document.querySelector("#link").dataset.state === "live" && document.querySelector("#now-title").textContent === "All flows"`)
	v.await("what happened before is told", `[...document.querySelectorAll("#events li")].some((li) => /gpt-5-mini\s+open/.test(li.innerText)) && document.querySelectorAll("#charts svg.plot .s-1").length > 0`)
	v.forget("net::ERR") // while there was no server
}

// story looks a request up.
func story(t *testing.T, s *stage, v *visitor, batch string) {
	t.Helper()
	v.open(s.Address + "/page/request")
	v.await("it is asked for", `document.querySelector("#id")`)
	v.write(`#id`, "document-7")
	v.write(`#batch`, batch+kb.Enter)
	v.await("its story is told", `document.querySelectorAll(".steps li").length >= 3 && /answered/.test(document.body?.innerText)`)
	v.audits("a story")
	v.rings("a story")
	if said := v.text("body"); strings.Contains(said, "tide gate closes") {
		t.Error("the page shows a prompt")
	}
}

// riversPage looks at River's own page.
func riversPage(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	v.open(s.Address + "/river/queues")
	v.await("River's page shows the queues", `document.body?.innerText.includes("summaries") && document.body.innerText.includes("labels")`)
	if status := eval[float64](v, `(() => { const r = new XMLHttpRequest(); r.open("POST", "/river/api/jobs/delete", false); r.send("{}"); return r.status; })()`); status != 403 {
		t.Errorf("a job is deleted there: %g", status)
	}
	v.forget(`403`)
}

// login comes in with a key, once there is one, and is sent away when it is revoked.
func login(t *testing.T, s *stage, v *visitor) {
	t.Helper()
	created := s.tidegate("keys", "create", "--tenant", "acme", "--scope", "admin", "--json")
	var made struct{ ID, Key string }
	check(t, json.Unmarshal([]byte(created), &made))
	fixture.Await(t, outage, "who has no key is asked for one", func() bool {
		v.open(s.Address + "/?window=24h")
		return eval[bool](v, `location.pathname === "/login"`)
	})
	v.audits("the login")
	v.write(`#key`, "tg_0000000000000000_wrong"+kb.Enter)
	v.await("a wrong key is refused", `document.querySelector("#error")`)
	v.forget(`401`)
	v.quiet("the login")
	v.audits("a login that failed")
	v.write(`#key`, made.Key+kb.Enter)
	v.await("the page is there", `document.querySelector("#now-title")`)
	if cookies := eval[string](v, `document.cookie`); cookies != "" {
		t.Errorf("a script reads %q", cookies)
	}
	v.open(strings.Replace(s.simulator, "127.0.0.1", "localhost", 1) + "/") // another site
	v.run(fmt.Sprintf(`const a = document.createElement("a"); a.href = %q; a.id = "in"; a.textContent = "see"; document.body.append(a)`, s.Address+"/?window=24h"))
	v.click("#in")
	v.await("a link of another site leads to the page, and to no login", `document.querySelector("#now-title") && location.search === "?window=24h"`)
	v.forget("404")
	v.await("the page is live", `document.querySelector("#link")?.dataset.state === "live"`)
	s.tidegate("keys", "revoke", made.ID)
	v.await("the open page leads to the login, and from there back", `location.pathname === "/login" && document.querySelector("[name=next]")?.value === "/?window=24h"`)
	fixture.Await(t, outage, "the session ends with its key", func() bool {
		v.open(s.Address + "/")
		return eval[bool](v, `location.pathname === "/login"`)
	})
}

// planted is a page with a fault of each kind, and what must be said of it.
const planted = `<!doctype html><html><head><title></title></head><body style="margin:0"><div>in no landmark</div><main>
<h1>one</h1><h3>skips</h3><h1>two</h1><p id="twice">a</p><p id="twice">b</p><a href="/x" class="c"></a><input name="bare"><img src="data:,"><svg role="img"></svg>
<table><tr><th>of what</th></tr></table><ul><p>no item</p></ul><p style="color:#999;background:#fff">faint</p><p style="font-size:9px">tiny</p>
<div style="width:3000px">wide</div><span class="badge"></span></main></body></html>`

// TestAudit has each check find the fault that it is there for.
func TestAudit(t *testing.T) {
	v := visit(t)
	v.look(manyLooks[0])
	v.run("document.open(); document.write(" + strconv.Quote(planted) + "); document.close()")
	found := strings.Join(eval[[]string](v, audit), "\n")
	for _, want := range []string{
		"no language", "no title", "2 first headings", "skips a level", "no landmark", "twice is there 2 times", "has no name: <a", "no label", "no text in its place", "a picture has no name",
		"a heading of a table", "no item", "style of its own", "3000 wide", "small to press", "contrast is 2.85", "small to read", "a state has no word",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("it is not found: %s", want)
		}
	}
	if t.Failed() {
		t.Log(found)
	}
}
