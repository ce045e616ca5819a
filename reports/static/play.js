// The explorer's page: shows what machine.js computes, and turns clicks into steps.
"use strict";

(() => {
  const { tables, fixes } = JSON.parse(document.getElementById("tables").textContent);
  const $ = (id) => document.getElementById(id);
  const WORD = 64n;
  const DONE = 1n << 62n;
  const RELEASED = 1n << 63n;

  // The run: the system, the steps taken, and how many of them the slider shows.
  let view = { system: null, steps: [], at: 0 };
  let searching = null;

  function el(tag, given = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(given)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children.flat().filter((c) => c !== null && c !== undefined));
    return node;
  }

  const stateAt = (n) => (n ? view.steps[n - 1].state : view.system.initial);
  const fill = (id, ...nodes) => $(id).replaceChildren(...nodes.flat());
  const say = (text) => { $("said").textContent = text; };

  function variable(name, state = stateAt(view.at)) {
    const i = view.system.table.shared.findIndex((v) => v.name === name);
    return i < 0 ? undefined : view.system.show(view.system.table.shared[i], state[0][i]);
  }

  // ---- the scenario

  function option(value, text, chosen) {
    return el("option", { value, selected: chosen }, text);
  }

  function renderScenario() {
    const { system } = view;
    const methods = Object.keys(system.table.methods);
    fill("design", tables.map((t, i) =>
      option(i, `${t.id} / ${t.platform}`, t === system.table)));
    const starts = Object.entries(system.table.starts);
    const same = (initial) => {
      const merged = { ...Object.fromEntries(Object.entries(initial)) };
      const given = system.given;
      return Object.keys(merged).length === Object.keys(given).length
        && Object.entries(merged).every(([k, v]) => k in given && BigInt(v) === BigInt(given[k]));
    };
    const current = starts.findIndex(([, initial]) => same(initial));
    fill("start", starts.map(([name], i) => option(i, name, i === current)),
      current < 0 ? option(-1, starts.length ? "as in the link" : "start", true) : []);
    fill("threads", system.threads.map((thread, i) => el("span", { class: "thread" },
      el("b", {}, thread.name), el("span", {}, thread.calls.join(", then ")),
      el("select", {
        "aria-label": `${thread.name} then calls`,
        onchange: (e) => rebuild(system.threads.map((t, j) =>
          (i === j ? [...t.calls, e.target.value] : t.calls))),
      }, option("", "then…", true), methods.map((m) => option(m, m))),
      el("button", {
        type: "button", "aria-label": `remove ${thread.name}`, disabled: system.threads.length === 1,
        onclick: () => rebuild(system.threads.filter((_, j) => j !== i).map((t) => t.calls)),
      }, "×"))));
    fill("add", option("", "add a thread…", true), methods.map((m) => option(m, m)));
    $("source").textContent = `${system.table.title}. ${system.table.source}.`;
    const laws = system.table.laws.filter((law) => law.kind !== "sometimes");
    fill("law", option("", "any law", true), laws.map((law) => option(law.id, law.id)));
  }

  function rebuild(calls, table = view.system.table, given = view.system.given) {
    const kept = calls.map((c) => c.filter((m) => m in table.methods)).filter((c) => c.length);
    const threads = Machine.nameThreads(kept.length ? kept : [[Object.keys(table.methods)[0]]]);
    open(new Machine.System(table, threads, given), []);
  }

  function givenOf(table, initial) {
    return Object.fromEntries(Object.entries(initial).map(([name, text]) =>
      [name, Machine.readValue(table.shared.find((v) => v.name === name), text)]));
  }

  function open(system, steps, at = steps.length) {
    cancelSearch();
    view = { system, steps, at };
    $("mended").hidden = true;
    say("");
    renderScenario();
    render();
  }

  // ---- who steps

  function outcomes(actor) {
    const said = [];
    view.steps.slice(0, view.at).forEach((s) => {
      if (s.actor === actor && s.command.outcome) said.push(s.command.outcome);
    });
    return said;
  }

  function stepButton(step) {
    const { command } = step;
    const effect = command.update_text.join("; ");
    return el("button", {
      type: "button", class: "step", "data-step": Machine.nameOf(step),
      title: `${command.guard_text === "true" ? "" : `if ${command.guard_text}: `}${effect || "changes nothing"}`,
      onclick: () => take(step),
    }, el("code", {}, command.name),
    el("small", {}, command.op === command.name ? "" : command.op, command.outcome ? ` → ${command.outcome}` : ""));
  }

  function renderActors() {
    const { system } = view;
    const state = stateAt(view.at);
    const cards = system.threads.map((thread, i) => {
      const steps = system.threadSteps(state, i);
      const at = system.location(state[1][i]);
      const position = system.position(state[1][i]);
      const done = system.done(state, i);
      const locals = system.table.local
        .map((v, j) => [v, state[1][i][j + 1]])
        .filter(([, value]) => Number(value) !== 0)
        .map(([v, value]) => `${v.name} = ${system.show(v, value)}`);
      const said = outcomes(thread.name);
      const idle = done
        ? el("button", { type: "button", class: "step", disabled: true },
          el("code", {}, at === "end" ? "returned" : at), el("small", {}, said.at(-1) || ""))
        : el("button", { type: "button", class: "step", disabled: true },
          el("code", {}, "waits"), el("small", {}, `at ${at}`));
      return el("div", { class: "actor" },
        el("h3", {}, thread.name, el("span", { class: "calls" }, thread.calls.map((call, n) => [
          n ? ", then " : "", el("span", { class: n === position && !done ? "now" : "" }, call),
        ]).flat())),
        el("div", { class: "steps" }, steps.length ? steps.map(stepButton) : idle),
        done ? null : el("p", { class: "where" }, `at ${at}`,
          system.holding.has(state[1][i][0] % system.size) ? ` · ${holds()}` : "",
          locals.length ? ` · ${locals.join(", ")}` : ""));
    });
    const enabled = system.kernelSteps(state);
    const kernel = system.kernel.map((command) => {
      const step = enabled.find((s) => s.command === command);
      return step ? stepButton(step) : el("button", {
        type: "button", class: "step", disabled: true, "data-step": command.name,
        title: `only if ${command.guard_text}`,
      }, el("code", {}, command.name));
    });
    fill("actors", cards, el("div", { class: "actor" },
      el("h3", {}, "kernel", el("span", { class: "calls" }, "and an adversary that recycles numbers")),
      el("div", { class: "steps" }, kernel)));
  }

  function holds() {
    const locked = view.system.table.shared.some((v) => v.name === "readers");
    return locked ? "holds the read lock" : "holds a transient reference";
  }

  function take(step) {
    const focused = document.activeElement?.dataset?.step;
    view.steps = [...view.steps.slice(0, view.at), step];
    view.at = view.steps.length;
    $("mended").hidden = true;
    render();
    const broken = brokenAt(view.at);
    say(`${step.actor} took ${step.command.name}${step.command.outcome ? `, outcome ${step.command.outcome}` : ""}.`
      + (broken.length ? ` That breaks ${broken.join(" and ")}.` : ""));
    if (focused) {
      const again = document.querySelector(`[data-step="${CSS.escape(focused)}"]:not(:disabled)`);
      (again || document.querySelector(".step:not(:disabled)") || $("undo")).focus({ preventScroll: true });
    }
  }

  // ---- the state

  function bits(word, before, width = WORD) {
    const cells = [];
    for (let bit = width - 1n; bit >= 0n; bit -= 1n) {
      const mask = 1n << bit;
      const turned = (word & mask) !== (before & mask);
      cells.push(el("i", {
        class: `${word & mask ? "set" : ""}${turned ? " turned" : ""}`, title: `bit ${bit}`,
      }));
      if (bit === 62n && width === WORD) cells.push(el("i", { class: "gap" }));
    }
    return el("div", {
      class: "bits", role: "img",
      "aria-label": `bits set: ${[...Array(64).keys()].reverse().filter((b) => word >> BigInt(b) & 1n).join(", ") || "none"}`,
    }, cells);
  }

  function renderWord(state, before) {
    const { shared } = view.system.table;
    const i = shared.findIndex((v) => v.name === "word");
    if (i < 0) return packed(shared, state, before);
    const word = state[0][i];
    const yes = (mask) => (word & mask ? "1" : "0");
    return [
      el("h3", {}, "The word"), bits(word, before[0][i]),
      el("p", { class: "fields" },
        el("span", {}, "released ", el("b", {}, yes(RELEASED))),
        el("span", {}, "done ", el("b", {}, yes(DONE))),
        el("span", {}, "references ", el("b", { id: "references" }, String(word & (DONE - 1n)))),
        el("code", { class: "soft" }, `0x${word.toString(16)}`)),
    ];
  }

  // The one word of a design that packs more into it than Go's does, without names for its fields.
  function packed(shared, state, before) {
    const i = shared.findIndex((v) => v.name === "state" && v.width >= 32);
    if (i < 0 || shared.some((v) => v.name === "refs")) return [];
    const value = state[0][i];
    return [
      el("h3", {}, "The word"), bits(value, before[0][i], BigInt(shared[i].width)),
      el("p", { class: "fields" }, el("span", {}, shared[i].doc), el("code", { class: "soft" }, `0x${value.toString(16)}`)),
    ];
  }

  function table(caption, head, rows) {
    return [el("h3", {}, caption), el("table", { class: "small-table" },
      el("thead", { class: "unseen" }, el("tr", {}, head.map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, rows.map(({ cells, turned, alarm }) => el("tr", { class: turned ? "turned" : "" },
        cells.map((c, i) => el(i ? "td" : "th", { scope: i ? null : "row", class: alarm && i ? "alarm" : "" }, c))))))];
  }

  function processRows(state, before) {
    const at = (name, s = state) => variable(name, s);
    const life = (s) => (at("reaped", s) ? "reaped" : at("exited", s) ? "zombie" : "running");
    const rows = [];
    const owner = at("pid_owner");
    const number = (who) => (owner === undefined ? "" : owner === who ? "pid n" : "");
    if (at("exited") !== undefined) {
      rows.push({ cells: ["our process", life(state), number("ours")], turned: life(state) !== life(before) });
    }
    if (at("bystander") !== undefined) {
      rows.push({
        cells: ["the bystander", at("bystander"), number("sibling")],
        turned: at("bystander") !== at("bystander", before),
        alarm: ["killed", "reaped"].includes(at("bystander")),
      });
    }
    if (at("stranger") !== undefined) {
      rows.push({
        cells: ["a stranger", at("stranger"), number("stranger")],
        turned: at("stranger") !== at("stranger", before), alarm: at("stranger") === "killed",
      });
    }
    return rows;
  }

  function handleRows(state, before) {
    const meaning = { ours: "our process", closed: "nothing: it is free", reused: "the bystander", unopened: "never opened here" };
    const rows = [];
    const h = variable("handle", state);
    if (h !== undefined) {
      rows.push({
        cells: ["the handle’s number", `means ${meaning[h] || h}`],
        turned: h !== variable("handle", before), alarm: h === "reused",
      });
    }
    return rows;
  }

  const TOLD = new Set(["word", "exited", "reaped", "bystander", "stranger", "handle"]);

  function renderState() {
    const { system } = view;
    const state = stateAt(view.at);
    const before = stateAt(Math.max(0, view.at - 1));
    const written = new Set([...system.commands, ...system.kernel].flatMap((c) => c.update.map(([name]) => name)));
    const rest = system.table.shared.filter((v) => !TOLD.has(v.name));
    const row = (v) => {
      const shown = (s) => String(variable(v.name, s)).replace(/^true$/, "yes").replace(/^false$/, "no");
      return { cells: [el("code", { title: v.doc }, v.name), shown(state), el("span", { class: "soft small" }, v.doc)], turned: shown(state) !== shown(before) };
    };
    const others = rest.filter((v) => written.has(v.name)).map(row);
    const fixed = rest.filter((v) => !written.has(v.name)).map(row);
    const holders = system.threads.filter((_, i) => system.holding.has(state[1][i][0] % system.size)).map((t) => t.name);
    const word = system.table.shared.findIndex((v) => v.name === "word");
    const counted = word >= 0 && system.table.shared.some((v) => v.name === "handle");
    const persistent = counted && !(state[0][word] & (DONE | RELEASED)) ? ["the process object, persistently"] : [];
    const processes = processRows(state, before);
    const handles = handleRows(state, before);
    fill("state", renderWord(state, before),
      processes.length ? table("Processes", ["process", "state", "number"], processes) : [],
      handles.length ? table("Handles", ["number", "meaning"], handles) : [],
      el("h3", {}, counted ? "Who holds a reference" : "Who holds"),
      el("p", { id: "holders" }, [...persistent, ...holders].join(" · ") || "nobody"),
      others.length ? table("Other variables", ["variable", "value", "meaning"], others) : [],
      fixed.length ? table("Given at the start", ["variable", "value", "meaning"], fixed) : []);
  }

  // ---- the laws

  function brokenAt(n) {
    if (!n) return view.system.violated(view.system.initial);
    const step = view.steps[n - 1];
    return view.system.violated(step.state, stateAt(n - 1), step.broken);
  }

  function renderLaws() {
    const { system } = view;
    const now = new Set(brokenAt(view.at));
    const earlier = new Set();
    const seen = new Set(system.seen(system.initial));
    for (let n = 0; n <= view.at; n += 1) {
      brokenAt(n).forEach((id) => earlier.add(id));
      if (n) system.seen(view.steps[n - 1].state, view.steps[n - 1].command).forEach((id) => seen.add(id));
    }
    const items = system.table.laws.filter((law) => law.kind !== "sometimes").map((law) => {
      const broken = earlier.has(law.id);
      return el("li", { class: broken ? "broken" : "", "data-law": law.id },
        el("span", { class: "lamp", "aria-hidden": "true" }, broken ? "●" : "○"),
        el("span", {}, law.text, el("code", {}, law.id, broken ? (now.has(law.id) ? " – broken by this step" : " – was broken") : "")));
    });
    if (earlier.has(Machine.DEADLOCK)) {
      items.push(el("li", { class: "broken", "data-law": "deadlock" }, el("span", { class: "lamp" }, "●"), el("span", {}, "nobody can step, and not all are done")));
    }
    const sights = system.table.laws.filter((law) => law.kind === "sometimes");
    fill("laws", el("ul", { class: "lights" }, items),
      el("details", {}, el("summary", { class: "small soft" }, `sights: ${seen.size} of ${sights.length} seen in this run`),
        el("ul", { class: "lights" }, sights.map((law) => el("li", {},
          el("span", { class: "lamp", "aria-hidden": "true" }, seen.has(law.id) ? "✓" : "·"),
          el("span", {}, law.text, el("span", { class: "unseen" }, seen.has(law.id) ? " (seen)" : " (not seen)")))))));
  }

  // ---- the run

  function changes(system, before, after) {
    const said = [];
    system.table.shared.forEach((v, i) => {
      if (before[0][i] == after[0][i]) return;
      if (v.name === "word") {
        const word = after[0][i];
        const name = word & RELEASED ? (word & DONE ? "reserved" : "released") : word & DONE ? "done" : "ok";
        said.push(`word ${name} ${word & (DONE - 1n)}`);
      } else {
        said.push(`${v.name} ${String(system.show(v, after[0][i])).replace("true", "yes").replace("false", "no")}`);
      }
    });
    return said.join(", ");
  }

  function timeline(system, entries, { at = null, label }) {
    const actors = [...system.threads.map((t) => t.name), Machine.KERNEL];
    let before = system.initial;
    const known = new Set(system.violated(system.initial));
    const rows = entries.map((entry, n) => {
      const { step } = entry;
      const fresh = step ? system.violated(step.state, before, step.broken) : [];
      const breaks = fresh.filter((id) => !known.has(id)).join(" and ");
      fresh.forEach((id) => known.add(id));
      const cells = actors.map((actor) => el("td", {}, step && step.actor === actor
        ? `${step.command.name}${step.command.outcome ? ` → ${step.command.outcome}` : ""}`
        : !step && entry.actor === actor ? el("span", { class: "none" }, entry.why) : ""));
      const told = step ? changes(system, before, step.state) : "";
      if (step) before = step.state;
      return el("tr", {
        class: `${at === n + 1 ? "now" : ""}${at !== null && n >= at ? " later" : ""}${breaks ? " bad" : ""}`,
        "aria-current": at === n + 1 ? "step" : null,
      },
      el("td", {}, at === null ? entry.number || "" : el("button", {
        type: "button", "aria-label": `go to step ${n + 1}`, onclick: () => { view.at = n + 1; render(); },
      }, String(n + 1))),
      cells, el("td", { class: "change" }, told, breaks ? ` breaks ${breaks}` : ""));
    });
    return el("table", { class: "timeline", "aria-label": label },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "unseen" }, "step")),
        actors.map((a) => el("th", { scope: "col" }, a)), el("th", { scope: "col" }, "what changed"))),
      el("tbody", {}, rows));
  }

  function renderRun() {
    const { system, steps, at } = view;
    fill("run", el("h3", {}, `On ${system.table.id}`), steps.length
      ? timeline(system, steps.map((step) => ({ step })), { at, label: "the run" })
      : el("p", { class: "soft" }, "Nobody has stepped yet."));
    $("slider").max = steps.length;
    $("slider").value = at;
    $("at").textContent = `${at} of ${steps.length}`;
    $("undo").disabled = at === 0;
    $("restart").disabled = steps.length === 0;
    $("fix").hidden = !mend();
    $("fix").disabled = steps.length === 0;
    const schedule = system.schedule(steps.slice(0, at));
    $("replay").textContent = at ? `lastref replay '${schedule}'` : "";
    history.replaceState(null, "", `#${system.schedule(steps)}${at < steps.length ? `~${at}` : ""}`);
  }

  function render() {
    $("refusal").hidden = true;
    renderActors();
    renderState();
    renderLaws();
    renderRun();
  }

  // ---- a counterexample, and the fix

  function cancelSearch() {
    if (searching) clearTimeout(searching.timer);
    searching = null;
    $("search").textContent = "find a counterexample";
  }

  function search() {
    if (searching) {
      cancelSearch();
      say("The search was stopped.");
      return;
    }
    const law = $("law").value || null;
    const run = view.system.search(law);
    const what = law || "a law";
    searching = { timer: 0 };
    $("search").textContent = "stop";
    const slice = () => {
      const until = performance.now() + 24;
      for (;;) {
        const { value, done } = run.next();
        if (done) {
          cancelSearch();
          found(value, what);
          return;
        }
        if (performance.now() > until) {
          say(`Searching: ${value.toLocaleString("en")} states …`);
          searching.timer = setTimeout(slice);
          return;
        }
      }
    };
    searching.timer = setTimeout(slice);
  }

  function found({ steps, states }, what) {
    const count = states.toLocaleString("en");
    if (!steps) {
      say(`These threads cannot break ${what}: all ${count} states were searched.`);
      return;
    }
    view.steps = steps;
    view.at = steps.length;
    render();
    say(`${brokenAt(view.at).join(" and ")} is broken after ${steps.length} steps; no run is shorter (${count} states searched).`);
  }

  // The named case whose mended table to compare with: about a law that this run breaks if there is
  // one such, and with the same calls; undefined where no case is known of this table.
  function mend() {
    const { system } = view;
    const broken = new Set();
    for (let n = 0; n <= view.at; n += 1) brokenAt(n).forEach((id) => broken.add(id));
    const sorted = (calls) => [...calls].sort().join();
    const calls = sorted(system.threads.map((t) => t.calls.join(";")));
    const nameOf = (table) => `${table.id}/${table.platform}`;
    const rank = (fix) => 2 * broken.has(fix.law) + (sorted(fix.calls) === calls);
    let best;
    for (const fix of fixes) {
      if (fix.from !== nameOf(system.table)) continue;
      const table = tables.find((t) => nameOf(t) === fix.to);
      if (!table || system.threads.some((t) => t.calls.some((c) => !(c in table.methods)))) continue;
      if (!best || rank(fix) > rank(best)) best = { ...fix, table };
    }
    return best;
  }

  // Run the same schedule on the table that mended this one, as far as it goes, and on to the end.
  function showFix() {
    const { case: id, table: mended, initial } = mend();
    const calls = view.system.threads.map((t) => t.calls);
    const other = new Machine.System(mended, Machine.nameThreads(calls), givenOf(mended, initial));
    const entries = [];
    let state = other.initial;
    let number = 0;
    const broken = new Set();
    const advance = (step) => {
      other.violated(step.state, state, step.broken).forEach((id) => broken.add(id));
      state = step.state;
      entries.push({ step, number: (number += 1) });
    };
    for (const step of view.steps.slice(0, view.at)) {
      const name = Machine.nameOf(step);
      const same = other.steps(state).find((s) => Machine.nameOf(s) === name);
      if (same) advance(same);
      else entries.push({ actor: step.actor, why: step.actor === Machine.KERNEL ? `no ${name}` : "cannot step" });
    }
    const asked = entries.length;
    for (let limit = 200; limit && !other.atRest(state); limit -= 1) {
      const steps = other.steps(state);
      const next = steps.find((s) => s.actor !== Machine.KERNEL) || steps.find((s) => s.command.name === "exit");
      if (!next) break;
      advance(next);
    }
    const name = mended.id === view.system.table.id ? `${mended.id} / ${mended.platform}` : mended.id;
    fill("mended", el("h3", {}, `The same on ${name}`),
      timeline(other, entries, { label: `the same on ${name}` }),
      el("p", { class: "small soft" }, `It mends the case ${id}. The first ${asked} rows follow the run beside it, as far as they go; then the calls go on to their end. `,
        el("a", { href: `#${other.schedule(entries.filter((e) => e.step).map((e) => e.step))}` }, "open this run")));
    $("mended").hidden = false;
    say(broken.size ? `${name} breaks ${[...broken].join(" and ")} too.` : `${name} breaks no law on this schedule.`);
  }

  // ---- the address

  function restore() {
    const text = decodeURIComponent(location.hash.slice(1));
    if (!text) return false;
    const [schedule, at] = text.split("~");
    try {
      const { system, actors } = Machine.parse(tables, schedule);
      const { steps, refusal } = system.walk(actors);
      open(system, steps, at === undefined || refusal ? steps.length : Math.min(Number(at), steps.length));
      if (refusal) refuse(refusal);
      return true;
    } catch (error) {
      if (!(error instanceof Machine.Refusal)) throw error;
      if (!view.system) first();
      refuse(error.message);
      return true;
    }
  }

  function refuse(text) {
    $("refusal").textContent = `The link cannot be followed: ${text}.`;
    $("refusal").hidden = false;
  }

  function first() {
    const table = tables.find((t) => t.id === "go-2023-pidfd" && t.platform === "linux") || tables[0];
    open(new Machine.System(table, Machine.nameThreads([["kill"], ["release"]].filter(([m]) => m in table.methods)), {}), []);
  }

  $("design").addEventListener("change", (e) =>
    rebuild(view.system.threads.map((t) => t.calls), tables[Number(e.target.value)], {}));
  $("start").addEventListener("change", (e) => {
    const { table } = view.system;
    const start = Object.values(table.starts)[Number(e.target.value)];
    rebuild(view.system.threads.map((t) => t.calls), table, givenOf(table, start));
  });
  $("add").addEventListener("change", (e) =>
    rebuild([...view.system.threads.map((t) => t.calls), [e.target.value]]));
  $("scenario").addEventListener("submit", (e) => e.preventDefault());
  $("undo").addEventListener("click", () => {
    view.at -= 1;
    view.steps = view.steps.slice(0, view.at);
    render();
    say("Undone.");
  });
  $("restart").addEventListener("click", () => open(view.system, []));
  $("slider").addEventListener("input", (e) => { view.at = Number(e.target.value); render(); });
  $("search").addEventListener("click", search);
  $("fix").addEventListener("click", showFix);
  $("share").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied; it holds the whole run.");
    } catch {
      say("Copy the address of this page: it holds the whole run.");
    }
  });
  addEventListener("hashchange", restore);
  if (!restore()) first();
})();
