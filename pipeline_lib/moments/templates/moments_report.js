/* One predicted window of a query is chosen, at first the first one: it is marked in the timeline and the table, and so are the
   frames that it covers. It stands in the address for the query looked at (#at=…&window=2, counted from 1). */
"use strict";
(() => {
  const { all, get, set } = report;
  report.transient = { window: "" };
  report.count = (shown) => `${shown} of ${report.items.length} queries`;

  const choices = new WeakMap(); // item → window, when it isn't the one in the address
  const rows = (item) => all("tr[data-window]", item);
  function chosen(item) {
    const wanted = Number(item === report.current() && get("window") ? get("window") : (choices.get(item) ?? 1));
    return Math.min(Math.max(Math.round(wanted) || 1, 1), rows(item).length);
  }
  function choose(item, window) {
    const number = Math.min(Math.max(window, 1), rows(item).length);
    choices.set(item, number);
    set({ at: report.slug(item), window: number > 1 ? number : "" });
  }
  const drawn = new WeakMap();
  function draw(item) {
    if (!rows(item).length) return; // not parsed yet, or nothing predicted
    const window = chosen(item);
    if (drawn.get(item) === window) return;
    drawn.set(item, window);
    for (const row of rows(item)) row.classList.toggle("selected", Number(row.dataset.window) === window);
    let span = null;
    for (const button of all("button[data-window]", item)) {
      const here = Number(button.dataset.window) === window;
      button.setAttribute("aria-pressed", String(here));
      if (here) span = button;
    }
    const timeline = item.querySelector(".timeline");
    const [from, width] = [parseFloat(span.style.left) / 100, parseFloat(span.style.width) / 100];
    timeline.style.setProperty("--from", from);
    timeline.style.setProperty("--to", from + width);
    const frames = all(".film img", item);
    frames.forEach((frame, place) => {
      const [left, right] = [place / frames.length, (place + 1) / frames.length];
      frame.classList.toggle("off", right <= from || left >= from + width);
    });
  }

  report.on("show", draw);
  report.on("change", () => report.current() && draw(report.current()));
  addEventListener("click", (event) => {
    const item = event.target.closest?.("[data-item]");
    const part = event.target.closest?.("[data-window]");
    if (item && part) choose(item, Number(part.dataset.window));
  });
  report.on("key", (event, here) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const item = event.target.closest?.("[data-item]") ?? here;
    if (!move || !item) return;
    event.preventDefault();
    report.expand(item);
    if (rows(item).length) choose(item, chosen(item) + move);
  });
})();
