// The page is made by the server. This keeps it live: it takes the sections that have
// changed, runs the countdowns, and asks before something is done.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  let ahead = 0; // how far the server's clock is ahead of this one's, in milliseconds
  const now = () => Date.now() + ahead;

  // span says a time as the server does.
  function span(ms) {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60);
    const two = (a, of, b, rest) => (b ? `${a} ${of} ${b} ${rest}` : `${a} ${of}`);
    if (s < 60) return `${s} s`;
    if (h < 1) return two(m, "min", s % 60, "s");
    if (h < 48) return two(h, "h", m % 60, "min");
    return `${Math.floor(h / 24)} days`;
  }

  function clock(ms, rough) {
    const at = new Date(ms), today = new Date(now()).toDateString() === at.toDateString();
    const second = rough && ms - now() > 600000 ? {} : { second: "2-digit" };
    const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...second, hourCycle: "h23" });
    return today ? time : `${at.toLocaleDateString([], { month: "short", day: "numeric" })}, ${time}`;
  }

  // Times are told anew each second, and where something was changed.
  function tell(root) {
    for (const e of root.querySelectorAll("[data-until]")) {
      const left = Number(e.dataset.until) - now();
      write(e, left <= 0 && e.dataset.soon ? e.dataset.soon : span(left + 999));
    }
    for (const e of root.querySelectorAll("[data-ago]")) write(e, span(now() - Number(e.dataset.ago)));
    for (const e of root.querySelectorAll("[data-clock]")) write(e, clock(Number(e.dataset.clock), e.hasAttribute("data-rough")));
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  const told = (e) => e.nodeType === 1 && (e.hasAttribute("data-until") || e.hasAttribute("data-ago") || e.hasAttribute("data-clock"));

  // morph makes one element like another, and leaves alone what is the same: so nobody
  // loses the place where he reads, or the button that he is about to press.
  function morph(from, to) {
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
    for (const { name, value } of to.attributes) {
      if (name === "open" && from.nodeName === "DETAILS") continue; // it is as somebody left it
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    if (told(from) && told(to)) return; // tell writes it
    children(from, to);
  }

  function children(from, to) {
    const keyed = new Map();
    for (const child of from.children) if (child.id) keyed.set(child.id, child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const known = wanted.id ? keyed.get(wanted.id) : undefined;
      if (known && known !== at) {
        from.insertBefore(known, at);
        at = known;
      }
      if (at && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName && (at.id || "") === (wanted.id || "")) {
        if (at.nodeType === 1) morph(at, wanted);
        else if (at.nodeValue !== wanted.nodeValue) at.nodeValue = wanted.nodeValue;
        at = at.nextSibling;
      } else {
        from.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function take(id, html) {
    const section = $(id);
    if (!section) return;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const focused = document.activeElement;
    children(section, parsed.body);
    if (focused !== document.activeElement && section.contains(focused)) focused.focus({ preventScroll: true }); // it was moved
    tell(section);
    const say = $("say-now"), aloud = $("say");
    if (id === "now" && say && aloud && aloud.textContent !== say.textContent) {
      if (spoken) aloud.textContent = say.textContent;
      spoken = true;
    }
    if (id === "now") entitle();
  }
  let spoken = false; // who comes anew reads the headline by itself

  // entitle has the title say it, too, to who has the page behind others.
  const named = document.title;
  function entitle() {
    const mood = $("headline")?.dataset.mood;
    document.title = !linked ? named : mood === "alarm" || mood === "warning" ? `${mood === "alarm" ? "■" : "▲"} ${$("now-title").textContent}` : named;
  }

  // The line to the server, and what is said of it.
  let stream, read = Number(document.body.dataset.read || 0), away = false, linked = false, tried = false, full = false, version;
  let heard = Date.now(); // when anything came, by this clock
  function link() {
    const shown = $("link");
    if (!shown || !tried) return;
    shown.hidden = false;
    const old = Math.max(0, now() - read);
    const state = !linked ? "lost" : away || old > 15000 ? "old" : "live";
    const lost = $("lost"), was = shown.dataset.state;
    shown.dataset.state = state;
    write($("link-text"), state === "lost" ? "Not connected" : state === "old" ? `As of ${span(old)} ago` : "Live");
    const silent = Date.now() - heard > silence;
    const why = full ? "Too many people look at once." : state === "lost" || silent ? "The server does not answer." : "";
    lost.hidden = why === "";
    if (why) {
      write($("lost-why"), why);
      write($("lost-old"), read ? ` What is shown is how it stood ${span(old)} ago, at ${clock(read)}.` : "");
    }
    if (was === "live" && state === "lost") $("say").textContent = "The server does not answer. What is shown is how it was.";
    if (was === "lost" && state === "live") $("say").textContent = "The page is live again.";
    document.body.dataset.link = why ? "lost" : state;
  }

  // A server that goes on is heard of every two seconds. After this time of nothing the
  // line is thought to be dead, whatever it looks like.
  const silence = 20000;
  function listen() {
    heard = Date.now();
    linked = tried = true;
  }

  function follow() {
    stream?.close();
    stream = new EventSource(`/page/live?window=${document.body.dataset.window}`);
    const mine = stream;
    stream.addEventListener("hello", () => {
      full = false;
      listen();
    });
    stream.addEventListener("beat", listen);
    stream.addEventListener("full", () => { full = true; });
    stream.addEventListener("section", (e) => {
      listen();
      const made = JSON.parse(e.data);
      take(made.id, made.html);
    });
    stream.addEventListener("tick", (e) => {
      listen();
      const said = JSON.parse(e.data);
      if (version && version !== said.version && !dialog?.open) location.reload(); // the program is another one, and so is its page
      version ??= said.version;
      ahead = said.now - Date.now();
      read = said.read;
      away = said.away;
      document.body.dataset.ticks = Number(document.body.dataset.ticks || 0) + 1;
      link();
      entitle();
    });
    stream.addEventListener("error", () => {
      if (mine !== stream) return;
      linked = false;
      tried = true;
      link();
      entitle();
      if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (mine === stream) again(); }, 3000);
    });
  }

  // A browser has six lines to a server, and each page that is live has one of them: who
  // cannot see the page needs none.
  const unseen = 60000;
  let leaves;
  function seen() {
    clearTimeout(leaves);
    if (document.hidden) {
      leaves = setTimeout(() => {
        stream?.close();
        stream = undefined;
        document.title = named;
      }, unseen);
    } else if (!stream) {
      heard = Date.now();
      follow();
    }
  }

  const login = () => location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`); // and back here

  // again finds out whether somebody is still let in.
  async function again() {
    try {
      const answer = await fetch("/page/alive", { cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) {
        login();
        return;
      }
    } catch { /* the server is away */ }
    if (stream) follow();
  }

  // What somebody does is asked for above the page.
  const dialog = $("ask");
  async function ask(url, options) {
    let text;
    try {
      const answer = await fetch(url, { ...options, headers: { "X-Part": "1" }, cache: "no-store" });
      if (answer.status === 401) {
        login();
        return;
      }
      text = await answer.text();
    } catch {
      text = '<div class="form"><h2 id="ask-title" tabindex="-1">The server does not answer</h2><p>Whether it was done is shown when it is back.</p><p class="buttons"><a class="main" href="/" data-close>Back to the page</a></p></div>';
    }
    const parsed = new DOMParser().parseFromString(text, "text/html");
    dialog.replaceChildren(...parsed.body.childNodes);
    if (!dialog.open) dialog.showModal();
    (dialog.querySelector("input:not([type=hidden]),select") || dialog.querySelector("[data-done] [data-close]") || $("ask-title"))?.focus();
    const done = dialog.querySelector("[data-done] h2");
    if (done && $("say")) $("say").textContent = done.textContent;
  }

  if (dialog) {
    let asker; // where the focus was
    document.addEventListener("click", (e) => {
      if (!(e.target instanceof Element) || e.ctrlKey || e.metaKey || e.shiftKey) return;
      const act = e.target.closest("a[data-act]");
      if (act) {
        e.preventDefault();
        asker = act.getAttribute("href");
        ask(act.href);
      } else if (e.target.closest("dialog [data-close]")) {
        e.preventDefault();
        dialog.close();
      } else if (e.target === dialog) {
        dialog.close(); // what is around it
      }
    });
    dialog.addEventListener("submit", (e) => {
      e.preventDefault();
      const form = e.target;
      for (const button of form.querySelectorAll("button")) button.disabled = true;
      ask(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) });
    });
    dialog.addEventListener("close", () => {
      const back = [...document.querySelectorAll("a[data-act]")].find((a) => a.getAttribute("href") === asker);
      (back || $("main")).focus();
    });
  }

  const theme = $("theme");
  if (theme) {
    const root = document.documentElement;
    theme.hidden = false;
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    theme.setAttribute("aria-pressed", String(dark()));
    theme.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      theme.setAttribute("aria-pressed", String(dark()));
      try {
        localStorage.setItem("tidegate-theme", root.dataset.theme);
      } catch { /* it is for this page alone */ }
    });
  }

  tell(document);
  if ($("zone")) $("zone").textContent = `Times are of this browser's zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}, where no other is said.`;
  if (document.body.hasAttribute("data-again")) setTimeout(() => location.replace(location.pathname === "/page/act" ? "/" : location.pathname + location.search), 3000);
  if (document.body.dataset.window) {
    entitle();
    seen();
    document.addEventListener("visibilitychange", seen);
    setInterval(() => {
      tell(document);
      if (!stream) return;
      if (Date.now() - heard > 2 * silence) {
        linked = false;
        tried = true;
        heard = Date.now() - silence;
        follow();
      }
      link();
    }, 1000);
  }
})();
