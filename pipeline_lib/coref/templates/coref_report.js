/* One clip of a video at a time, and the sentence that its boxes speak for. Both stand in the address for the video looked
   at (#at=…&clip=2&sentence=5, counted from 1), so that a match can be linked. */
"use strict";
(() => {
  const { all, get, set, value } = report;
  const MARKS = {
    correct: ["correct"],
    false_positives: ["wrong"],
    false_negatives: ["missed"],
    errors: ["wrong", "missed"],
  };
  report.transient = { clip: "", sentence: "" };
  report.count = (shown) => {
    const total = report.items.filter((item) => report.has(item, "protocol", value("protocol"))).length;
    return `${shown} of ${total} videos`;
  };

  // An outcome and an event type are wanted of one and the same clip.
  report.on("match", (item) => {
    const [outcome, type] = [value("filter"), value("type")];
    return outcome === "all" || type === "all" || report.has(item, "pairs", `${outcome}|${type}`);
  });

  /* What the page leaves out of its many cells: which pair each is, the sentence beside its scores, bars. */
  function complete(item) {
    const texts = all(".heat tbody bdi", item);
    for (const row of all(".heat tbody tr", item)) {
      all("td", row).forEach((cell, clip) => Object.assign(cell.dataset, { c: clip, s: row.sectionRowIndex }));
    }
    for (const clip of all(".clip", item)) {
      for (const row of all("tbody tr", clip)) {
        const s = Number(row.querySelector("i").textContent) - 1;
        Object.assign(row.dataset, { c: clip.dataset.clip, s });
        row.cells[0].append(texts[s].cloneNode(true));
        for (const cell of [...row.cells].slice(2, 5)) cell.style.setProperty("--v", cell.textContent);
      }
    }
  }

  const choices = new WeakMap(); // item → {clip, sentence}, when it isn't the one in the address
  const cells = (item, clip) => all(`.heat td[data-c="${clip}"]`, item);
  const score = (cell) => Number(cell.textContent);
  const top = (item, clip) => Number(item.querySelector(`.clip[data-clip="${clip}"] tbody tr`).dataset.s); // they are ranked
  const best = (list) => list.reduce((found, cell) => (found && score(found) >= score(cell) ? found : cell), null);

  /* Whether the filters are after a pair, by its outcome and the types of the events that its clip shows. */
  function wanted(item) {
    const [outcome, type] = [value("filter"), value("type")];
    const marks = MARKS[outcome] ?? [];
    const clips = all(".clip", item).map((clip) => type === "all" || report.has(clip, "types", type));
    return (cell) => clips[cell.dataset.c] && (outcome === "all" || marks.some((one) => cell.classList.contains(one)));
  }
  /* The pair to begin with: the highest score among those that the filters are after, else among all. */
  function first(item) {
    const every = all(".heat td", item);
    const fitting = every.filter(wanted(item));
    const cell = best(fitting.length ? fitting : every);
    return { clip: Number(cell.dataset.c), sentence: Number(cell.dataset.s) };
  }
  function chosen(item) {
    const clips = all(".clip", item).length;
    const here = item === report.current() && get("clip");
    if (here) {
      const clip = Math.min(Math.max(Number(get("clip")) - 1 || 0, 0), clips - 1);
      const column = cells(item, clip);
      const sentence = get("sentence") ? Number(get("sentence")) - 1 : top(item, clip);
      return { clip, sentence: Math.min(Math.max(sentence || 0, 0), column.length - 1) };
    }
    return choices.get(item) ?? first(item);
  }
  function choose(item, clip, sentence = null) {
    const found = sentence ?? top(item, clip);
    choices.set(item, { clip, sentence: found });
    set({ at: report.slug(item), clip: clip + 1, sentence: sentence === null ? "" : found + 1 });
  }

  function draw(item) {
    if (!item.querySelector(".clip")) return; // not parsed yet
    const { clip, sentence } = chosen(item);
    for (const part of all(".clip, .clip-frames", item)) part.classList.toggle("chosen", Number(part.dataset.clip) === clip);
    for (const button of all("button[data-clip]", item)) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.clip) === clip));
    }
    const after = wanted(item);
    for (const cell of all("[data-s]", item)) {
      const here = Number(cell.dataset.c) === clip && Number(cell.dataset.s) === sentence;
      cell.classList.toggle("selected", here);
      if (!cell.matches("td")) continue;
      cell.tabIndex = here ? 0 : -1;
      cell.classList.toggle("off", !after(cell));
    }
    scroll(item.querySelector(".strip"), item.querySelector(".clip-frames.chosen"));
    for (const frames of all(".clip-frames", item)) {
      const number = Number(frames.dataset.clip);
      highlight(frames, number === clip ? sentence : top(item, number));
    }
  }
  function scroll(strip, part) {
    if (!part) return;
    const left = part.offsetLeft - strip.offsetLeft;
    const hidden = left < strip.scrollLeft || left + part.offsetWidth > strip.scrollLeft + strip.clientWidth;
    if (hidden) strip.scrollLeft = left - Math.max((strip.clientWidth - part.offsetWidth) / 2, 0);
  }
  const name = (box) => box.textContent.slice(0, box.textContent.lastIndexOf(", "));
  /* Boxes of a clip by how much they speak for a sentence: text · object as a share of the largest. */
  function highlight(frames, sentence) {
    const boxes = all("rect", frames).map((box) => ({ box, product: Number(box.dataset.t.split(" ")[sentence]) }));
    const most = Math.max(...boxes.map((one) => one.product), 0);
    for (const { box, product } of boxes) {
      box.style.setProperty("--strength", most > 0 ? Math.max(product, 0) / most : 0);
      box.classList.toggle("loudest", most > 0 && product === most);
    }
    for (const figure of all("figure", frames)) {
      const own = boxes.filter((one) => figure.contains(one.box));
      const loudest = own.reduce((found, one) => (found && found.product >= one.product ? found : one), null);
      figure.classList.toggle("loudest", Boolean(loudest && most > 0 && loudest.product === most));
      const text = loudest ? `${name(loudest.box)} ${loudest.product.toPrecision(2).replace("-", "−")}` : "";
      figure.querySelector("[data-driver]").textContent = text;
    }
  }

  report.on("show", (item) => {
    complete(item);
    draw(item);
  });
  let filter = null;
  report.on("change", () => {
    const now = value("filter") + value("type");
    if (filter !== null && filter !== now) for (const item of report.items) choices.delete(item);
    filter = now;
    document.documentElement.classList.toggle("boxes-all", get("boxes") === "all");
    for (const item of report.items) if (!item.hidden) draw(item);
  });

  addEventListener("click", (event) => {
    const item = event.target.closest?.("[data-item]");
    const part = event.target.closest?.("[data-clip], [data-s]");
    if (!item || !part) return;
    if (part.dataset.s !== undefined) choose(item, Number(part.dataset.c), Number(part.dataset.s));
    else if (!part.matches(".clip")) choose(item, Number(part.dataset.clip));
  });
  report.on("key", (event, here) => {
    if (event.key === "b") return set({ boxes: get("boxes") === "all" ? "" : "all" });
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    const cell = event.target.closest?.(".heat td");
    const item = cell?.closest("[data-item]") ?? here;
    if (!move || !item || (move[1] && !cell)) return;
    event.preventDefault();
    report.expand(item);
    const { clip, sentence } = chosen(item);
    const clips = all(".clip", item).length;
    const clamp = (number, count) => Math.min(Math.max(number, 0), count - 1);
    const next = clamp(clip + move[0], clips);
    choose(item, next, cell ? clamp(sentence + move[1], cells(item, next).length) : null);
    if (cell) item.querySelector(".heat td.selected").focus();
  });
})();
