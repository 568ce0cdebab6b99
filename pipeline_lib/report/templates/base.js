/* State of every page: filters, sorting, the item looked at and the theme live in the address (#filter=…&at=…), so that a
   view can be linked, tested and kept. Page scripts use `report`; the page is readable without any of this. */
"use strict";
const report = (() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const form = document.querySelector("form.filters");
  const items = all("[data-item]");
  const slug = (item) => decodeURIComponent(item.id.slice(3)); // ids are at=<slug>, so that links work without scripts
  const slugs = new Map(items.map((item) => [slug(item), item]));
  const entries = new Map(all("a.entry").map((a) => [a.getAttribute("href").slice(1), a]));
  const listeners = { show: [], change: [], key: [], match: [] };
  const on = (what, listener) => listeners[what].push(listener);
  const fire = (what, ...values) => listeners[what].forEach((listener) => listener(...values));

  // ── state ↔ address ──
  let state = read();
  function read() {
    return new URLSearchParams(location.hash.slice(1));
  }
  function get(name) {
    return state.get(name) ?? "";
  }
  function set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === "" || value === null || value === undefined) state.delete(name);
      else state.set(name, value);
    }
    const hash = "#" + state.toString();
    try {
      history.replaceState(null, "", hash);
    } catch {
      location.replace(hash);
    }
    apply();
  }

  // ── controls ──
  const controls = form ? all("[name]", form) : [];
  function fallback(control) {
    if (control.type === "radio") return controls.find((other) => other.name === control.name).value;
    return control.tagName === "SELECT" ? control.options[0].value : "";
  }
  function fill() {
    for (const control of controls) {
      const wanted = get(control.name) || fallback(control);
      if (control.type === "radio") control.checked = control.value === wanted;
      else if (control.value !== wanted) control.value = wanted;
      if (control.tagName === "SELECT" && control.selectedIndex < 0) control.selectedIndex = 0;
    }
  }
  function value(name) {
    const found = controls.filter((control) => control.name === name);
    const one = found.find((control) => control.type !== "radio" || control.checked) ?? found[0];
    return one ? one.value : get(name);
  }

  // ── which items show, and in which order ──
  const tokens = new Map();
  function has(item, name, wanted) {
    const text = item.dataset[name];
    if (text === undefined || wanted === "" || wanted === "all") return true;
    if (!tokens.has(text)) tokens.set(text, new Set(JSON.parse(text)));
    return tokens.get(text).has(wanted);
  }
  function matches(item) {
    for (const word of value("q").toLowerCase().split(/\s+/)) {
      if (word && !item.dataset.text.includes(word)) return false;
    }
    const names = new Set(controls.map((control) => control.name));
    for (const name of names) if (!has(item, name, value(name))) return false;
    return listeners.match.every((also) => also(item));
  }
  let order = "";
  function sort() {
    const [key, direction] = value("sort").split("-");
    if (order === value("sort") || !items.length) return;
    order = value("sort");
    const name = "sort" + (key ? key[0].toUpperCase() + key.slice(1) : "");
    const sign = direction === "down" ? -1 : 1;
    const places = new Map(items.map((item, place) => [item, place]));
    const ranked = [...items].sort((a, b) => {
      const [x, y] = [a.dataset[name] ?? "", b.dataset[name] ?? ""];
      return sign * (x - y) || places.get(a) - places.get(b);
    });
    const parent = items[0].parentNode;
    const after = items[items.length - 1].nextSibling;
    ranked.forEach((item) => parent.insertBefore(item, after && after.parentNode === parent ? after : null));
    ranked.forEach((item) => entries.get(item.id)?.parentNode.append(entries.get(item.id)));
  }
  function visible() {
    return all("[data-item]:not([hidden])");
  }
  function apply() {
    fill();
    root.dataset.theme = get("theme");
    for (const name of new Set(controls.map((control) => control.name))) root.dataset[name] = value(name);
    sort();
    let shown = 0;
    for (const item of items) {
      item.hidden = !matches(item);
      shown += !item.hidden;
      const entry = entries.get(item.id);
      if (entry) entry.hidden = item.hidden;
    }
    const count = document.querySelector("[data-count]");
    if (count) count.textContent = report.count ? report.count(shown) : `${shown} of ${items.length}`;
    const nothing = document.querySelector("[data-nothing]");
    nothing.hidden = shown > 0 || !items.length;
    mark();
    fire("change");
  }

  // ── the item looked at ──
  function current() {
    return slugs.get(get("at"));
  }
  function mark() {
    const here = current();
    for (const item of items) item.toggleAttribute("data-current", item === here);
    for (const [id, entry] of entries) {
      if (here && id === here.id) entry.setAttribute("aria-current", "true");
      else entry.removeAttribute("aria-current");
    }
  }
  function go(item, clear = {}) {
    if (!item) return;
    set({ ...clear, at: slug(item) });
    item.focus({ preventScroll: true });
    expand(item);
    item.scrollIntoView({ block: "start" });
    entries.get(item.id)?.scrollIntoView({ block: "nearest" });
  }
  function step(by) {
    const shown = visible();
    if (!shown.length) return;
    const inView = (item) => {
      const box = item.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight;
    };
    const here = current();
    const place = here && !here.hidden && inView(here) ? shown.indexOf(here) + by : shown.findIndex(inView);
    go(shown[Math.min(Math.max(place, 0), shown.length - 1)], report.transient);
  }

  // ── content that is parsed when it comes near ──
  function expand(item) {
    for (const host of all("[data-lazy]", item)) {
      const noscript = host.querySelector("noscript");
      host.removeAttribute("data-lazy");
      host.style.minHeight = "";
      if (!noscript) continue;
      host.innerHTML = noscript.textContent; // the page's own markup, escaped when it was written
      fire("show", item, host);
    }
  }
  const near = new IntersectionObserver((seen) => steady(() => seen.forEach(approach)), { rootMargin: "800px 0px" });
  function approach(one) {
    if (!one.isIntersecting) return;
    near.unobserve(one.target);
    expand(one.target);
  }
  /* What grows above the item looked at must not push it away. */
  function steady(work) {
    const here = current();
    const top = () => here.getBoundingClientRect().top;
    const before = here && !here.hidden ? top() : null;
    work();
    if (before !== null && before > -here.offsetHeight && before < innerHeight) scrollBy(0, top() - before);
  }
  addEventListener("beforeprint", () => visible().forEach(expand));

  // ── keyboard and pointer ──
  const dialog = document.querySelector("dialog.keys");
  const typing = (target) => target.matches?.("input[type=search], input[type=text], textarea, select");
  const THEMES = ["", "light", "dark"];
  const turn = () => set({ theme: THEMES[(THEMES.indexOf(get("theme")) + 1) % THEMES.length] });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const actions = {
      j: () => step(1),
      k: () => step(-1),
      "/": () => form?.querySelector("input[type=search]")?.focus(),
      t: turn,
      "?": () => dialog.showModal(),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    } else fire("key", event, current());
  });
  addEventListener("click", (event) => {
    const target = event.target.closest?.("a.entry, [data-theme-button], [data-help-button], [data-reset]");
    if (!target) return;
    if (target.matches("a.entry")) {
      event.preventDefault();
      go(items.find((item) => item.id === target.getAttribute("href").slice(1)), report.transient);
    } else if (target.matches("[data-theme-button]")) turn();
    else if (target.matches("[data-help-button]")) dialog.showModal();
    else set(Object.fromEntries([...state.keys()].filter((name) => name !== "theme").map((name) => [name, ""])));
  });
  form?.addEventListener("input", (event) => {
    const control = event.target;
    set({ [control.name]: control.value === fallback(control) ? "" : control.value });
  });
  form?.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    state = read();
    apply();
    current() && !current().hidden && go(current());
  });
  const bar = () => form && root.style.setProperty("--bar", `${getComputedStyle(form).position === "sticky" ? form.offsetHeight : 0}px`);
  addEventListener("resize", bar);

  // Page scripts set `count` and `transient` and listen before this starts.
  function start() {
    bar();
    apply();
    items.forEach((item) => near.observe(item));
    if (get("at") && current() && !current().hidden) go(current());
  }
  addEventListener("DOMContentLoaded", start);
  return { all, on, get, set, value, has, slug, items, expand, current, go, count: null, transient: {} };
})();
