// The report's only behaviour: filter its rows, open what a link leads to, copy a command.
"use strict";

(() => {
  const form = document.getElementById("filter");
  const rows = [...document.querySelectorAll("[data-text]")];

  function apply() {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((b) => b.value));
    let checks = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.text.includes(word));
      const wanted = row.dataset.verdicts.split(" ").some((verdict) => verdicts.has(verdict));
      row.hidden = !(fits && wanted);
      if (!row.hidden && row.dataset.row === "check") checks += 1;
    }
    const all = rows.filter((row) => row.dataset.row === "check").length;
    document.getElementById("shown").textContent = `${checks} of ${all} checks shown`;
    document.getElementById("none").hidden = checks > 0;
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) {
      form.reset();
      apply();
    }
    const closed = target.closest("details");
    if (closed) closed.open = true;
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

  if (form) {
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }
  document.querySelectorAll(".command code").forEach(copyable);
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  reveal();
})();
