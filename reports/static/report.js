// The report's behaviour: filter its rows, open what a link leads to, draw a history that passed.
"use strict";

(() => {
  const wordsOf = (form) => form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);

  // Filter `rows` as `form` says, and say in `status` how many are left.
  function filter(form, rows, status, wanted, what, none) {
    const texts = new Map(); // made when first asked for: a page opens unfiltered
    const textOf = (row) => {
      if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      return texts.get(row);
    };
    function apply() {
      const words = wordsOf(form);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !(wanted(row) && words.every((word) => textOf(row).includes(word)));
        if (!row.hidden) shown += 1;
      }
      status.textContent = `${shown} of ${rows.length} ${what} shown`;
      if (none) none.hidden = shown > 0;
    }
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
    return apply;
  }

  const checks = document.getElementById("filter");
  const applyChecks = filter(
    checks,
    [...document.querySelectorAll("tr[data-verdict]")],
    document.getElementById("shown"),
    (row) => checks.querySelector(`[value=${row.dataset.verdict}]`).checked,
    "checks",
    document.getElementById("none"),
  );
  const cases = document.getElementById("cases");
  if (cases) {
    filter(
      cases,
      [...document.querySelectorAll(".matrix tbody tr")],
      document.getElementById("cases-shown"),
      (row) => !cases.elements.amiss.checked || row.classList.contains("amiss"),
      "cases",
      null,
    );
  }

  const BIT = 2.6; // as in the diagrams that the page comes with
  const BITS_WIDTH = 64 * BIT + 4;
  const DONE = 1n << 62n;
  const RELEASED = 1n << 63n;

  // The path of the bits that are set, bit 63 leftmost, the two status bits apart.
  function bitsPath(word, x, y) {
    let path = "";
    for (let bit = 63; bit >= 0; bit -= 1) {
      if (!((word >> BigInt(bit)) & 1n)) continue;
      const at = x + (63 - bit) * BIT + (bit < 62 ? 4 : 0);
      path += `M${at.toFixed(1)} ${y}h${BIT - 0.4}v9h-${BIT - 0.4}z`;
    }
    return path;
  }

  function showWord(word) {
    const status = word & RELEASED ? (word & DONE ? "reserved" : "released") : word & DONE ? "done" : "ok";
    return `${status} ${word & (DONE - 1n)}`;
  }

  // A history in words, "wait? · kill? · exit · wait → ok", as a space-time diagram; `words` are the
  // specification's at the start and after each event, null where it has several.
  function draw(text, words) {
    const columns = [];
    const steps = text.split(" · ").map((event) => {
      const [call, outcome] = event.split(" → ");
      const begins = call.endsWith("?");
      const name = begins ? call.slice(0, -1) : call;
      if (!begins && outcome === undefined) return { column: -1, label: event };
      let column = begins ? -1 : columns.indexOf(name);
      if (column < 0) column = columns.indexOf(null) < 0 ? columns.length : columns.indexOf(null);
      columns[column] = begins ? name : null;
      return { column, label: begins ? name : `${name} → ${outcome}`, begins };
    });
    const width = 12 + 6.3 * Math.max(6, ...steps.map((step) => step.label.length)) + 20;
    const x = (column) => 40 + (column < 0 ? columns.length : column) * width;
    const height = 34 + steps.length * 24;
    const wordAt = x(-1) + width;
    const bitsAt = wordAt + 82;
    const svg = [];
    const put = (tag, given, inner = "") => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [key, value] of Object.entries(given)) node.setAttribute(key, value);
      node.textContent = inner;
      svg.push(node);
    };
    for (let column = 0; column <= columns.length; column += 1) {
      const at = x(column);
      put("line", { class: "line", x1: at, x2: at, y1: 24, y2: height });
      put("text", { class: "head", x: at - 4, y: 14 }, column < columns.length ? `call ${column + 1}` : "kernel");
    }
    const opened = {};
    steps.forEach((step, n) => {
      const y = 46 + n * 24;
      if (step.begins) opened[step.column] = y;
      else if (step.column >= 0 && opened[step.column]) {
        put("line", { class: "span", x1: x(step.column), x2: x(step.column), y1: opened[step.column], y2: y });
      }
      put("circle", { class: "dot", cx: x(step.column), cy: y, r: 3.5 });
      put("text", { x: x(step.column) + 10, y: y + 3.5 }, step.label);
      const word = words[n + 1];
      if (word === undefined || word === null) return;
      const stale = word === words[n] ? " stale" : "";
      put("text", { class: stale, x: wordAt, y: y + 3.5 }, showWord(word));
      put("rect", { class: `frame${stale}`, x: bitsAt, y: y - 4.5, width: BITS_WIDTH, height: 9 });
      put("path", { class: `bits${stale}`, d: bitsPath(word, bitsAt, y - 4.5) });
    });
    if (words.length) {
      put("text", { class: "call", x: wordAt, y: 14 }, "word");
      put("text", { class: "call", x: bitsAt, y: 14 }, "63 62");
      put("text", { class: "call", x: bitsAt + BITS_WIDTH, y: 14, "text-anchor": "end" }, "0");
    }
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("class", "lamport");
    drawn.setAttribute("width", words.length ? bitsAt + BITS_WIDTH + 12 : wordAt);
    drawn.setAttribute("height", height);
    drawn.setAttribute("aria-hidden", "true"); // the words before it say the same
    drawn.append(...svg);
    return drawn;
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) {
      checks.reset();
      applyChecks();
    }
    const closed = target.closest("details");
    if (closed) closed.open = true;
    if (target.matches(".seen li") && !target.querySelector("svg")) {
      const room = document.createElement("div");
      room.className = "scroll";
      const words = (target.dataset.words || "").split(" ").filter(Boolean);
      room.append(draw(target.textContent, words.map((w) => (w === "-" ? null : BigInt(`0x${w}`)))));
      target.append(room);
    }
    target.scrollIntoView();
  }

  function copyable(code) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.setAttribute("aria-label", `copy the command ${code.textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code); // no clipboard for this page: leave it selected
        button.textContent = "selected";
      }
    });
    code.after(button);
  }

  document.querySelectorAll(".command code").forEach(copyable);
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  reveal();
})();
