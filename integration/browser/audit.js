// What a page must be for everybody. It returns what it is not, as sentences.
(() => {
  const found = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0;
  const hidden = (e) => !!e.closest("[aria-hidden=true], .sr, .skip");
  const say = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 100);

  // The document.
  if (!document.documentElement.lang) found.push("it has no language");
  if (!document.title.trim()) found.push("it has no title");
  const landmarks = { main: all("main"), h1: all("h1").filter(shown) };
  if (landmarks.main.length !== 1) found.push(`it has ${landmarks.main.length} main landmarks`);
  if (landmarks.h1.length !== 1) found.push(`it has ${landmarks.h1.length} first headings`);
  let last = 0;
  for (const h of all("main h1, main h2, main h3, main h4").filter(shown)) {
    const level = Number(h.nodeName[1]);
    if (level > last + 1) found.push(`a heading skips a level: ${say(h)}`);
    last = level;
  }
  for (const e of all("body *")) {
    if (shown(e) && !e.closest("header, main, footer, dialog, noscript, .skip, .sr, script") && e.innerText?.trim()) found.push(`it is in no landmark: ${say(e)}`);
  }
  const ids = new Map();
  for (const e of all("[id]")) ids.set(e.id, (ids.get(e.id) || 0) + 1);
  for (const [id, n] of ids) if (n > 1) found.push(`the id ${id} is there ${n} times`);

  // Names.
  const labelled = (e) => (e.getAttribute("aria-labelledby") || "").split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();
  const name = (e) => (e.getAttribute("aria-label") || labelled(e) || e.textContent || e.querySelector("img")?.alt || "").trim();
  for (const e of all("a[href], button, summary").filter(shown)) if (!name(e)) found.push(`it has no name: ${say(e)}`);
  for (const e of all("input:not([type=hidden]), select, textarea").filter(shown)) {
    if (!e.labels?.length && !e.getAttribute("aria-label") && !labelled(e)) found.push(`it has no label: ${say(e)}`);
  }
  for (const e of all("img")) if (!e.hasAttribute("alt")) found.push(`it has no text in its place: ${say(e)}`);
  for (const e of all("svg")) {
    if (e.getAttribute("role") === "img" ? !name(e) : !e.closest("[aria-hidden=true]")) found.push(`a picture has no name and is not hidden: ${say(e)}`);
  }
  for (const e of all("[aria-labelledby], [aria-describedby]")) {
    for (const id of `${e.getAttribute("aria-labelledby") || ""} ${e.getAttribute("aria-describedby") || ""}`.trim().split(/\s+/)) {
      if (id && e.nodeName !== "DIALOG" && !document.getElementById(id)) found.push(`${id} is not there, which names ${say(e)}`);
    }
  }
  for (const e of all("dialog[open]")) if (!name(e)) found.push("a dialog has no name");
  for (const e of all("table th")) if (!e.scope) found.push(`a heading of a table says of what: ${say(e)}`);
  for (const e of all("ul > *, ol > *")) if (e.nodeName !== "LI") found.push(`it is in a list and no item: ${say(e)}`);
  for (const e of all("[style]")) found.push(`it has a style of its own: ${say(e)}`);

  // Sizes.
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`it is ${wide} wide, and there is room for ${innerWidth}: ${all("body *").filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")).slice(0, 3).map(say).join(" | ")}`);
  for (const e of all("a[href], button, input:not([type=hidden]), select, summary").filter(shown)) {
    if (e.closest("p, li, .skip") && e.nodeName === "A" && !e.className) continue; // in a text
    const r = e.getBoundingClientRect();
    if (r.height < 24 || r.width < 24) found.push(`it is small to press, ${Math.round(r.width)} × ${Math.round(r.height)}: ${say(e)}`);
  }

  // Contrast, as it is computed: of each text with what is behind it.
  const parse = (color) => {
    const n = color.match(/[\d.]+/g)?.map(Number) || [0, 0, 0, 0];
    if (color.startsWith("color(srgb")) return [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1];
    return [n[0], n[1], n[2], n[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const grounds = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const drawn = style.backgroundImage.match(/rgba?\([^)]*\)|color\(srgb[^)]*\)/g);
      if (drawn) return drawn.map((c) => layers.reduceRight((below, layer) => over(layer, below), parse(c)));
      const color = parse(style.backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    const base = layers.length && layers[layers.length - 1][3] === 1 ? layers.pop() : [255, 255, 255, 1];
    return [layers.reduceRight((below, layer) => over(layer, below), base)];
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((x) => x / 255).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || !e || !shown(e) || e.closest(".sr, .skip, script, noscript, title, option")) continue;
    texts++;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const color = parse(e instanceof SVGElement ? style.fill : style.color);
    const needs = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    for (const ground of grounds(e)) {
      const is = contrast(over(color, ground), ground);
      if (is < needs) found.push(`its contrast is ${is.toFixed(2)}, and must be ${needs}: “${walker.currentNode.nodeValue.trim().slice(0, 40)}” in ${say(e)}`);
    }
    if (size < 12 && !(e instanceof SVGElement)) found.push(`it is small to read, ${size} px: ${say(e)}`);
  }
  if (texts < 3) found.push(`there are ${texts} texts on it`);
  // What is told by a shape or a color is told by a word, too.
  for (const e of all(".badge")) if (!e.textContent.trim()) found.push(`a state has no word: ${say(e)}`);
  return [...new Set(found)].slice(0, 40);
})()
