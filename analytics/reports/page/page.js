"use strict";
(() => {
  const root = document.documentElement;
  const card = location.hash === "#card";
  if (card) root.classList.add("card");
  const holders = [...document.querySelectorAll(".chart")].filter((each) => !card || each.closest(".on-card"));
  const NARROW = 560, PAPER = 680, SHORT = 16;

  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  // Names on a narrow screen leave room for the marks.
  const short = (text) => {
    const whole = text.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
    if (whole.length <= SHORT) return text;
    const cut = [...whole].slice(0, SHORT - 1).join("") + "…";
    return cut.replace(/[&<>]/g, (each) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[each]);
  };

  const layoutFor = (layout, width) => {
    const found = structuredClone(layout);
    found.width = width;
    if (width < NARROW) {
      found.font.size = 11;
      if (found.yaxis?.ticktext) found.yaxis.ticktext = found.yaxis.ticktext.map(short);
      if (found.xaxis) found.xaxis.nticks = 5;
      if (found.meta?.outside) found.xaxis.range[1] *= 1.35;
      if (found.showlegend) found.height += 22 * Math.ceil((found.meta?.rows ?? 0) / 2);
    }
    return found;
  };

  // A drawing without a view box cannot be scaled to paper.
  const scalable = (holder) => {
    for (const each of holder.querySelectorAll(".main-svg")) {
      each.setAttribute("viewBox", `0 0 ${each.getAttribute("width")} ${each.getAttribute("height")}`);
    }
  };

  const widths = new WeakMap();
  const draw = (holder, chart, width) => {
    if (widths.get(holder) === width || width < 50) return;
    widths.set(holder, width);
    Plotly.newPlot(holder, chart.data, layoutFor(chart.layout, width), { displayModeBar: false, scrollZoom: false });
    scalable(holder);
  };

  const start = async () => {
    const library = document.getElementById("library");
    if (!library) return;
    const charts = JSON.parse(document.getElementById("charts").textContent);
    const script = document.createElement("script");
    script.textContent = await unpacked(library.textContent);
    // Plotly brings a style for maps, which the page's policy rightly refuses; it asks for this id first.
    for (const [, id] of script.textContent.matchAll(/getElementById\("([0-9a-f]{64})"\)/g)) {
      const taken = document.createElement("template");
      taken.id = id;
      document.body.append(taken);
    }
    document.head.append(script);
    const all = (width) => holders.forEach((holder) => draw(holder, charts[holder.dataset.chart], width ?? holder.clientWidth));
    all();
    let pending = 0;
    addEventListener("resize", () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(() => all()); });
    addEventListener("beforeprint", () => all(PAPER));
    addEventListener("afterprint", () => all());
  };

  const folded = document.querySelectorAll("details");
  addEventListener("beforeprint", () => folded.forEach((each) => { each.open = true; }));

  start().then(
    () => { root.dataset.drawn = "yes"; },
    (error) => {
      root.dataset.drawn = "no";
      for (const each of holders) each.textContent = "This browser cannot draw the chart; the table tells the same.";
      console.error(error);
    },
  );
})();
