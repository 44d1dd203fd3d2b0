//go:build browser

package browser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tidegate/integration/fixture"
)

//go:embed audit.js
var audit string

// chromium finds a browser.
func chromium(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("TIDEGATE_CHROMIUM"); named != "" {
		return named
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	t.Fatal("there is no Chromium: install it (.ci/browser does where it may; apt-get install chromium), or say where it is in TIDEGATE_CHROMIUM")
	return ""
}

// A visitor is somebody with a browser of his own.
type visitor struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	complains []string // what the browser complains of
}

// visit opens a browser.
func visit(t *testing.T) *visitor {
	t.Helper()
	profile, err := os.MkdirTemp("", "tidegate-browser-")
	check(t, err)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.WSURLReadTimeout(outage),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, leave := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		leave()
		end()
		_ = os.RemoveAll(profile)
	})
	v := &visitor{t: t, ctx: ctx}
	check(t, chromedp.Do(ctx)) // which opens it
	check(t, chromedp.Listen(ctx, v.hear))
	_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	check(t, err)
	return v
}

// hear notes what the browser complains of: scripts that fail, what the page's policy
// forbids, what cannot be loaded.
func (v *visitor) hear(event any) {
	said := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		said = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			said += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			for _, arg := range e.Args {
				said += string(arg.Value) + arg.Description + " "
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning || e.Entry.Source == log.EntrySourceSecurity {
			said = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if said != "" {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.complains = append(v.complains, said)
	}
}

// forget forgets a complaint that was to be.
func (v *visitor) forget(part string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.complains = slices.DeleteFunc(v.complains, func(said string) bool { return strings.Contains(said, part) })
}

// quiet fails the test if the browser has complained.
func (v *visitor) quiet(about string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, said := range v.complains {
		v.t.Errorf("%s: the browser complains: %s", about, said)
	}
	v.complains = nil
}

func (v *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, outage)
	defer cancel()
	check(v.t, chromedp.Do(ctx, steps...))
}

// tell is the value of an expression on the page, if it has one now.
func tell[T any](v *visitor, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(v.ctx, outage)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// eval is the value of an expression on the page.
func eval[T any](v *visitor, expression string) T {
	v.t.Helper()
	value, err := tell[T](v, expression)
	if err != nil {
		v.t.Fatalf("%s: %v", expression[:min(len(expression), 300)], err)
	}
	return value
}

// run does something on the page.
func (v *visitor) run(script string) {
	v.t.Helper()
	eval[bool](v, "(() => { "+script+"; return true; })()")
}

// click presses what a selector finds.
func (v *visitor) click(selector string) {
	v.t.Helper()
	v.do(chromedp.Click(chromedp.CSS(selector)))
}

// ask presses a button or a link of a page that is live. What stands above it may come and
// go meanwhile, so that the mouse would miss it, and so may the focus before a key is pressed:
// it is pressed in one step.
func (v *visitor) ask(selector string) {
	v.t.Helper()
	v.await("there is "+selector, fmt.Sprintf(`document.querySelector(%q)`, selector))
	v.run(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.click(); })()`, selector))
}

// write writes into a field.
func (v *visitor) write(selector, text string) {
	v.t.Helper()
	v.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// text is what an element says; empty: there is none.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	return eval[string](v, fmt.Sprintf(`(document.querySelector(%q)?.innerText || "").trim()`, selector))
}

// await waits until an expression is true. A page that is just being left, or has not yet
// what the expression looks at, is asked again.
func (v *visitor) await(what, expression string) {
	v.t.Helper()
	seen := false
	var why error
	defer func() {
		if !seen {
			shows, _ := tell[string](v, `document.body?.innerText || ""`)
			v.t.Logf("%s: %v; the page said:\n%s", expression, why, tail(shows))
		}
	}()
	fixture.Await(v.t, outage, what, func() (is bool) {
		is, why = tell[bool](v, "!!("+expression+")")
		return is
	})
	seen = true
}

// open goes to an address.
func (v *visitor) open(address string) {
	v.t.Helper()
	v.do(chromedp.Navigate(address))
}

// looks is how somebody looks at a page.
type looks struct {
	name   string
	scheme string
	width  int64
}

var manyLooks = []looks{{"light", "light", 1440}, {"dark", "dark", 1440}, {"small laptop", "light", 1210}, {"tablet, wide", "light", 1000}, {"tablet", "light", 800}, {"narrow", "light", 360}, {"narrow and dark", "dark", 360}}

func (v *visitor) look(l looks) {
	v.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	_, err := chromedp.Call(v.ctx, emulation.SetEmulatedMedia, media)
	check(v.t, err)
	v.do(chromedp.EmulateViewport(l.width, 900))
}

// audits checks what a page must be for everybody, however one looks at it.
func (v *visitor) audits(about string) {
	v.t.Helper()
	for _, l := range manyLooks {
		v.look(l)
		for _, found := range eval[[]string](v, audit) {
			v.t.Errorf("%s, %s: %s", about, l.name, found)
		}
	}
	v.look(manyLooks[0])
}

// press presses keys.
func (v *visitor) press(keys ...string) {
	v.t.Helper()
	for _, key := range keys {
		v.do(chromedp.KeyEvent(key))
	}
}

// rings walks over a page with the tab key, and checks that one sees where one is.
func (v *visitor) rings(about string) {
	v.t.Helper()
	v.run(`document.activeElement?.blur?.(); window.scrollTo(0, 0)`)
	seen := 0
	for range 12 {
		v.press(kb.Tab)
		where := eval[[]string](v, `(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.outerHTML.slice(0, 120), s.outlineStyle, s.outlineWidth]; })()`)
		if strings.HasPrefix(where[0], "<body") {
			continue
		}
		seen++
		if where[1] == "none" || where[2] == "0px" {
			v.t.Errorf("%s: one does not see that the focus is on %s", about, where[0])
		}
	}
	if seen < 3 {
		v.t.Errorf("%s: the tab key comes by %d things", about, seen)
	}
}

// mostBytes bounds a picture that is in the repository.
const mostBytes = 200_000

// shoot saves a picture of a page, as high as that is.
func (v *visitor) shoot(path string, l looks, high int64) {
	v.t.Helper()
	v.look(l)
	v.do(chromedp.EmulateViewport(l.width, high))
	ctx, cancel := context.WithTimeout(v.ctx, outage)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	check(v.t, err)
	if len(picture) > mostBytes {
		v.t.Errorf("%s has %d bytes, more than %d", path, len(picture), mostBytes)
	}
	check(v.t, os.WriteFile(path, picture, 0o644))
}
