"use strict";
(() => {
  const rows = [...document.querySelectorAll(".row")];
  const find = document.getElementById("find");
  const boxes = [...document.querySelectorAll("[type=checkbox][data-verdict]")];
  const shown = document.getElementById("shown");
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const apply = () => {
    const wanted = find.value.trim().toLowerCase();
    const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.verdict));
    let count = 0;
    for (const row of rows) {
      const visible = verdicts.has(row.dataset.verdict) && (!wanted || textOf(row).includes(wanted));
      row.hidden = !visible;
      count += visible;
    }
    shown.textContent = `${count} of ${rows.length} rows`;
  };
  const go = (row) => {
    row.hidden = false;
    row.querySelector("summary").focus();
    row.scrollIntoView({ block: "center" });
  };
  const next = (step) => {
    const stops = rows.filter((row) => !row.hidden && row.dataset.verdict !== "equal");
    if (!stops.length) return;
    const here = stops.indexOf(document.activeElement.closest(".row"));
    const last = step > 0 ? stops.length - 1 : 0;
    const from = here < 0 ? (step > 0 ? -1 : stops.length) : here;
    go(stops[Math.min(Math.max(from + step, 0), stops.length - 1)] ?? stops[last]);
  };
  const setAll = (open) => {
    for (const row of rows) if (!row.hidden && row.dataset.verdict !== "equal") row.open = open;
  };
  const keys = {
    "/": () => find.focus(),
    n: () => next(1),
    p: () => next(-1),
    o: () => setAll(true),
    c: () => setAll(false),
    d: () => {
      const row = document.querySelector(".divergence");
      if (row) go(row);
    },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === find) {
      if (event.key === "Escape") find.blur();
      return;
    }
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  let wait = 0;
  find.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(apply, 120);
  });
  for (const box of boxes) box.addEventListener("change", apply);
  addEventListener("beforeprint", () => setAll(true));
  apply();
})();
